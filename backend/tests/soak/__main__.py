"""The command behind `cargo xtask soak`, which starts the chain and says by variables where it is."""

import argparse
import sys
import time
from pathlib import Path

from tests.soak.cycles import Point, Soak
from tests.soak.judge import report, verdict
from tests.soak.system import System

INTERRUPTED = 130


def main() -> int:
    """Run, print a line for each cycle and then the report; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--report", type=Path, required=True, help="file for the report")
    options = parser.parse_args()
    soak = Soak(System.of_environment(), options.seed)
    interrupted = False
    begun = time.monotonic()
    try:
        for number, point in enumerate(soak.run(options.minutes * 60), 1):
            say(line(number, point, soak))
    except KeyboardInterrupt:
        interrupted = True
    seen = soak.finish()
    wrong = verdict(seen)
    text = report(seen, time.monotonic() - begun, wrong)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(text)
    say(text)
    if wrong:
        say(f"To repeat it: cargo xtask soak --minutes {options.minutes:g} --seed {options.seed}")
    return INTERRUPTED if interrupted else 1 if wrong else 0


def line(number: int, point: Point, soak: Soak) -> str:
    """Return what one cycle came to."""
    faults = ", ".join(window.fault for window in soak.seen.windows[-(1 if point.steady else 2) :])
    memory = sum(held.proportional for held in point.held.values()) / 1e6
    return (
        f"cycle {number}: {point.answered} answered, p99 {point.p99 * 1e3:.0f} ms, "
        f"{memory:.0f} MB, {len(soak.seen.wrong)} wrong; {faults}"
    )


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
