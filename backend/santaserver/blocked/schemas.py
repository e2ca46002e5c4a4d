"""The public response about a blocked program."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from santaserver.inputs import Input, Line, Text

Cause = Literal["file", "build", "app", "developer", "certificate", "path", "unknown", "other"]


class BlockedProgram(BaseModel):
    """The blocked program, and the kind of rule that blocked it."""

    name: str = Field(description="Name of the program; empty when nothing is known")
    publisher: str = Field(description="Who signed it; empty when nobody did, or nothing is known")
    cause: Cause | None = Field(
        description="`unknown`: no rule allowed it; else what the rule was for. null: nothing is known"
    )


_ADDRESS = re.compile(
    r"https://[^\s/?#\\@]+(?:[/?#][^\s\\]*)?|mailto:[^\s?@:/\\]+@[^\s?@:/\\]+(?:\?[^\s\\]*)?", re.IGNORECASE
)


def _checked(address: str) -> str:
    if address and _ADDRESS.fullmatch(address) is None:
        raise ValueError("The address has to begin with https:// or be mailto:NAME@DOMAIN")
    return address


class ContactUpdate(Input):
    """The new contact for questions about a blocked program; public."""

    text: Text = Field(
        max_length=500, description="Plain text, such as the name and hours of the help desk; may be empty"
    )
    url: Annotated[Line, AfterValidator(_checked)] = Field(
        max_length=2000, description="Where to ask: an https:// or mailto: address, or empty"
    )


class Contact(BaseModel):
    """The contact for questions about a blocked program; public."""

    text: str
    url: str
    etag: str = Field(description="For `If-Match`")
