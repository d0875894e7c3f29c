"""Buying a plan or a pack, and changing what was bought."""
