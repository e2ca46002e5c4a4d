"""The Merkle tree of RFC 6962, 2.1, as it grows: only the roots of its complete subtrees are kept. Pure."""

import hashlib
from collections.abc import Sequence

EMPTY = hashlib.sha256().digest()
"""The root of a tree without leaves."""


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\0" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """A tree that leaves are appended to."""

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        """Begin empty, or where another one was: `edge` holds its complete subtrees, the largest first."""
        self.size = size
        self.edge = list(edge)

    def append(self, content: bytes) -> None:
        """Add a leaf."""
        node, rest = leaf_hash(content), self.size
        while rest & 1:
            node = node_hash(self.edge.pop(), node)
            rest >>= 1
        self.edge.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the whole tree."""
        if not self.edge:
            return EMPTY
        *left, node = self.edge
        for subtree in reversed(left):
            node = node_hash(subtree, node)
        return node
