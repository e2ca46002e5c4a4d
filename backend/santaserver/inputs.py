"""The types of REST requests: objects without unknown fields, and values that can be stored.

PostgreSQL takes no NUL and no half of a surrogate pair, Python no time that leaves its calendar in UTC. Every
schema of a request uses these types, so that no service has to check again.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

MAX_ROW_ID = 2**63 - 1
"""The largest id that a row can have."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

UNSTORABLE = "The text contains characters that cannot be stored"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_BIDIRECTIONAL = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that make a text look like another one."""
_CONTROLS = re.compile("[\x01-\x1f\x7f-\x9f\u2028\u2029]")


class Input(BaseModel):
    """An object in a request; an unknown name is refused, since it is probably a mistake."""

    model_config = ConfigDict(extra="forbid")


def unchanged() -> Any:  # noqa: ANN401 - stands for a value of any type
    """Return the value of a field that a PATCH leaves out; only `model_fields_set` tells what it has.

    As a default factory, so that the OpenAPI document promises no default.
    """
    return None


def is_storable(text: str) -> bool:
    """Tell whether the database takes a text as it is."""
    return _UNSTORABLE.search(text) is None


def storable_time(time: datetime) -> datetime:
    """Return a time in UTC; raise `ValueError` for one that cannot be stored or shown everywhere."""
    try:
        moved = time.astimezone(UTC) if time.tzinfo else None
    except OverflowError:
        moved = None
    if moved is None or not EARLIEST <= moved <= LATEST:
        raise ValueError(f"The time must be between the years {EARLIEST.year} and {LATEST.year} in UTC")
    return moved


def _stored(text: str) -> str:
    if not is_storable(text):
        raise ValueError(UNSTORABLE)
    return text


def _text(text: str) -> str:
    _stored(text)
    if _BIDIRECTIONAL.search(text):
        raise ValueError("The text contains characters that change the writing direction")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _line(text: str) -> str:
    if _CONTROLS.search(_text(text)):
        raise ValueError("The text must be a single line without control characters")
    return text


def _row_id(number: int) -> int:
    return number if 0 < number <= MAX_ROW_ID else 0


RowId = Annotated[int, AfterValidator(_row_id)]
"""The id of a row; a number out of range becomes 0, which no row has."""
Stored = Annotated[str, AfterValidator(_stored)]
"""A text that is only compared or kept as it is, such as a password or the name of a machine."""
Text = Annotated[str, AfterValidator(_text)]
"""A text that people read; its lines end with a line feed."""
Line = Annotated[str, AfterValidator(_line)]
"""A text of one line that people read."""
Time = Annotated[AwareDatetime, AfterValidator(storable_time)]
"""A moment; kept in UTC."""

MAX_REASON = 1000
WHY = "Why it is changed; kept in the history and in the audit log"
Reason = Annotated[Text, Field(max_length=MAX_REASON, description=WHY)]
"""Why someone changes something, in a request with a body."""
ReasonParam = Annotated[Text, Query(max_length=MAX_REASON, description=WHY, alias="reason")]
"""The same for requests without a body."""
