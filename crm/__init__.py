"""Pipedrive and outreach: stands on leads."""
