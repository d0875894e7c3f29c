"""Pipedrive, both ways: who is who, what goes where, and what both agree on."""
