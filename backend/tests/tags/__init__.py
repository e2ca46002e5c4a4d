"""Tests of santaserver.tags."""
