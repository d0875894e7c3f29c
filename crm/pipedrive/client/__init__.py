"""Pipedrive's API: our words in and out, and nobody else speaks HTTP with it."""
