"""Ed25519 of the OpenSSL library that Python itself is linked with.

`ssl` has no signatures, and `cryptography` would add 4 MB to the image. Loading ctypes takes
time, so `ed25519` imports this module when a key is first used.
"""

import ctypes
import hashlib
from functools import cache
from typing import Any, Self

KEY_TYPE = 1087
"""NID of Ed25519, the same in all releases of OpenSSL."""
LIBRARIES = ("libcrypto.so.3", "libcrypto.3.dylib")


class NoOpenSSL(RuntimeError):  # noqa: N818
    """This Python has no OpenSSL library that can be used."""


@cache
def _library() -> ctypes.CDLL:
    hashlib.new("sha256")  # has loaded the library that Python is linked with, which its name then finds
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            library.EVP_DigestSign  # noqa: B018 - raises when the release has no such function
        except (OSError, AttributeError):
            continue
        _declare(library)
        return library
    raise NoOpenSSL(f"no OpenSSL library was found ({' or '.join(LIBRARIES)}): run this in the container")


def _declare(library: ctypes.CDLL) -> None:
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    size = ctypes.POINTER(ctypes.c_size_t)
    for function in ("EVP_PKEY_new_raw_private_key", "EVP_PKEY_new_raw_public_key"):
        getattr(library, function).restype = pointer
        getattr(library, function).argtypes = [ctypes.c_int, pointer, text, number]
    library.EVP_MD_CTX_new.restype = pointer
    library.EVP_MD_CTX_new.argtypes = []
    for function in ("EVP_MD_CTX_free", "EVP_PKEY_free"):
        getattr(library, function).argtypes = [pointer]
        getattr(library, function).restype = None
    for function in ("EVP_DigestSignInit", "EVP_DigestVerifyInit"):
        getattr(library, function).argtypes = [pointer] * 5
    library.EVP_PKEY_get_raw_public_key.argtypes = [pointer, text, size]
    library.EVP_DigestSign.argtypes = [pointer, text, size, text, number]
    library.EVP_DigestVerify.argtypes = [pointer, text, number, text, number]


class _Key:
    """A key and a context of OpenSSL, freed together."""

    def __init__(self, make: str, raw: bytes) -> None:
        self._library = _library()
        self.key = getattr(self._library, make)(KEY_TYPE, None, raw, len(raw))
        if not self.key:
            raise ValueError("OpenSSL does not take this Ed25519 key")
        self.context: Any = self._library.EVP_MD_CTX_new()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.EVP_MD_CTX_free(self.context)
        self._library.EVP_PKEY_free(self.key)


def public_key(seed: bytes, length: int) -> bytes:
    """Return the public key of a private one."""
    with _Key("EVP_PKEY_new_raw_private_key", seed) as made:
        buffer, size = ctypes.create_string_buffer(length), ctypes.c_size_t(length)
        _check(_library().EVP_PKEY_get_raw_public_key(made.key, buffer, ctypes.byref(size)))
        return buffer.raw


def sign(seed: bytes, message: bytes, length: int) -> bytes:
    """Return the signature of a message."""
    with _Key("EVP_PKEY_new_raw_private_key", seed) as made:
        _check(_library().EVP_DigestSignInit(made.context, None, None, None, made.key))
        buffer, size = ctypes.create_string_buffer(length), ctypes.c_size_t(length)
        _check(_library().EVP_DigestSign(made.context, buffer, ctypes.byref(size), message, len(message)))
        return buffer.raw


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether a signature is the key's own of this message."""
    with _Key("EVP_PKEY_new_raw_public_key", public) as made:
        _check(_library().EVP_DigestVerifyInit(made.context, None, None, None, made.key))
        done = _library().EVP_DigestVerify(made.context, signature, len(signature), message, len(message))
        return bool(done == 1)


def _check(done: int) -> None:
    if done != 1:
        raise RuntimeError("OpenSSL refused an operation with an Ed25519 key")
