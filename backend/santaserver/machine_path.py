"""Machine ids in paths.

An id can be any text that a Mac was configured with: `a/b`, `x/tags` or `..` cannot be written in a path. Any
id may be written as `~` and its base64url; one that starts with `~` must be.
"""

import base64
import binascii
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

MARK = "~"


def segment_of(machine_id: str) -> str:
    """Write an id as one segment of a path, whatever it is made of."""
    return MARK + base64.urlsafe_b64encode(machine_id.encode()).decode().rstrip("=")


def machine_id_of(segment: str) -> str:
    """Read an id; what is no encoding is the id itself."""
    text = segment.removeprefix(MARK)
    if text == segment:
        return segment
    try:
        machine_id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return segment
    return machine_id if segment_of(machine_id) == segment else segment


MachinePath = Annotated[
    str,
    Path(
        description="The machine's id, or `~` followed by its base64url without padding: needed for ids that "
        "begin with `~`, that are `.` or `..`, or that have slashes and would be read as another path"
    ),
    AfterValidator(lambda segment: machine_id_of(segment).replace("\0", "")),
]
