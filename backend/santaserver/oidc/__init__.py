"""Signing in through an identity provider: Microsoft Entra ID or any OpenID Connect provider."""
