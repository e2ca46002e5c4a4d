"""Zentral's rules as JSON or YAML: the list that its API answers, and the sets that its API takes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from santaserver.importers.collect import Collector
from santaserver.importers.configurations import FIELD, chosen
from santaserver.importers.dialect import Dialect
from santaserver.importers.entry import read_entry
from santaserver.importers.json_source import Elements, JsonFile
from santaserver.importers.listed import entries
from santaserver.importers.model import Configuration, Options, Place, Report
from santaserver.importers.record import Number, Record
from santaserver.importers.scopes import Scope, spread
from santaserver.importers.words import ZENTRAL_POLICIES
from santaserver.importers.yaml_source import YamlFile

KINDS = (("tags", "tag:"), ("primary_users", "user:"), ("serial_numbers", "serial:"))
SCOPES = frozenset({name for kind, _ in KINDS for name in (kind, f"excluded_{kind}")})
API = Dialect(
    keys={
        "target_type": "rule_type",
        "target_identifier": "identifier",
        "policy": "policy",
        "cel_expr": "cel_expr",
        "custom_msg": "custom_msg",
        "custom_url": "custom_url",
        "description": "comment",
    },
    policies=ZENTRAL_POLICIES,
    other=SCOPES | {FIELD},
    cel_lost="Older releases of Zentral do not tell it",
)
SET = Dialect(
    keys={
        "rule_type": "rule_type",
        "identifier": "identifier",
        "sha256": "identifier",
        "policy": "policy",
        "cel_expr": "cel_expr",
        "custom_msg": "custom_msg",
        "custom_url": "custom_url",
        "description": "comment",
    },
    other=SCOPES,
)
SET_NAMES = frozenset({"name", "configurations", "rules"})


def read_api(file: JsonFile, options: Options, report: Report) -> None:
    """Read what GET /api/santa/rules/ answers."""
    report.choices = ("layer", FIELD, "tag_names")
    rules = file.list if file.list is not None else file.fields.get("results")
    if not isinstance(rules, Elements):
        report.mistake("bad_value", "`results` is not a list", file.place("results"), None, "results")
        return
    _check_pages(file, rules, report)
    counts = Counter(str(value.get(FIELD)) for value, _ in rules if isinstance(value, dict))
    found = (Configuration(name, name, count) for name, count in sorted(counts.items()))
    configuration = chosen(found, options.configuration, Place(1, 1), report) if counts else ""
    own = _of_configuration(entries(rules, report), configuration, report)
    _read_scoped(own, API, options, report, keep=configuration is not None)


def read_set(file: JsonFile | YamlFile, options: Options, report: Report) -> None:
    """Read the body of a call of rulesets/update."""
    report.choices = ("layer",)
    for name in file.fields:
        if name not in SET_NAMES:
            place = file.place(name) if isinstance(file, JsonFile) else file.places.get(name, Place())
            message = f"{name[:100]!r} is not part of a ruleset; it is left out"
            report.warn("unknown_key", message, place, None, name)
    if isinstance(file, YamlFile):
        records: Iterable[Record] = file.records(report)
    elif isinstance(rules := file.fields.get("rules"), Elements):
        records = entries(rules, report)
    else:
        report.mistake("bad_value", "`rules` is not a list", file.place("rules"), None, "rules")
        return
    _read_scoped(records, SET, options, report)


def _check_pages(file: JsonFile, rules: Elements, report: Report) -> None:
    """Report a page that is not the whole list."""
    count = file.fields.get("count")
    for name in ("next", "previous"):
        if file.fields.get(name):
            message = f"{len(rules)} of {count or 'more'} rules: `{name}` names a page that is missing"
            report.mistake("incomplete_page", message, file.place(name), None, name)
            return
    if isinstance(count, str) and count != str(len(rules)):
        message = f"{len(rules)} of {count} rules: a page is missing"
        report.mistake("incomplete_page", message, file.place("count"), None, "count")


def _of_configuration(
    records: Iterable[Record], configuration: str | None, report: Report
) -> Iterator[Record]:
    for record in records:
        own = str(record.fields.get(FIELD))
        if configuration and own != configuration:
            message = f"It belongs to configuration {own}"
            report.skip("other_configuration", message, record.place, record.entry)
        else:
            yield record


def _read_scoped(
    records: Iterable[Record], dialect: Dialect, options: Options, report: Report, *, keep: bool = True
) -> None:
    """Read rules with scopes; `keep` says whether they are of one configuration, else only mistakes count."""
    collector = Collector(report)
    for record in records:
        rule = read_entry(record, dialect, report)
        scope = _scope(record, options.tag_names, report)
        if rule is None or scope is None or not keep:
            continue
        for one in spread(rule, scope, options.layer, report):
            collector.add(one)
    collector.finish()


def _scope(record: Record, tag_names: Mapping[str, str], report: Report) -> Scope | None:
    """Return the scope; None when a part of it is not known."""
    scope = Scope(place=record.place)
    known = True
    for prefix, layers in (("", scope.included), ("excluded_", scope.excluded)):
        for name, kind in KINDS:
            key = prefix + name
            values = record.fields.get(key)
            if values in (None, "", []):
                continue
            names = _names(values, key, record, report)
            if names is None:
                known = False
                continue
            if kind == "tag:":
                names = [tag_names.get(one, one) for one in names]
                known = _tags_have_names(names, key, record, report) and known
            layers += [kind + one for one in names]
            if prefix:
                scope.key = scope.key or key
    return scope if known else None


def _names(values: object, key: str, record: Record, report: Report) -> list[str] | None:
    if isinstance(values, list) and all(isinstance(one, str) and one.strip() for one in values):
        return [one if isinstance(one, Number) else one.strip() for one in values]
    message = f"{key} is a list of names"
    report.mistake("bad_value", message, record.at(key), record.entry, key)
    return None


def _tags_have_names(names: list[str], key: str, record: Record, report: Report) -> bool:
    numbers = [one for one in names if isinstance(one, Number)]
    if not numbers:
        return True
    message = (
        f"Only the numbers of tags are in the file: {', '.join(numbers[:20])}. Say what they are called "
        "(`tag_names`, from GET /api/inventory/tags/ there)"
    )
    report.mistake("scope_unresolved", message, record.at(key), record.entry, key)
    return False
