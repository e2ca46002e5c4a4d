"""Layers: where rules and settings belong to. The global one, then tags, users and machines above it."""
