"""Tests of santaserver.enrollment."""
