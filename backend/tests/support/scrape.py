"""Reads Prometheus text."""

import re
from collections.abc import Mapping

import httpx

SERIES = re.compile(r'(\w+)(?:{((?:\w+="[^"]*",?)*)})? (\S+)')


def series_in(text: str) -> dict[str, float]:
    """Return the number of each series, by its name and labels as they are written."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        matched = SERIES.fullmatch(line)
        assert matched is not None, line
        name = line[: matched.start(3) - 1]
        assert name not in found, f"twice: {line}"
        found[name] = float(matched[3])
    return found


def types_in(text: str) -> dict[str, str]:
    """Return the kind of each family."""
    return dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))


def scrape(url: str) -> dict[str, float]:
    """Return the series of a worker, without the prefix of their names."""
    response = httpx.get(f"{url}/metrics")
    assert response.status_code == httpx.codes.OK
    return {name.removeprefix("santa_backend_"): number for name, number in series_in(response.text).items()}


def grown(before: Mapping[str, float], after: Mapping[str, float], *names: str) -> dict[str, float]:
    """Return by how much the series of some families have grown, those that have."""
    return {
        name: number - before.get(name, 0)
        for name, number in after.items()
        if name.partition("{")[0] in names and number != before.get(name, 0)
    }
