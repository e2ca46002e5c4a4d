"""Layers hold rules and settings: the global one, then tags, users and machines above it."""
