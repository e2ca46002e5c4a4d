"""Backup and restore: the whole database as one file, and back. Start with command.py."""
