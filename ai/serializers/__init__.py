"""AI as JSON, in and out."""
