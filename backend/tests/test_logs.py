"""What is logged while a request is handled can be found by the request's identifier."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from santaserver.logs import JsonFormatter
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the server writes to its log, as in production."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("santaserver")
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


def strays(log: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["message"].startswith("ignored a postflight")]


@pytest.mark.parametrize(
    ("parent", "trace"),
    [(f"00-{TRACE}-00f067aa0ba902b7-01", TRACE), ("00-nonsense-01", None), (None, None)],
)
def test_a_line_has_the_request_that_it_is_about(
    server: RunningServer, mac: SimulatedMac, log: io.StringIO, parent: str | None, trace: str | None
) -> None:
    mac.sync()
    fields = {"X-Request-Id": "of-the-proxy"}
    if parent is not None:
        fields["traceparent"] = parent
    path = f"{server.url}/api/santa/postflight/{mac.machine_id}"
    assert httpx.post(path, json={}, headers=fields).status_code == httpx.codes.OK
    (line,) = strays(log)
    assert (line["request_id"], line.get("trace_id")) == ("of-the-proxy", trace)


def test_a_line_of_another_request_or_of_none_has_not(
    server: RunningServer, mac: SimulatedMac, log: io.StringIO
) -> None:
    httpx.get(f"{server.url}/health/live", headers={"X-Request-Id": "before"})
    mac.sync()
    mac.post("postflight", {})
    logging.getLogger("santaserver").warning("of no request")
    (line,) = strays(log)
    assert "request_id" not in line
    assert "request_id" not in json.loads(log.getvalue().splitlines()[-1])
