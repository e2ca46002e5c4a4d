"""Tests of santaserver.live."""
