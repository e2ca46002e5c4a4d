"""The clients of the model on a server that is overloaded."""

import asyncio

import pytest

from tests.model import wire
from tests.model.wire import Answer, Cut, Request, exchange


class Busy:
    """Refuses some requests, then accepts them."""

    def __init__(self, refusals: int) -> None:
        self.left = refusals

    async def exchange(self, _: Request, __: Cut | None = None) -> Answer:
        self.left -= 1
        return Answer(503 if self.left >= 0 else 200, b"")

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(("patience", "refusals", "status"), [(60.0, 0, 200), (60.0, 3, 200), (0.0, 3, 503)])
def test_an_overloaded_server_is_asked_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch, patience: float, refusals: int, status: int
) -> None:
    monkeypatch.setattr(wire, "TIMEOUT", patience)
    monkeypatch.setattr(wire, "RETRY_AFTER", 0.001)
    response = asyncio.run(exchange(Busy(refusals), Request("POST", "/")))
    assert response.status == status
