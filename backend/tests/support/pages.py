"""A Mac that syncs once, then an administrator's open pages: `python -m tests.support.pages URL COUNT`.

Prints `open` when all is done, and keeps the pages' WebSockets open until its input ends. The
environment has `ADMIN_PASSWORD` of `admin` and `ENROLLMENT_SECRET`.
"""

import json
import os
import sys
from contextlib import ExitStack

import httpx
from websockets.sync.client import connect

from tests.support.santa_client import SimulatedMac


def main(url: str, count: int) -> None:
    """Sync, log in, open `count` WebSockets and wait."""
    mac = SimulatedMac(url, secret=os.environ["ENROLLMENT_SECRET"])
    mac.sync()
    mac.close()
    account = {"username": "admin", "password": os.environ["ADMIN_PASSWORD"]}
    with httpx.Client(base_url=url, headers={"Origin": url}, timeout=30) as client:
        client.post("/api/v1/auth/login", json=account).raise_for_status()
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
    address = url.replace("http", "ws", 1) + "/api/v1/live"
    with ExitStack() as stack:
        for _ in range(count):
            page = stack.enter_context(connect(address, additional_headers={**headers, "Origin": url}))
            assert json.loads(page.recv(timeout=30))["type"] == "hello"
        sys.stdout.write("open\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
