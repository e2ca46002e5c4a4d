"""The long form of the model check; `cargo xtask model` brings what it needs and runs it."""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from santaserver.sync.states import Reason
from tests.model.runs import Outcome, Wanted, run_all
from tests.model.stacks import Proxied, Served, Stack

DESCRIPTION = """Lets simulated Macs, administrators and time loose on the real application and a PostgreSQL.
Exit code 0 when no Mac was ever wrong, 1 with the first wrong one, 130 when interrupted."""
INTERRUPTED = 130
EVERY = 15.0
"""Seconds between two lines of progress."""


def main() -> int:
    """Run worlds, print the progress and the result."""
    options = arguments()
    stacks = tuple(options.stack) or (Stack.name, Served.name, *([Proxied.name] if options.proxy else []))
    wanted = Wanted(
        options.syncs,
        None if options.minutes is None else options.minutes * 60,
        options.seed,
        min(options.world, -(-options.syncs // len(stacks))),
        options.processes,
        stacks,
        options.proxy,
    )
    began = message = time.monotonic()
    total = Outcome()
    interrupted = False
    try:
        for outcome in run_all(wanted):
            total += outcome
            now = time.monotonic()
            if total.wrong:
                break
            if now - message >= EVERY:
                message = now
                say(f"{total.syncs} machine-syncs, 0 wrong machines, {total.syncs / (now - began):.0f}/s")
    except KeyboardInterrupt:
        interrupted = True
    say(table(total, time.monotonic() - began, wanted))
    if total.wrong:
        say(f"\nWRONG: {total.wrong}\n\nTo repeat it: {again(total.wrong, wanted)}")
    return 1 if total.wrong else INTERRUPTED if interrupted else 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=DESCRIPTION)
    parser.add_argument("--syncs", type=int, default=1_000_000, help="machine-syncs in all")
    parser.add_argument("--minutes", type=float, help="begin no world after so many minutes")
    parser.add_argument("--world", type=int, default=5_000, help="most machine-syncs of one world")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first world")
    parser.add_argument("--processes", type=int, default=2, help="worlds at the same time")
    parser.add_argument(
        "--stack",
        action="append",
        default=[],
        choices=[Stack.name, Served.name, Proxied.name],
        help="what syncs go through; repeat it for several in turn (default: all)",
    )
    parser.add_argument("--proxy", type=Path, help="the built santa-proxy")
    options = parser.parse_args()
    if Proxied.name in options.stack and options.proxy is None:
        parser.error(f"--stack {Proxied.name} needs --proxy")
    return options


def table(total: Outcome, seconds: float, wanted: Wanted) -> str:
    """Return the sums as text."""
    seeds = f"{wanted.seed} to {wanted.seed + total.worlds - 1}"
    head = [
        ("machine-syncs", f"{total.syncs}"),
        ("of them after faults ended", f"{total.quiet_syncs}"),
        ("wrong machines", "1, see below" if total.wrong else "0"),
        ("settled machines compared", f"{total.settled}"),
        ("claims of being up to date compared", f"{total.claims}"),
        ("worlds (seeds)", f"{total.worlds} ({seeds})"),
        ("rate", f"{total.syncs / seconds:.0f}/s over {seconds:.0f} s"),
    ]
    sections = (
        ("machine-syncs through", total.stacks),
        ("syncs as Macs saw them", total.kinds),
        ("posts by form and coding, and what was posted beside syncs", total.posts),
        ("compared with the model beside whole rule tables", total.compared),
        ("faults", total.faults),
        ("clean syncs ordered because of", seen_or_not(total.reasons)),
    )
    lines = [f"{name:<36} {value}" for name, value in head]
    for title, counts in sections:
        lines += [f"\n{title}", *rows(counts)]
    return "\n".join(lines)


def seen_or_not(reasons: Counter[str]) -> Counter[str]:
    """Return counts of all reasons there are, 0 for those that never occurred."""
    return Counter({reason.value: reasons[reason.value] for reason in Reason})


def rows(counts: Counter[str]) -> list[str]:
    """Return counts as lines, the most frequent first."""
    return [f"  {name:<34} {number:>9}" for name, number in counts.most_common()]


def again(wrong: str, wanted: Wanted) -> str:
    """Return the command that runs the wrong world again."""
    seed, name = wrong.removeprefix("seed ").split(":", 1)[0].split(", ")
    return (
        f"cargo xtask model --syncs {wanted.world} --seed {seed} --stack {name}\n"
        "(the seed decides what happens, PostgreSQL in which order: it may take some runs)"
    )


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
