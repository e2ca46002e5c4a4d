"""API tokens: how scripts and other programs use the REST interface in the name of a user."""
