"""Counts what is not told one by one, until it is told as one message. Pure."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from santaserver.live.steps import step_of
from santaserver.outbox import Message

Decisions = Mapping[str, int]


class Tally:
    """What happened since it was taken last."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._steps: Counter[str] = Counter()
        self._machines: dict[str, bool] = {}
        """Checksums, and whether something changed."""
        self._shown: Counter[str] = Counter()
        self._hidden: Counter[str] = Counter()

    def __bool__(self) -> bool:
        """Tell whether there is something to tell."""
        return bool(self._steps or self._shown or self._hidden)

    @property
    def hidden(self) -> bool:
        """Tell whether there are events that nobody was shown."""
        return bool(self._hidden)

    def step(self, mark: str) -> None:
        """Count a step of a sync."""
        machine, code = mark[:-1], mark[-1]
        self._steps[code] += 1
        changed = step_of(code).changed or step_of(code).refused
        self._machines[machine] = changed or self._machines.get(machine, False)

    def events(self, decisions: Decisions, *, shown: bool) -> None:
        """Count events by decision; `shown` ones were also told in full to whoever shows them."""
        (self._shown if shown else self._hidden).update(decisions)

    def take_syncs(self, at: datetime) -> Message | None:
        """Return the summary of the syncs, and forget it."""
        if not self._steps:
            return None
        summary = {"started": 0, "finished": 0, "refused": 0}
        kinds = {"normal": 0, "clean": 0, "clean_all": 0}
        for code, count in self._steps.items():
            step = step_of(code)
            if step.stage == "preflight":
                summary["started"] += count
                kinds[step.kind] += count
            else:
                summary["refused" if step.refused else "finished"] += count
        machines, changed = len(self._machines), sum(self._machines.values())
        self._steps, self._machines = Counter(), {}
        return {
            "type": "syncs",
            "at": at,
            "machines": machines,
            **summary,
            "changed": changed,
            "kinds": kinds,
        }

    def take_events(self) -> tuple[Decisions, Decisions]:
        """Return the events that nobody was shown, and all events, by decision; forget them."""
        hidden, every = self._hidden, self._hidden + self._shown
        self._hidden, self._shown = Counter(), Counter()
        return hidden, every
