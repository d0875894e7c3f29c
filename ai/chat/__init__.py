"""Talks with visitors of a website and with members of the team."""
