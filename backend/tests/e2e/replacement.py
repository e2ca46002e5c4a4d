"""Replaces a running server under load and counts: `python -m tests.e2e.replacement WAY` measures one way.

`socket`: someone else keeps the listening socket open, as systemd does. `reuseport`: the new server starts
beside the old one at the same address. `stop`: one after the other, each with a socket of its own.
"""

import argparse
import json
import socket
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.e2e.chain import Chain
from tests.support.counting import Counting, Tally
from tests.support.network import isolate


def replace(way: str, folder: Path, requests: int, kept: bool) -> tuple[Tally, float]:
    """Replace a server in the middle of so many requests; return the tally and the seconds that it took."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as held:
        public = f"127.0.0.1:{held.getsockname()[1]}"
        if way != "socket":
            held.close()
        inherited = held if way == "socket" else None
        # That of the development loop is shorter than the image's.
        settings = {"SANTA__PROXY__TIMEOUTS__DRAIN": "5s"}
        if way == "reuseport":
            settings["SANTA__SOCKET__HTTP__REUSEPORT"] = "true"
        old = Chain(folder / "old", public, inherited, **settings)
        old.until("ready")
        running = [old]
        try:
            with Counting(public, kept) as counting:
                counting.until_answered(requests // 2)
                begun = time.monotonic()
                if way != "reuseport":
                    assert running.pop().stop() == 0
                new = Chain(folder / "new", public, inherited, **settings)
                running.append(new)
                new.until("ready")
                if way == "reuseport":
                    assert running.pop(0).stop() == 0
                took = time.monotonic() - begun
                counting.until_answered(requests)
        finally:
            codes = [chain.stop() for chain in running]
    assert codes == [0]
    return counting.tally, took


def main() -> None:
    """Measure one way and print the result as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["socket", "reuseport", "stop"])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--kept", action="store_true", help="on kept connections instead of new ones")
    parser.add_argument("--no-migration", action="store_true", help="tcp_migrate_req=0")
    arguments = parser.parse_args()
    if arguments.way == "reuseport":
        isolate(not arguments.no_migration)
    with tempfile.TemporaryDirectory(prefix="santa-") as folder:
        tally, took = replace(arguments.way, Path(folder), arguments.requests, arguments.kept)
        log = "".join(path.read_text() for path in sorted(Path(folder).glob("*/log")))
    warned = "net.ipv4.tcp_migrate_req=1" in log
    print(json.dumps(asdict(tally) | {"took": took, "warned": warned}))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
