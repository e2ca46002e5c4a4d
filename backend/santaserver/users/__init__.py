"""Console users: local accounts, sessions and who may do what."""
