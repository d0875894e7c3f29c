"""Leads: the catalogue, a workspace's own, exports under a quota, imports."""
