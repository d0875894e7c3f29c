"""What the CRM's routes take and answer."""
