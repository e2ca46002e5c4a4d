"""Serves one peer as SantaServer is served: `python -m tests.bench.peers KIND --uds PATH`."""

import argparse
import os

import uvicorn

from tests.bench.peers import PEERS, rest

APPLICATIONS = {kind: peer.create_app for kind, peer in PEERS.items()} | {"rest": rest.create_app}


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("kind", choices=tuple(APPLICATIONS))
    parser.add_argument("--uds", required=True)
    arguments = parser.parse_args()
    app = APPLICATIONS[arguments.kind](os.environ["DATABASE_URL"])
    uvicorn.run(
        app,
        uds=arguments.uds,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=75,
        backlog=2048,
    )


if __name__ == "__main__":
    main()
