"""Explains what a Mac has, and why."""
