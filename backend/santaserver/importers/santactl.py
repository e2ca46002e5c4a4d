"""Rules in the form of `santactl rule --export`, and packs of rules written after it by hand."""

from santaserver.importers.dialect import Dialect
from santaserver.importers.json_source import Elements, JsonFile
from santaserver.importers.listed import entries, read_list
from santaserver.importers.model import Options, Report
from santaserver.importers.yaml_source import YamlFile

DIALECT = Dialect(
    cdhash_unknown=True,
    foreign={
        "type": "rule_type in Santa's database",
        "state": "policy in Santa's database",
        "custommsg": "custom_msg in Santa's database",
        "customurl": "custom_url in Santa's database",
    },
)


def read(file: JsonFile | YamlFile, options: Options, report: Report) -> None:
    """Read an object with a list of rules, or only the list."""
    report.choices = ("layer", "last_wins", "message_to_comment")
    if isinstance(file, YamlFile):
        read_list(file.records(report), DIALECT, options, report)
        return
    for name in file.fields:
        if name != "rules" and not name.startswith("_"):
            message = f"{name[:100]!r} is not part of a list of rules; it is left out"
            report.warn("unknown_key", message, file.place(name), None, name)
    rules = file.list if file.list is not None else file.fields.get("rules")
    if isinstance(rules, Elements):
        read_list(entries(rules, report), DIALECT, options, report)
    else:
        report.mistake("bad_value", "`rules` is not a list", file.place("rules"), None, "rules")
