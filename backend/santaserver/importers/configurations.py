"""One of several configurations in a file: the same target may mean something else in each."""

from collections.abc import Iterable

from santaserver.importers.model import Configuration, Place, Report

FIELD = "configuration"


def chosen(found: Iterable[Configuration], wanted: str, place: Place, report: Report) -> str | None:
    """Return the id of the configuration to read; None when a person has to choose first."""
    report.configurations = list(found)
    wanted = wanted.strip()
    if wanted:
        for one in report.configurations:
            if wanted in {one.id, one.name}:
                return one.id
        message = f"There is no configuration {wanted[:100]!r} in the file; it has {_listed(report)}"
    elif len(report.configurations) == 1:
        return report.configurations[0].id
    else:
        message = f"The file has several configurations, {_listed(report)}: choose one"
    report.mistake("choose_configuration", message, place, None, FIELD)
    return None


def _listed(report: Report) -> str:
    return ", ".join(one.name or one.id for one in report.configurations[:20]) or "none"
