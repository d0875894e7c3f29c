"""What happened in Pipedrive: told by its webhook, or found by a sweep."""
