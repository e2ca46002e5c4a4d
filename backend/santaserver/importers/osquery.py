"""Tables of rules read by osquery: rows of Santa's rules.db, and the tables of two extensions."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from santaserver.importers.dialect import Dialect
from santaserver.importers.identifiers import infer
from santaserver.importers.listed import read_list
from santaserver.importers.model import Options, Place, Report
from santaserver.importers.record import Record
from santaserver.importers.words import RULES_DB_POLICIES, RULES_DB_TYPES

KEYS = {
    "identifier": "identifier",
    "shasum": "identifier",
    "type": "rule_type",
    "state": "policy",
    "custommsg": "custom_msg",
    "custom_message": "custom_msg",
    "customurl": "custom_url",
    "custom_url": "custom_url",
    "comment": "comment",
    "cel_expr": "cel_expr",
}
RULES_DB = Dialect(
    keys=KEYS,
    policies=RULES_DB_POLICIES,
    types=RULES_DB_TYPES,
    cel_lost="Select the column cel_expr too",
)
FLEET = Dialect(keys=KEYS)
FLEET_TYPES = frozenset({"binary", "certificate", "teamid", "signingid", "unknown"})
Records = Iterable[Record]
"""Rows of a table."""
LOSSY = (
    "This table cannot tell allowed compilers from blocked programs, nor publishers from certificates. "
    "Export with `santactl rule --export`, or read the table rules of rules.db"
)


def read_rules_db(records: Iterable[Record], options: Options, report: Report) -> None:
    """Read rows of Santa's own table."""
    report.choices = ("layer", "message_to_comment")
    read_list(records, RULES_DB, options, report)


def read_fleet(records: Iterable[Record], options: Options, report: Report) -> None:
    """Read Fleet's table, whose words for types are shifted: the identifiers show the types."""
    report.choices = ("layer", "message_to_comment")
    read_list(_inferred(records, report), FLEET, options, report)


def refuse_trail_of_bits(place: Place, report: Report) -> None:
    """Refuse the table that confuses policies."""
    report.mistake("lossy_source", LOSSY, replace(place, column=1))


def _inferred(records: Iterable[Record], report: Report) -> Iterator[Record]:
    for record in records:
        word = str(record.fields.get("type", "")).lower()
        identifier = record.fields.get("identifier")
        found: str | None = infer(identifier) if isinstance(identifier, str) else None
        if found == "BINARY" and word != "binary":
            found = "CERTIFICATE"
        if found is None:
            if identifier:
                message = "No form of an identifier is recognized here, and this table's types are shifted"
                report.mistake("bad_identifier", message, record.at("identifier"), record.entry, "identifier")
                continue
            found = "BINARY"
        elif word != "binary" or found != "BINARY":
            message = f"This table's types are shifted: {word} is read as {found} by the identifier's form"
            report.warn("type_inferred", message, record.at("type"), record.entry, "type")
        yield replace(record, fields={**record.fields, "type": found})
