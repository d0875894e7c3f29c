"""What the AI would write if a person agreed: proposed, looked at, done or not."""
