"""Many leads: what waits is worked off, runs are planned and done."""
