"""Clients in threads that go on until they are stopped."""

import threading
from abc import ABC, abstractmethod
from typing import Self


class Clients(ABC):
    """Some threads that send requests while a `with` block runs."""

    def __init__(self, number: int) -> None:
        """Prepare them."""
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(number)]

    def __enter__(self) -> Self:
        """Start."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and wait."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Send requests until `_stop` is set."""
