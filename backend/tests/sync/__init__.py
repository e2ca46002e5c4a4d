"""Tests of santaserver.sync."""
