"""The QR code of an address, as the path of an SVG image."""

from typing import NamedTuple

QUIET = 4
"""Modules of white around the code, which readers need."""


class QrCode(NamedTuple):
    """A square of `size` units, in which `path` is black."""

    size: int
    path: str


def qr_code(text: str) -> QrCode:
    """Return the code of a text."""
    import segno  # noqa: PLC0415 - only for a new authenticator app

    matrix = segno.make_qr(text, error="m").matrix
    parts = []
    for y, row in enumerate(matrix, QUIET):
        x = 0
        while x < len(row):
            run = x
            while run < len(row) and row[run] & 1:
                run += 1
            if run > x:
                parts.append(f"M{x + QUIET} {y}h{run - x}v1h-{run - x}z")
            x = run + 1
    return QrCode(len(matrix) + 2 * QUIET, "".join(parts))
