"""Estimates of values' memory, for the budget of the caches; CPython's sizes, rounded up.

They need not be exact but must grow as the values do: `tests/test_cache.py` holds them against what
the interpreter really takes.
"""

from collections.abc import Collection, Iterable

POINTER = 8
ENTRY = 250
"""An entry of a dictionary with a small key and what holds its value."""
TEXT = 64
"""A string or an object, without what it holds."""
NUMBER = 40
"""An integer and the place that refers to it."""


def numbers(values: Collection[int]) -> int:
    """Return the size of a tuple or set of integers."""
    return TEXT + NUMBER * len(values)


def texts(values: Iterable[bytes]) -> int:
    """Return the size of a list of bytes."""
    return ENTRY + sum(TEXT + len(value) for value in values)


def text(value: str) -> int:
    """Return the size of a string."""
    return TEXT + len(value) * (1 if value.isascii() else 4)
