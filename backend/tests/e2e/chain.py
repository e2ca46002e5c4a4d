"""santa-supervise with santa-proxy and backends of their own, on the database of the deployment."""

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest

TIMEOUT = 60.0
"""How long a state may take to come, in seconds."""
LAUNCH = 'export LISTEN_PID=$$; exec "$@" 3<&0 </dev/null'
"""How systemd starts the service of a socket; the socket is the standard input."""


def free_addresses(count: int) -> list[str]:
    """Return distinct free addresses."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


class Chain:
    """One santa-supervise and what it runs; its files are in a folder of their own."""

    def __init__(
        self, folder: Path, public: str, inherited: socket.socket | None = None, **variables: str
    ) -> None:
        """Write its configuration; start it at `public` or on an `inherited` socket."""
        folder.mkdir(exist_ok=True)
        text = Path(os.environ["SANTA_E2E_CONFIG"]).read_text()
        if "PUBLIC_URL" in variables:
            text = re.sub(r"(?m)^PUBLIC_URL = .*$", "", text)
        head, *rest = re.split(r"(?m)^(?=\[\[service\]\]$|\[socket\.backend\]$)", text)
        parts = [part for part in rest if not re.search(r'(?m)^name = "(migrate|demo|database)"$', part)]
        self.config = folder / "santa.toml"
        self.config.write_text(re.sub(r"(?m)^depends_on = .*$", "", head + "".join(parts)))
        [admin] = free_addresses(1)
        self.url = f"http://{public}"
        self.environment = os.environ | {
            "SANTA__ADMIN__LISTEN": admin,
            "SANTA__SOCKET__HTTP__LISTEN": public,
            "SANTA__SOCKET__BACKEND__LISTEN": f"unix:{folder}/backend.sock",
            "SANTA__SUPERVISOR__CONTROL_SOCKET": f"{folder}/supervise.sock",
            "SANTA__SUPERVISOR__LOG__FORMAT": "json",
            **variables,
        }
        command = [os.environ["SANTA_E2E_SUPERVISE"], "run", "--config", str(self.config)]
        if inherited is not None:
            command = ["sh", "-c", LAUNCH, "sh", *command]
            self.environment["LISTEN_FDS"] = "1"
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - ours
                command,
                env=self.environment,
                stdin=None if inherited is None else inherited.fileno(),
                stdout=log,
                stderr=log,
            )

    def supervise(self, *words: str) -> str:
        """Give it a command."""
        command = [os.environ["SANTA_E2E_SUPERVISE"], *words, "--config", str(self.config)]
        done = subprocess.run(  # noqa: S603 - ours
            command, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def until(self, *states: str) -> None:
        """Wait until its backends are in these states."""
        deadline = time.monotonic() + TIMEOUT
        while self._states() != list(states):
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail(f"the backends are not {states}:\n{self.log.read_text()}")
            time.sleep(0.05)

    def _states(self) -> list[str]:
        try:
            status = json.loads(self.supervise("status", "--json"))
        except subprocess.CalledProcessError:
            return []
        return [service["state"] for service in status["services"] if service["name"] == "backend"]

    def stop(self) -> int:
        """Stop everything; return the exit code."""
        self.process.terminate()
        return self.process.wait(TIMEOUT)


class Pair(Chain):
    """One with two backends, at an address of its own."""

    def __init__(self, folder: Path, **variables: str) -> None:
        """Write its configuration and start it with further variables."""
        [public] = free_addresses(1)
        super().__init__(folder, public, None, **{"UVICORN_WORKERS": "2", **variables})
