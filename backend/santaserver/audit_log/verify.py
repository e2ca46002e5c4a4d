"""Verifies an export of the audit log without the database: one pass, and the first bad entry is named. Pure.

Each line of an export has an entry, its details, and the root of the log up to it. So an altered, missing or
moved entry does not fit its own line. Whoever can write the database can also rewrite all later roots; that
shows at the first checkpoint that was taken after the entry and kept elsewhere.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from santaserver.audit import details_hash
from santaserver.audit_log.notes import Checkpoint
from santaserver.merkle import Tree

ERASED = "audit_details_erased"
"""The action whose object is the range of entries that lost their details: FIRST-LAST."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a log."""

    seq: int
    """The first bad entry, or the earliest that can be it."""
    message: str


@dataclass(slots=True)
class Verified:
    """What a pass over a log found."""

    size: int = 0
    root: bytes = b""
    checkpoints: int = 0
    erased: int = 0
    fault: Fault | None = None
    without_details: list[tuple[int, int]] = field(default_factory=list)
    said_erased: list[tuple[int, int]] = field(default_factory=list)


class _BadError(Exception):
    def __init__(self, seq: int, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(seq, message)


def verify(lines: Iterable[str | bytes], checkpoints: Sequence[Checkpoint] = ()) -> Verified:
    """Read an export, and compare it with checkpoints whose signatures have been checked."""
    result, tree = Verified(), Tree()
    try:
        _read(result, tree, lines, sorted(checkpoints, key=lambda checkpoint: checkpoint.size))
    except _BadError as bad:
        result.fault = bad.fault
    result.size, result.root = tree.size, tree.root()
    return result


def _read(result: Verified, tree: Tree, lines: Iterable[str | bytes], due: list[Checkpoint]) -> None:
    good = _compare(result, tree, due, 0)
    ended = False
    for line in lines:
        if not line.strip():
            continue
        if ended:
            raise _BadError(tree.size, f"something follows the last line, after entry {tree.size - 1}")
        ended = _line(result, tree, line)
        good = _compare(result, tree, due, good)
    if not ended:
        raise _BadError(tree.size, f"the file breaks off after {tree.size} entries: its end is missing")
    if due:
        counts = f"the log has {tree.size} entries, but a checkpoint says that it had {due[0].size}"
        raise _BadError(tree.size, f"entry {tree.size} is missing: {counts}")
    _check_erased(result)


def _line(result: Verified, tree: Tree, line: str | bytes) -> bool:
    """Take one line; return whether it is the last."""
    seq = tree.size
    try:
        read = json.loads(line)
        if "size" in read:
            _end(tree, int(read["size"]), str(read["root"]))
            return True
        number, entry, root = int(read["seq"]), str(read["entry"]), str(read["root"])
        salt, details = read["salt"], read["details"]
    except (ValueError, TypeError, KeyError):
        raise _BadError(seq, f"the line of entry {seq} cannot be read") from None
    if number != seq:
        what = "is missing or moved" if number > seq else f"is not the next one: the line says {number}"
        raise _BadError(seq, f"entry {seq} {what}")
    tree.append(entry.encode("utf-8", "surrogatepass"))
    if tree.root().hex() != root:
        raise _BadError(seq, f"entry {seq} was altered: it does not give the root that was stored with it")
    _details(result, seq, entry, salt, details)
    return False


def _end(tree: Tree, size: int, root: str) -> None:
    if size != tree.size:
        raise _BadError(tree.size, f"entry {tree.size} is missing: the log has {size} entries")
    if root != tree.root().hex():
        raise _BadError(max(tree.size - 1, 0), "the root of the log is not that of its entries")


def _details(result: Verified, seq: int, text: str, salt: object, details: object) -> None:
    try:
        entry = json.loads(text)
        expected, action, target = entry["details"], entry["action"], entry["object"]["id"]
    except (ValueError, TypeError, KeyError):
        raise _BadError(seq, f"entry {seq} is not an entry of the audit log") from None
    if action == ERASED:
        first, _, last = str(target).partition("-")
        if first.isdecimal() and last.isdecimal():
            result.said_erased.append((int(first), min(int(last), seq - 1)))
    if salt is None or details is None:
        result.erased += 1
        missing = result.without_details
        if missing and missing[-1][1] == seq - 1:
            missing[-1] = (missing[-1][0], seq)
        else:
            missing.append((seq, seq))
        return
    try:
        fits = details_hash(bytes.fromhex(str(salt)), str(details)) == expected
    except (ValueError, UnicodeError):
        fits = False
    if not fits:
        raise _BadError(seq, f"the details of entry {seq} were altered")


def _compare(result: Verified, tree: Tree, due: list[Checkpoint], good: int) -> int:
    """Compare with the checkpoints of this size; return the largest size that is proven."""
    while due and due[0].size == tree.size:
        checkpoint = due.pop(0)
        if checkpoint.root != tree.root():
            where = (
                f"entry {good}" if tree.size - good <= 1 else f"one of the entries {good} to {tree.size - 1}"
            )
            raise _BadError(
                good, f"{where} was altered: the log differs from the checkpoint of {tree.size} entries"
            )
        result.checkpoints += 1
        good = tree.size
    return good


def _check_erased(result: Verified) -> None:
    """Details may be missing only where an entry says that they were erased."""
    allowed = sorted(result.said_erased)
    for first, last in result.without_details:
        seq = first
        for begin, end in allowed:
            if begin <= seq <= end:
                seq = end + 1
        if seq <= last:
            raise _BadError(
                seq, f"the details of entry {seq} are missing, and no entry says that they were erased"
            )
