"""Tests of the backend: the real application on a real PostgreSQL."""
