"""Terraform files: rules of Workshop's provider and of Zentral's, in one file or in several of an archive."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from santaserver.importers import workshop, zentral_terraform
from santaserver.importers.collect import Collector
from santaserver.importers.hcl_source import Block, blocks_of
from santaserver.importers.json_source import JsonFile
from santaserver.importers.model import Options, Place, Report
from santaserver.importers.record import Record
from santaserver.importers.resource import Resource
from santaserver.importers.text import Text

META = frozenset({"lifecycle", "depends_on", "provider", "provisioner", "connection"})
"""Arguments that every resource can have and that say nothing about rules."""
REPEATS = ("for_each", "count")
RULES = frozenset({workshop.RULE, zentral_terraform.RULE, *workshop.SKIPPED})


def read(texts: Sequence[Text], options: Options, report: Report) -> None:
    """Read the files of one directory."""
    resources = []
    for text in texts:
        for block in blocks_of(text):
            if block.kind == "resource" and len(block.labels) == 2:  # noqa: PLR2004 - type and name
                resources.append(_resource(block))
            elif block.kind == "module":
                message = "Rules of a module are not in the file; import the output of `terraform show -json`"
                report.warn("unknown_key", message, block.place, None, "module")
    read_resources(resources, options, report)


def read_resources(resources: Iterable[Resource], options: Options, report: Report) -> None:
    """Read rules among resources."""
    report.choices = ("layer",)
    found = list(resources)
    zentral = zentral_terraform.Context(found, options, report)
    collector = Collector(report)
    rules = (one for one in found if one.type in RULES)
    for entry, resource in enumerate(rules, 1):
        if resource.type in workshop.SKIPPED:
            code, message = workshop.SKIPPED[resource.type]
            report.skip(code, message, resource.place, entry)
            continue
        repeat = next((name for name in REPEATS if name in resource.values), None)
        if repeat:
            message = f"{repeat} makes several rules; import the output of `terraform show -json` instead"
            place = resource.places.get(repeat, resource.place)
            report.mistake("unresolved_reference", message, place, entry, repeat)
            continue
        record = _record(entry, resource)
        if resource.type == workshop.RULE:
            workshop.take(record, options, collector, report)
        else:
            zentral.take(record, collector)
    collector.finish()


def _resource(block: Block) -> Resource:
    values = block.values | {inner.kind: {"block": inner.kind} for inner in block.blocks}
    return Resource(
        block.labels[0], block.labels[1], block.place, values, block.places, tuple(block.repeated)
    )


def _record(entry: int, resource: Resource) -> Record:
    values = {name: value for name, value in resource.values.items() if name not in META}
    find: Callable[[str], Place | None] = resource.places.get
    return Record(entry, resource.place, values, find, resource.repeated)


def read_state(file: JsonFile, options: Options, report: Report) -> None:
    """Read the output of `terraform show -json`: a state or a plan, with all values computed."""
    report.choices = ("layer",)
    values = file.fields.get("values")
    if not isinstance(values, dict):
        planned = file.fields.get("planned_values")
        values = planned if isinstance(planned, dict) else {}
    read_resources(_of_module(values.get("root_module")), options, report)


def _of_module(module: object) -> list[Resource]:
    """List the resources of a module and of those in it."""
    found: list[Resource] = []
    waiting = deque([module])
    while waiting:
        one = waiting.popleft()
        if not isinstance(one, dict):
            continue
        for resource in _list(one, "resources"):
            if isinstance(resource, dict) and resource.get("mode") == "managed":
                values = resource.get("values")
                known = values if isinstance(values, dict) else {}
                kept = {name: value for name, value in known.items() if value is not None}
                found.append(Resource(str(resource.get("type")), str(resource.get("name")), Place(), kept))
        waiting.extend(_list(one, "child_modules"))
    return found


def _list(values: Mapping[str, object], name: str) -> Sequence[object]:
    found = values.get(name)
    return found if isinstance(found, list) else ()
