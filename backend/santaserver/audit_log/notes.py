"""Checkpoints as signed notes (C2SP signed-note and tlog-checkpoint). Pure.

A checkpoint says: the log of this name had this many entries, and this was its root.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from santaserver import ed25519

ED25519 = b"\x01"
"""The kind of key, in key ids and in verifier keys."""
ID_BYTES = 4
HASH_BYTES = 32
DASH = "\N{EM DASH} "
BODY_LINES = 3


class BadNote(ValueError):  # noqa: N818 - what it is about
    """A text that is no checkpoint, or one that was not signed by the key."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key and the name it signs under."""

    name: str
    key: bytes

    @property
    def id(self) -> bytes:
        """The key id that signatures carry."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.key).digest()[:ID_BYTES]

    def __str__(self) -> str:
        """Return the text that is handed to whoever verifies."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.key).decode()}"

    @classmethod
    def read(cls, text: str) -> "Verifier":
        """Read it; raise `BadNote` when it is damaged."""
        name, _, rest = text.strip().partition("+")
        number, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        found = cls(name, raw[1:])
        if (
            not name
            or raw[:1] != ED25519
            or len(found.key) != ed25519.PUBLIC_BYTES
            or found.id.hex() != number
        ):
            raise BadNote("this is no verifier key: it looks like NAME+ID+KEY and is printed by `audit key`")
        return found


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and the name it signs under."""

    name: str
    seed: bytes

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(self.name, ed25519.public_key(self.seed))

    def signature(self, body: str) -> str:
        """Return the line that signs a note's text."""
        raw = self.verifier.id + ed25519.sign(self.seed, body.encode())
        return f"{DASH}{self.name} {base64.b64encode(raw).decode()}\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The size of a log and its root."""

    origin: str
    size: int
    root: bytes
    signatures: tuple[str, ...] = ()
    """The lines below the text; without one, anybody may have written it."""

    @property
    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed_by(self, verifier: Verifier) -> bool:
        """Tell whether one of the signatures is that key's."""
        for line in self.signatures:
            name, _, encoded = line.removeprefix(DASH).rstrip("\n").rpartition(" ")
            try:
                raw = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                continue
            if name == verifier.name and raw[:ID_BYTES] == verifier.id:
                return ed25519.verify(verifier.key, raw[ID_BYTES:], self.body.encode())
        return False


def write(origin: str, size: int, root: bytes, signer: Signer | None) -> str:
    """Return a checkpoint as a note; without a key it has no signature."""
    body = Checkpoint(origin, size, root).body
    return f"{body}\n{signer.signature(body) if signer else ''}"


def read_all(text: str) -> list[Checkpoint]:
    """Read the notes of a file, one after the other; raise `BadNote` when something else is in it."""
    lines = text.splitlines()
    found: list[Checkpoint] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        body, rest = lines[at : at + BODY_LINES], lines[at + BODY_LINES + 1 :]
        signatures = tuple(_signatures(rest))
        found.append(_checkpoint(body, signatures))
        at += BODY_LINES + 1 + len(signatures)
    return found


def _signatures(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        if not line.startswith(DASH):
            return
        yield line + "\n"


def _checkpoint(body: Sequence[str], signatures: tuple[str, ...]) -> Checkpoint:
    try:
        origin, size, root = body
        read = Checkpoint(origin, int(size), base64.b64decode(root, validate=True), signatures)
    except (ValueError, binascii.Error):
        raise BadNote(f"no checkpoint: {' / '.join(body)[:200]!r}") from None
    if read.body != "".join(f"{line}\n" for line in body) or len(read.root) != HASH_BYTES or read.size < 0:
        raise BadNote(f"no checkpoint: {' / '.join(body)[:200]!r}")
    return read
