"""Santa's log of executions: no rules, but what programs ran or were blocked."""

import re
from collections.abc import Iterator

from santaserver.importers.model import Candidate, Report
from santaserver.importers.text import Text

LINE = re.compile(r"\[\d{4}-\d\d-\d\dT[^\]]{1,40}\] \w santad?: ")
MAX_CANDIDATES = 10_000
SHOWN = 1000


def is_log(text: Text) -> bool:
    """Tell whether a text is a log."""
    return LINE.match(text.content.lstrip()[:200]) is not None


def read(text: Text, report: Report) -> None:
    """Count executions by program and decision."""
    found: dict[tuple[str, ...], Candidate] = {}
    others = 0
    for offset, line in _lines(text.content):
        start = LINE.match(line)
        if start is None:
            others += bool(line.strip())
            continue
        values = _values(line[start.end() :])
        if values.get("action") != "EXEC" or not values.get("sha256"):
            continue
        decision, reason, sha256, path = (
            values.get(name, "") for name in ("decision", "reason", "sha256", "path")
        )
        key = (decision, reason, sha256, path)
        if key in found:
            found[key].count += 1
        elif len(found) < MAX_CANDIDATES:
            found[key] = Candidate(
                text.place(offset),
                decision,
                reason,
                sha256,
                path,
                cert_sha256=values.get("cert_sha256", ""),
                team_id=values.get("teamid", ""),
                quarantine_url=values.get("quarantine_url", ""),
            )
        elif len(found) == MAX_CANDIDATES:
            message = f"Only the first {MAX_CANDIDATES} programs are listed"
            report.warn("too_large", message, text.place(offset))
            break
    report.candidates = list(found.values())
    if others:
        report.warn("unknown_key", f"{others} lines are not of Santa's log; they are left out")


def _lines(content: str) -> Iterator[tuple[int, str]]:
    at = 0
    while at < len(content):
        end = content.find("\n", at)
        end = len(content) if end < 0 else end
        yield at, content[at:end]
        at = end + 1


def _values(line: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in line.split("|"):
        name, sign, value = part.partition("=")
        if sign:
            values.setdefault(name, value[:SHOWN].replace("<pipe>", "|").replace("\\n", "\n"))
    return values
