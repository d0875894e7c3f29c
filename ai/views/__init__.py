"""Front doors of AI."""
