"""The arguments of `santaserver import`."""

import argparse
from pathlib import Path

EPILOG = """exit codes: 0 previewed, applied or nothing to do; 1 errors in the file, or refused; 2 usage.

examples:
  santaserver import global.toml
  santaserver import rules.json --configuration 1 --apply --reason "moved from Zentral"
  santaserver import export.json --layer tag:pilot --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("file", type=Path, metavar="FILE", help="a file of any format; - for standard input")
    parser.add_argument("--apply", action="store_true", help="import the file; without it, only a preview")
    parser.add_argument(
        "--layer", default="global", help="of rules without scope: global, tag:NAME, user:NAME or machine:ID"
    )
    parser.add_argument(
        "--configuration", default="", metavar="ID", help="of several in the file (Zentral): its id or name"
    )
    parser.add_argument("--last-wins", action="store_true", help="of two rules for one target, take the last")
    parser.add_argument(
        "--message-to-comment", action="store_true", help="make messages of rules that allow their comments"
    )
    parser.add_argument(
        "--tag-name",
        type=_pair,
        action="append",
        default=[],
        metavar="NUMBER=NAME",
        help="what a tag is called that the file has only the number of; can be repeated",
    )
    parser.add_argument("--file-name", help="the file's name, if it is not the one given (Moroz)")
    parser.add_argument(
        "--remove-missing",
        action="store_true",
        help="in the layers that the file names, remove rules that it does not name",
    )
    parser.add_argument(
        "--override-guard", action="store_true", help="import rules even if they block what Macs need"
    )
    parser.add_argument("--reason", default="", help="stored with every version that the import creates")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def _pair(text: str) -> tuple[str, str]:
    number, sign, name = text.partition("=")
    if not sign or not number.strip() or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NUMBER=NAME")
    return number.strip(), name.strip()
