"""Who may do what: users, workspaces, members with roles, tokens."""
