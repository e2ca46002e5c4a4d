"""An authenticator app, and people with one."""

import base64
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from santaserver.second_factor import totp
from tests.conftest import ADMIN
from tests.support import secrets
from tests.support.rest_client import RestClient
from tests.support.server import MovableClock, RunningServer

LOGIN = "/api/v1/auth/login"
CODE = "/api/v1/auth/second-factor"
TOTP = f"{CODE}/totp"
ME = "/api/v1/auth/me"
SESSION = "santa_session"
PENDING = "santa_login"


class App:
    """An authenticator app on a phone, which reads the same address as a camera does."""

    def __init__(self, uri: str, clock: MovableClock) -> None:
        """Read the QR code."""
        address = urlsplit(uri)
        assert (address.scheme, address.netloc) == ("otpauth", "totp")
        values = parse_qs(address.query)
        assert values["digits"] == ["6"]
        assert values["period"] == ["30"]
        assert values["algorithm"] == ["SHA1"]
        text = values["secret"][0]
        self.secret = base64.b32decode(text + "=" * (-len(text) % 8))
        self.clock = clock

    def code(self, steps: int = 0) -> str:
        """Return the code that it shows, or showed some steps before."""
        return totp.code_at(self.secret, totp.step_at(self.clock()) + steps)

    def wrong(self) -> str:
        """Return a code that it does not show now."""
        near = {self.code(steps) for steps in range(-3, 4)}
        return next(f"{number:06}" for number in range(10) if f"{number:06}" not in near)


@dataclass
class Person:
    """Someone with a second factor."""

    name: str
    app: App
    codes: list[str]


def login(client: httpx.Client, name: str = ADMIN[0], **headers: str) -> httpx.Response:
    """Enter the password."""
    return client.post(LOGIN, json={"username": name, "password": ADMIN[1]}, headers=headers)


def enter(client: httpx.Client, code: str, **headers: str) -> httpx.Response:
    """Enter a code."""
    return client.post(CODE, json={"code": code}, headers=headers)


def set_up(server: RunningServer, client: RestClient, name: str = ADMIN[0]) -> Person:
    """Set up an authenticator app for whoever is logged in; let its next code be another one."""
    made = client.post(TOTP)
    assert made.status_code == httpx.codes.CREATED, made.text
    app = App(made.json()["uri"], server.clock)
    confirmed = client.post(f"{TOTP}/confirm", json={"code": app.code()})
    assert confirmed.status_code == httpx.codes.OK, confirmed.text
    codes: list[str] = confirmed.json()["codes"]
    secrets.remember(made.json()["secret"], made.json()["uri"], *codes)
    server.clock.advance(seconds=90)
    return Person(name, app, codes)


def path_modules(qr: dict[str, Any]) -> list[list[bool]]:
    """Return which units of a QR image are black."""
    black = [[False] * qr["size"] for _ in range(qr["size"])]
    for x, y, run in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", qr["path"]):
        for at in range(int(x), int(x) + int(run)):
            black[int(y)][at] = True
    return black
