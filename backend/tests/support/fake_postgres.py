"""Faulty servers on PostgreSQL's socket: one that refuses, and one whose connections die."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SOCKET = ".s.PGSQL.5432"


def refusal(state: str, text: str) -> bytes:
    """Return the message by which PostgreSQL refuses a new connection."""
    fields = b"".join(
        kind + value.encode() + b"\0"
        for kind, value in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", state), (b"M", text))
    )
    body = fields + b"\0"
    return b"E" + struct.pack("!i", len(body) + 4) + body


def _listen(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(folder / SOCKET))
    listener.listen(64)
    return listener


@contextmanager
def refusing(folder: Path, state: str, text: str) -> Iterator[None]:
    """Refuse every connection on the socket in `folder` with this SQLSTATE."""
    listener = _listen(folder)

    def run() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.recv(4096)
                    connection.sendall(refusal(state, text))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        (folder / SOCKET).unlink()


@dataclass(frozen=True)
class Ambush:
    """Which connection is ended at its commit, and when."""

    marker: bytes
    stored: bool


class Forwarder:
    """Forwards connections to a real server, until they die silently."""

    def __init__(self, folder: Path, target: Path) -> None:
        """Listen in `folder` for the server whose socket is in `target`."""
        self._target = str(target / SOCKET)
        self._listener = _listen(folder)
        self._open: list[socket.socket] = []
        self._dead = threading.Event()
        self.ambush: Ambush | None = None
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self) -> None:
        """Let nothing through any more on the connections there are; new ones work."""
        self._dead.set()
        self._dead = threading.Event()

    def lose_commit_of(self, marker: bytes, *, stored: bool) -> None:
        """End the next connection that sends `marker` at its commit, before or after it is stored."""
        self.ambush = Ambush(marker, stored)

    def stop(self) -> None:
        """End everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                far.connect(self._target)
                self._open += [near, far]
                pair = _Pair(self, near, far)
                for pump in (pair.ask, pair.answer):
                    threading.Thread(target=pump, args=(self._dead,), daemon=True).start()


class _Pair:
    """A client's connection and the one to the real server."""

    def __init__(self, forwarder: Forwarder, near: socket.socket, far: socket.socket) -> None:
        self._forwarder = forwarder
        self._near, self._far = near, far
        self._marked: Ambush | None = None
        self._losing = threading.Event()

    def ask(self, dead: threading.Event) -> None:
        """Pass on what the client sends."""
        with suppress(OSError):
            while data := self._near.recv(65536):
                if dead.is_set():
                    continue
                ambush = self._forwarder.ambush
                if ambush and ambush.marker in data:
                    self._marked = ambush
                if self._marked and b"COMMIT" in data:
                    if not self._marked.stored:
                        self._end()
                        return
                    self._losing.set()
                self._far.sendall(data)
            if not dead.is_set():
                self._far.shutdown(socket.SHUT_WR)

    def answer(self, dead: threading.Event) -> None:
        """Pass on what the server answers; what is to be lost is stored by then."""
        with suppress(OSError):
            while data := self._far.recv(65536):
                if dead.is_set():
                    continue
                if self._losing.is_set():
                    self._end()
                    return
                self._near.sendall(data)
            if not dead.is_set():
                self._near.shutdown(socket.SHUT_WR)

    def _end(self) -> None:
        for one in (self._near, self._far):
            one.shutdown(socket.SHUT_RDWR)
