"""Plans, and what a plan allows."""
