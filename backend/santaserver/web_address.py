"""Addresses that an agent's dialog opens on a click. Pure."""

import re
from typing import Annotated

from pydantic import AfterValidator

from santaserver.inputs import Line

HIDDEN = "null"
"""What hides the button."""
_ADDRESS = re.compile(r"https://[^\s/?#\\@]+(?:[/?#][^\s\\]*)?")


def _checked(address: str) -> str:
    if address not in {"", HIDDEN} and _ADDRESS.fullmatch(address) is None:
        raise ValueError("The address has to begin with https://, or be null to hide the button")
    return address


DialogAddress = Annotated[Line, AfterValidator(_checked)]
"""Empty, `null`, or https://…; it may have Santa's placeholders in it, such as %file_identifier%."""
