"""Faulty servers on PostgreSQL's socket: one that refuses, and one whose connections die."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


class Forwarder:
    """Forwards connections to a real server, until they die silently."""

    def __init__(self, folder: Path, target: Path) -> None:
        """Listen in `folder` for the server whose socket is in `target`."""
        self._target = str(target / SOCKET)
        self._listener = _listen(folder)
        self._open: list[socket.socket] = []
        self._dead = threading.Event()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self) -> None:
        """Let nothing through any more on the connections there are; new ones work."""
        self._dead.set()
        self._dead = threading.Event()

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
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, sink, self._dead), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, dead: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if dead.is_set():
                continue
            sink.sendall(data)
        if not dead.is_set():
            sink.shutdown(socket.SHUT_WR)
