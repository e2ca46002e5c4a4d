"""Tests of santaserver.postgres."""
