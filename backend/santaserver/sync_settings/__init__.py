"""The settings that every preflight hands to a Mac (not this server's own: ../settings.py)."""
