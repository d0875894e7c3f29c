"""What the AI may look up: documents, cut into passages that are found by their meaning and their words."""
