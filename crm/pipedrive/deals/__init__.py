"""Deals: wanted here, made there once, mirrored here, and changed there from here."""
