"""Jobs of the CRM: fetch, delegate, nothing else."""
