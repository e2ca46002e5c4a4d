"""How long a backup, its check and a restore take, how large it is, and what rows of each kind cost.

    python -m tests.bench.backup [--rules 20000] [--macs 2000] [--events 600000]

The commands are processes, as an operator runs them.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.postgres import Cluster, execute, fetch, value

BACKEND = Path(__file__).parents[2]
KEY = "a-key-for-the-measurements-of-backups-0123456789"
FILL = Path(__file__).with_suffix(".sql")
COSTS = (
    ("event", "EVENT_RETENTION_DAYS"),
    ("event_hour", "COUNT_RETENTION_DAYS"),
    ("program_day", "COUNT_RETENTION_DAYS"),
    ("sync_session", "SYNC_RETENTION_DAYS"),
    ("machine_confirmation", "CONFIRMATION_RETENTION_DAYS"),
    ("machine_signature", "HISTORY_RETENTION_DAYS"),
    ("audit_detail", "AUDIT_DETAIL_RETENTION_DAYS"),
    ("audit_leaf", ""),
    ("policy_change", ""),
    ("rule_version", ""),
)
SIZE = """select sum(pg_total_relation_size(c.oid))::bigint from pg_class c
where c.oid = $1::text::regclass
  or c.oid in (select inhrelid from pg_inherits where inhparent = $1::text::regclass)"""


def timed(dsn: str, words: Sequence[str], source: Path | None, target: Path | None) -> float:
    """Run a command and return the seconds that it took."""
    environ = {**os.environ, "DATABASE_URL": dsn, "SECRET_KEY": KEY}
    began = time.monotonic()
    with (source or Path(os.devnull)).open("rb") as given, (target or Path(os.devnull)).open("wb") as out:
        command = [sys.executable, "-m", "santaserver", *words]
        subprocess.run(command, env=environ, cwd=BACKEND, stdin=given, stdout=out, check=True)  # noqa: S603
    return time.monotonic() - began


def tell(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, number in (("rules", 20_000), ("macs", 2_000), ("events", 600_000)):
        parser.add_argument(f"--{name}", type=int, default=number)
    wanted = parser.parse_args()
    cluster = Cluster()
    try:
        with TemporaryDirectory(dir=cluster.folder) as folder:
            measure(cluster, wanted, Path(folder))
    finally:
        cluster.stop()


def measure(cluster: Cluster, wanted: argparse.Namespace, folder: Path) -> None:
    """Fill a database, and take it through a drill, without events and with them."""
    dsn = cluster.dsn(cluster.create())
    timed(dsn, ["migrate"], None, None)
    statements = FILL.read_text("utf-8")
    for name, number in vars(wanted).items():
        statements = statements.replace(f"{{{name}}}", str(number))
    execute(dsn, statements)
    load = os.getloadavg()[0]
    tell(
        f"{wanted}, load {load:.1f}\n\n| | backup s | file MB | check s | restore s |\n|---|---|---|---|---|"
    )
    for name, words in (("without events", ["backup"]), ("with events", ["backup", "--events"])):
        file, other = folder / "file", cluster.dsn(cluster.create())
        made = timed(dsn, words, None, file)
        checked = timed(dsn, ["restore", "--check", "-"], file, None)
        restored = timed(other, ["restore", "-"], file, None)
        tell(f"| {name} | {made:.1f} | {file.stat().st_size / 1e6:.1f} | {checked:.1f} | {restored:.1f} |")
        assert fetch(dsn, "select count(*) from machine") == fetch(other, "select count(*) from machine")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    tell(f"\nlargest process: {largest} MiB\n\n| table | bytes a row | kept for |\n|---|---|---|")
    for table, setting in COSTS:
        rows, size = value(dsn, f"select count(*) from {table}"), value(dsn, SIZE, table)  # noqa: S608
        tell(f"| `{table}` | {size / rows:.0f} | {setting} |")


if __name__ == "__main__":
    main()
