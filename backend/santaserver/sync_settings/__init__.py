"""The settings that every preflight sends to a Mac (this server's own are in ../settings.py)."""
