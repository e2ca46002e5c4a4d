"""Tests of santaserver.users."""
