"""Tests of santaserver.machines."""
