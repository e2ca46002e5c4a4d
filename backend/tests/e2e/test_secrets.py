"""Requests with an enrollment secret at every place of a path; the log is searched for it after the stop."""

import socket
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import Deployment

PATHS = [
    ("POST", "/api/santa/e/{}/preflight/DOM%5Chost"),
    ("POST", "/api/santa/e/{}/preflight/%FF"),
    ("POST", "//api/santa/e/{}/preflight/a"),
    ("POST", "/api//santa/e/{}/preflight/a"),
    ("POST", "/api/santa//e//{}/preflight/a"),
    ("POST", "/api/santa/E/{}/preflight/a"),
    ("POST", "/api/santa/%65/{}/preflight/a"),
    ("POST", "/api/santa/e/{}/nothing/a"),
    ("POST", "/api/santa/e/{}/preflight/" + "a" * 300),
    ("POST", "/santa/e/{}/preflight/a"),
    ("TRACE", "/api/santa/e/{}/preflight/a"),
    ("BREW", "/api/santa/e/{}/preflight/a"),
    ("GET", "/api/v1/e/{}?secret={}"),
    ("GET", "/e/{}"),
    ("GET", "/health/e/{}"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_secret_in_any_path_is_answered(deployment: Deployment, method: str, path: str) -> None:
    target = path.replace("{}", deployment.secret)
    address = urlsplit(deployment.url)
    with socket.create_connection((address.hostname or "", address.port or 80), 30) as connection:
        fields = f"Host: {address.netloc}\r\nContent-Length: 2\r\nConnection: close\r\n"
        fields += f"Authorization: Bearer {deployment.secret}\r\n"
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{fields}\r\n{{}}".encode())
        assert connection.makefile("rb").readline().startswith(b"HTTP/1.1 ")
