"""Prompts, chat and knowledge: stands on leads."""
