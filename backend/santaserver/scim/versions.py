"""Versions of resources: `ETag`, `If-Match` and `If-None-Match`, all optional (RFC 7644, 3.14). Pure."""

import re
from collections.abc import Mapping
from http import HTTPStatus

from santaserver.scim.errors import ScimError

MAX_HEADER = 4000
_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')


def tag_of(version: int) -> str:
    """Return the entity tag of a version."""
    return f'W/"{version}"'


def _names(header: str, tag: str) -> bool:
    return header.strip() == "*" or tag.removeprefix("W/") in _TAG.findall(header[:MAX_HEADER])


def check_version(fields: Mapping[str, str], version: int) -> None:
    """Raise an error when the request is about another version."""
    header = fields.get("if-match")
    if header is not None and not _names(header, tag_of(version)):
        raise ScimError(
            "The resource was changed since the version in If-Match: read it again",
            status=HTTPStatus.PRECONDITION_FAILED,
        )


def is_known(fields: Mapping[str, str], tag: str) -> bool:
    """Tell whether the client has this version already."""
    header = fields.get("if-none-match")
    return header is not None and _names(header, tag)
