"""SCIM 2.0: people and groups that a directory provisions."""
