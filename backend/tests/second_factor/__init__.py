"""The second factor of local accounts."""
