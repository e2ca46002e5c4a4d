"""Signing in through an identity provider: Microsoft Entra ID or any OpenID Connect provider."""

import os

os.environ.setdefault("CRYPTOGRAPHY_OPENSSL_NO_LEGACY", "1")
"""`cryptography`, which PyJWT loads, else needs OpenSSL's legacy algorithms, which the image lacks."""
