"""The running chain from outside: what santa-supervise says of it, its processes, its addresses."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.postgres import execute, value

INSTANCES = re.compile(r"(?m)^instances = .*$")
TICK = 0.05
SETTLE = 10.0
"""Seconds within which connections that nobody uses any more are closed."""
OURS = ("backend", "proxy")
"""The services that are judged by what they hold; the database is someone else's program."""


@dataclass(frozen=True)
class Part:
    """One running instance of a service."""

    name: str
    instance: int
    state: str
    pid: int

    @property
    def label(self) -> str:
        """Return how santa-supervise calls it."""
        return f"{self.name}:{self.instance}"


@dataclass(frozen=True)
class Held:
    """What a process holds at one moment."""

    private: int
    """Bytes of memory that nobody shares and that it has written to."""
    proportional: int
    """Bytes of memory, shared ones by the number of those who share them."""
    descriptors: int
    threads: int

    def figures(self) -> dict[str, float]:
        """Return those that are judged, by their names in `trends.LIMITS`."""
        return {"private memory": self.private, "descriptors": self.descriptors, "threads": self.threads}


@dataclass(frozen=True)
class System:
    """Where everything is."""

    url: str
    username: str
    password: str
    secret: str
    dsn: str
    supervise_program: Path
    config: Path
    load_program: Path | None

    @classmethod
    def of_environment(cls) -> "System":
        """Read what `cargo xtask` says of the chain that it has started."""
        found = json.loads(Path(os.environ["SANTA_E2E_CREDENTIALS"]).read_text())
        load = os.environ.get("SANTA_LOAD")
        return cls(
            url=found["url"],
            username=found["admin"]["username"],
            password=found["admin"]["password"],
            secret=found["enrollment_secret"],
            dsn=found["database_url"],
            supervise_program=Path(os.environ["SANTA_E2E_SUPERVISE"]),
            config=Path(os.environ["SANTA_E2E_CONFIG"]),
            load_program=Path(load) if load else None,
        )

    @property
    def address(self) -> str:
        """Return host and port of the public socket."""
        return self.url.removeprefix("http://")

    def supervise(self, *words: str) -> str:
        """Give santa-supervise a command."""
        command = [str(self.supervise_program), *words, "--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if done.returncode != 0:
            raise RuntimeError(f"santa-supervise {' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    def parts(self, *names: str) -> list[Part]:
        """Return the instances that run, of some services or of all."""
        status = json.loads(self.supervise("status", "--json"))
        return [
            Part(one["name"], one["instance"], one["state"], one["pid"])
            for one in status["services"]
            if one["pid"] is not None and (not names or one["name"] in names)
        ]

    def ready(self, instances: int) -> bool:
        """Tell whether the proxy and so many backends are ready."""
        return sum(part.state == "ready" for part in self.parts(*OURS)) == instances + 1

    def until_ready(self, instances: int, seconds: float = 60.0) -> bool:
        """Wait until that is so; tell whether it came."""
        deadline = time.monotonic() + seconds
        while not self.ready(instances):
            if time.monotonic() > deadline:
                return False
            time.sleep(TICK)
        return True

    def set_instances(self, number: int) -> None:
        """Have another number of backends run, by a changed configuration; wait until they do."""
        text, changed = INSTANCES.subn(f"instances = {number}", self.config.read_text(), count=1)
        if changed != 1:
            raise RuntimeError(f"{self.config} does not say how many backends there are")
        self.config.write_text(text)
        self.supervise("reload-config")
        if not self.until_ready(number):
            raise RuntimeError(f"there are no {number} backends after the reload of the configuration")

    def make_durable(self) -> None:
        """Have the database keep what it acknowledges: that of the development loop may not, in a crash.

        Killed processes lose nothing that is in the kernel's hands, so fsync may stay off.
        """
        execute(self.dsn, "alter role current_user set synchronous_commit = on")
        self.supervise("rolling-restart", "backend")

    def database_answers(self) -> bool:
        """Tell whether the database takes connections."""
        try:
            return bool(value(self.dsn, "select 1") == 1)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it does not answer
            return False

    def until_database_answers(self, seconds: float = 60.0) -> float:
        """Wait for the database; return the moment since which it answers."""
        deadline = time.monotonic() + seconds
        while not self.database_answers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the database is not back after {seconds:g} s")
            time.sleep(TICK)
        return time.monotonic()

    def held(self) -> dict[str, Held]:
        """Return what each of our processes holds, once that no longer shrinks."""
        return at_rest(lambda: {part.label: held_by(part.pid) for part in self.parts(*OURS)}, 0.5)


def at_rest(read: Callable[[], dict[str, Held]], tick: float) -> dict[str, Held]:
    """Read until the numbers of descriptors are twice the same, or for too long."""
    deadline = time.monotonic() + SETTLE
    before: dict[str, int] = {}
    while True:
        found = read()
        now = {label: held.descriptors for label, held in found.items()}
        if now == before or time.monotonic() > deadline:
            return found
        before = now
        time.sleep(tick)


def held_by(pid: int) -> Held:
    """Return what a process holds now."""
    folder = Path(f"/proc/{pid}")
    memory = dict(re.findall(r"(?m)^(\w+):\s+(\d+) kB$", (folder / "smaps_rollup").read_text()))
    [threads] = re.findall(r"(?m)^Threads:\s+(\d+)$", (folder / "status").read_text())
    descriptors = len(list((folder / "fd").iterdir()))
    return Held(int(memory["Private_Dirty"]) * 1024, int(memory["Pss"]) * 1024, descriptors, int(threads))


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found, open_ones = [], [pid]
    while open_ones:
        one = open_ones.pop()
        found.append(one)
        open_ones += parents.get(one, [])
    return found


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may just have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Keep processes from running."""
    for pid in pids:
        send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            send(pid, signal.SIGCONT)
