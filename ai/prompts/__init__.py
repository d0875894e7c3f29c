"""What the AI is told: texts in versions, tried on cases before they are published."""
