"""Validates the CycloneDX document on standard input, and a copy of it that is wrong: proof that it looks."""

import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def verdict(text: str) -> str:
    """Return "valid", or what is wrong."""
    try:
        document = json.loads(text)
        first = document["components"][0]
    except (ValueError, LookupError, TypeError) as error:
        return f"invalid: no components in it ({error!r})"
    if document.get("specVersion") != "1.6":
        return f"invalid: its version is {document.get('specVersion')!r}"
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    error = validator.validate_str(text)
    if error is not None:
        return "invalid: " + " ".join(str(error).split())[:300]
    first["type"] = "no such type"
    return "blind" if validator.validate_str(json.dumps(document)) is None else "valid"


print(verdict(sys.stdin.read()))
