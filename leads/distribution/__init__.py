"""Distribution: who gets which lead, and why."""
