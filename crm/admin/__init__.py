"""The admin of the CRM."""
