"""The second factor of local accounts: codes of an authenticator app, recovery codes, passkeys."""

import os

os.environ.setdefault("CRYPTOGRAPHY_OPENSSL_NO_LEGACY", "1")
"""`cryptography` else needs OpenSSL's legacy algorithms, which the image lacks."""
