"""Passkeys (WebAuthn) of local accounts: one is a whole login, since it checks who uses it."""
