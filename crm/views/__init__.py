"""Front doors of the CRM."""
