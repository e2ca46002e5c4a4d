"""SantaServer's backend: Santa's sync protocol, the REST interface and the live channel.

Start reading at `main.create_app`; the command line is `__main__`.
"""

import os

os.environ.setdefault("CRYPTOGRAPHY_OPENSSL_NO_LEGACY", "1")
"""`cryptography` else needs OpenSSL's legacy algorithms, which the image lacks."""

__version__ = "0.1.0"
