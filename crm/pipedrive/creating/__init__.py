"""Making persons, organizations and deals in Pipedrive, each once."""
