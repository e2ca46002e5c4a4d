"""Tests of santaserver.events."""
