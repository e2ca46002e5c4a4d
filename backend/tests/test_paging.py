"""Cursors of REST lists: ours are always accepted, with any value at a page's border."""

import json
import logging

import httpx
import pytest

from santaserver.logs import JsonFormatter
from santaserver.paging import MAX_CURSOR, decode_cursor, encode_cursor
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

NAMES = {
    "kana": "\u30de" * 124,
    "longest": "\U0001f600" * 500,
    "cut": "x" * 5000,
    "quotes": '"\\' * 250,
    "controls": "\x01" * 500,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_may_end_with_any_host_name(server: RunningServer, admin: httpx.Client, name: str) -> None:
    macs = [SimulatedMac(server.url, hostname=NAMES[name]) for _ in range(3)]
    for mac in macs:
        mac.post("preflight", mac.preflight_body())
        mac.close()
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        response = admin.get("/api/v1/machines", params=params)
        assert response.status_code == httpx.codes.OK, response.text
        seen += [item["machine_id"] for item in response.json()["items"]]
        cursor = response.json()["next_cursor"]
        if cursor is None:
            break
        assert len(cursor) <= MAX_CURSOR
    assert sorted(seen) == sorted(mac.machine_id for mac in macs)


def test_the_longest_sort_key_fits() -> None:
    key = ("SIGNINGID", "\U0001f600" * 1000)
    cursor = encode_cursor(key)
    assert len(cursor) <= MAX_CURSOR
    assert decode_cursor(cursor, (str, str)) == list(key)


@pytest.mark.parametrize("text", ["\ud83d", "a\udc00b", "\0", "\u2028", "\x1b[31m"])
def test_a_log_line_can_be_written_whatever_it_says(text: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "said %s", (text,), None)
    line = JsonFormatter().format(record)
    assert line.encode()
    assert "\n" not in line
    assert json.loads(line)["message"].startswith("said ")
