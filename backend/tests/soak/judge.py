"""Judges a whole run, and says what came of it as Markdown. Pure."""

from collections import Counter

from tests.soak.cycles import Point, Seen
from tests.soak.outcomes import SLOW, late, quantile, unexplained
from tests.soak.trends import LIMITS, leaks, settled, trend

SLOWER = 1.5
"""How much higher the p99 of the last steady cycles may be than that of the first."""
LEAST_LATENCY = 0.05
"""Seconds below which a p99 is nobody's concern."""
SHOWN = 40
"""Sentences of a kind that a report has at most."""


def steady_series(points: list[Point]) -> dict[tuple[str, str], list[float]]:
    """Return each figure of each process over the cycles in which no process ends."""
    series: dict[tuple[str, str], list[float]] = {}
    for point in points:
        for process, held in point.held.items() if point.steady else ():
            for figure, number in held.figures().items():
                series.setdefault((process, figure), []).append(number)
    return series


def slower(points: list[Point]) -> list[str]:
    """Return whether responses came later in the end than in the beginning of the steady cycles."""
    seconds = settled([point.p99 for point in points if point.steady])
    third = max(1, len(seconds) // 3)
    first, last = quantile(seconds[:third], 0.5), quantile(seconds[-third:], 0.5)
    if last > LEAST_LATENCY and last > SLOWER * first:
        return [f"p99 grew from {first * 1e3:.0f} ms to {last * 1e3:.0f} ms over the steady cycles"]
    return []


def verdict(seen: Seen) -> list[str]:
    """Return everything that is wrong, one sentence each."""
    return [
        *seen.wrong,
        *unexplained(seen.problems, seen.windows),
        *late(seen.problems, seen.windows),
        *leaks(steady_series(seen.points)),
        *slower(seen.points),
    ]


def report(seen: Seen, seconds: float, wrong: list[str]) -> str:
    """Return the whole run as Markdown."""
    answered = sum(point.answered for point in seen.points)
    calm = [point for point in seen.points if point.steady]
    p99 = quantile([point.p99 for point in calm], 0.5)
    lines = [
        f"# Soak of {seconds / 60:.1f} minutes, seed {seen.seed}",
        "",
        f"**{'passed' if not wrong else f'FAILED: {len(wrong)} things are wrong'}**",
        "",
        f"- {answered:,} requests answered in {len(seen.points)} cycles, {len(calm)} of them steady",
        f"- p99 {p99 * 1e3:.0f} ms while nothing was wrong, the median of the steady cycles",
        f"- {seen.acknowledged:,} changes of rules acknowledged, {seen.unknown} without a response",
        f"- {seen.syncs:,} whole syncs, {seen.executions:,} executions acknowledged",
        f"- {seen.checkpoints} checkpoints of the audit log",
        "",
        "## Faults",
        "",
        "| fault | times | requests it cut or refused | recovered after at most | limit |",
        "|---|---:|---:|---:|---:|",
        *faults(seen),
        "",
        "## What processes hold at the idle points of the steady cycles",
        "",
        "| process | figure | first | last | growth in a cycle | certain growth |",
        "|---|---|---:|---:|---:|---:|",
        *growth(seen),
        "",
    ]
    if wrong:
        lines += ["## What is wrong", "", *(f"- {text}" for text in wrong[:SHOWN])]
        lines += [f"- … and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
    return "\n".join(lines) + "\n"


def faults(seen: Seen) -> list[str]:
    """Return a row for each fault that happened."""
    times = Counter(window.fault for window in seen.windows)
    rows = []
    for name, number in sorted(times.items()):
        windows = [window for window in seen.windows if window.fault == name]
        hurt = sum(
            problem.kind != SLOW and window.brought(problem) and window.covers(problem)
            for window in windows
            for problem in seen.problems
        )
        taken = max(window.recovery(seen.problems) for window in windows)
        rows.append(f"| {name} | {number} | {hurt} | {taken:.2f} s | {windows[0].limit:g} s |")
    return rows


def growth(seen: Seen) -> list[str]:
    """Return a row for each figure of each process."""
    rows = []
    for (process, figure), values in sorted(steady_series(seen.points).items()):
        later = settled(values)
        if len(later) < 2:
            continue
        found = trend(later)
        scale, unit = (1e6, " MB") if figure == "private memory" else (1.0, "")
        cells = " | ".join(f"{number / scale:,.2f}{unit}" for number in (later[0], later[-1], found.slope))
        sure = "**yes**" if LIMITS[figure].exceeded(found) else "no"
        rows.append(f"| {process} | {figure} | {cells} | {sure} |")
    return rows
