"""What is said when a file is no backup, or not a whole one."""


class BadBackup(Exception):  # noqa: N818 - what it is
    """The file cannot be restored; the message says why."""


TRUNCATED = (
    "the file ends too early: it was cut off, or the backup that wrote it failed. Take another backup, or "
    "another copy of this one"
)
DAMAGED = "the file is damaged ({what}): take another backup, or another copy of this one"


def damaged(what: str) -> BadBackup:
    """Return the error for content that is not what was written."""
    return BadBackup(DAMAGED.format(what=what))
