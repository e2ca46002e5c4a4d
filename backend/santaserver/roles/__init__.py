"""Roles that are made here, beside those that come with the program."""
