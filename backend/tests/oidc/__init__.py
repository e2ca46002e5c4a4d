"""Signing in through an identity provider."""
