"""The AI's look at many leads: after an import, or when somebody asks for it."""
