"""Stripe. Nothing outside this folder imports its package; its words and objects end here."""
