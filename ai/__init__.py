"""Prompts, actions, and what they cost: stands on leads."""
