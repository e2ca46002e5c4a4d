"""Short ways to read a file and to say what came out."""

from collections.abc import Iterable
from typing import Any

from santaserver.importers.model import Finding, Options, Report
from santaserver.importers.reader import read

SHA = "9e7b3a42301df87363549729c8c7e8e5dc6b84bc56bb644d2197c72e54812769"
OTHER = "316241a04670bfe3580890591f53e27fc8c314d60aa70f071c6a1f0d837fbb71"
CDHASH = "4b7b75b33de9b478183dc6d394b5726c94e555e5"
TEAM = "EQHXZ8M8AV"


def report(content: str | bytes, **options: Any) -> Report:  # noqa: ANN401 - as `Options` has them
    """Read a file."""
    data = content.encode() if isinstance(content, str) else content
    return read(data, Options(**options))


def rules(found: Report) -> list[tuple[str, str, str, str]]:
    """Return layer, type, identifier and policy of each rule."""
    return [(one.layer, one.rule_type, one.identifier, one.policy) for one in found.rules]


def codes(findings: Iterable[Finding]) -> list[str]:
    """Return the codes of findings."""
    return [one.code for one in findings]


def only(findings: Iterable[Finding]) -> Finding:
    """Return the one finding that there is."""
    (one,) = findings
    return one


def place(one: Finding) -> tuple[int | None, int | None]:
    """Return line and column."""
    return one.place.line, one.place.column
