"""Tests of santaserver.rules."""
