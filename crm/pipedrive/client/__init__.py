"""Pipedrive's API: our words in and out, and nobody else speaks HTTP with it."""

from crm.pipedrive.client.pipedrive import Entity, Pipedrive

__all__ = ["Entity", "Pipedrive"]
