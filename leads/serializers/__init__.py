"""Leads and what is done with them as JSON, in and out."""
