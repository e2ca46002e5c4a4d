"""No line of the log holds a secret: paths, headers, addresses, parameters of statements, tracebacks."""

import asyncio
import io
import json
import logging
import subprocess
import sys
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi.exceptions import ResponseValidationError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from santaserver.db import open_connection
from santaserver.logs import JsonFormatter
from santaserver.redaction import MASK, Redactor, of_address
from santaserver.settings import load
from tests.conftest import SECRET
from tests.support.server import RunningServer
from tests.test_processes import Command

TOKEN = "Zk3vXo0n2Tq9LhJ5w-8RbA_cD7eF1gHi"
WORD = "hunter-two-words"


def line(message: str, error: BaseException | None = None, secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a record as it is written."""
    thrown = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("test", logging.ERROR, __file__, 1, message, None, thrown)
    written: dict[str, Any] = json.loads(JsonFormatter(secrets).format(record))
    return written


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"POST /api/santa/e/{WORD}/preflight/A", f"POST /api/santa/e/{MASK}/preflight/A"),
        (f"GET //api/santa/E/{WORD}?x=1", f"GET //api/santa/E/{MASK}?x=1"),
        (f"/api/santa/e//{WORD}/x", f"/api/santa/e//{MASK}/x"),
        (f"/api/santa/%65/{WORD}/x", f"/api/santa/%65/{MASK}/x"),
        (f"/api/santa/%2565/{WORD}/x", f"/api/santa/%2565/{MASK}/x"),
        (f"/api/santa/e;v=1/{WORD}/x", f"/api/santa/e;v=1/{MASK}/x"),
        (f"Authorization: Bearer {WORD}", f"Authorization: Bearer {MASK}"),
        (f"{{'authorization': 'Basic {WORD}'}}", f"{{'authorization': 'Basic {MASK}'}}"),
        (f"postgresql://santa:{WORD}@db/santa", f"postgresql://santa:{MASK}@db/santa"),
        ("postgresql://santa:p@ss/word@db/santa", f"postgresql://santa:{MASK}@db/santa"),
        (f"cookie {TOKEN} is old", f"cookie {MASK} is old"),
        ("machine 4F3B9A20-0D5C-4B1E-9D1A-7C2E5F6A8B90", ""),
        ("asyncpg.exceptions.ConnectionDoesNotExistError: connection was closed", ""),
        ("File santaserver/migrations/versions/0012_file_accesses_and_audits.py", ""),
        ("https://santa.example.com/api/v1/rules", ""),
    ],
)
def test_secrets_are_masked_and_nothing_else(text: str, shown: str) -> None:
    assert Redactor()(text) == (shown or text)


@given(
    st.text(max_size=40), st.from_regex(r"[A-Za-z0-9_/?#@:!-]{8,40}", fullmatch=True), st.text(max_size=40)
)
def test_values_of_the_settings_are_masked_wherever_they_stand(before: str, value: str, after: str) -> None:
    shown = Redactor([value])(f"{before} {value} {after}")
    assert value not in shown or value in before + after


def test_every_secret_of_the_settings_is_known() -> None:
    settings = load(
        {
            "SECRET_KEY": "a-key-of-thirty-two-characters-x",
            "POSTGRES_PASSWORD": "the%20password",
            "OIDC_ISSUER": "https://id.example.com",
            "CLIENT_ID": "santaserver",
            "CLIENT_SECRET": "the-client-secret",
            "PUBLIC_URL": "https://santa.example.com",
            "DATABASE_URL": "postgresql://santa:pa%2Fss%2Fword@db/santa",
        }
    )
    assert settings.secrets >= {
        "a-key-of-thirty-two-characters-x",
        "the%20password",
        "the-client-secret",
        "pa%2Fss%2Fword",
        "pa/ss/word",
    }
    assert "postgres" not in load({"DATABASE_URL": "postgresql://postgres:postgres@db/x"}).secrets
    assert of_address("postgresql://santa@db/x") == set()


async def _fail(dsn: str) -> asyncpg.PostgresError:
    connection = await open_connection(dsn)
    try:
        await connection.fetchval("select 1 / (length($1::text) - $2::integer)", WORD, len(WORD))
    except asyncpg.PostgresError as error:
        return error
    finally:
        await connection.close()
    raise AssertionError("the statement works")


def test_parameters_of_a_statement_that_fails_are_hidden(dsn: str) -> None:
    error = asyncio.run(_fail(dsn))
    assert WORD not in str(error)
    written = line("it failed", error)
    assert WORD not in written["exception"]
    assert "division by zero" in written["exception"]


class Login(BaseModel):
    """A body with a secret in it."""

    model_config = ConfigDict(extra="forbid")
    username: int


def test_input_that_a_validation_error_repeats_is_masked() -> None:
    try:
        Login.model_validate({"username": WORD, "password": f"{WORD}\n2"})
    except ValidationError as error:
        written = line("a crash", error)["exception"]
    assert WORD not in written
    assert "username" in written
    problem = ResponseValidationError(
        [{"type": "x", "loc": ("body",), "msg": "no", "input": {"secret": WORD}}]
    )
    assert WORD not in line("a crash", problem)["exception"]


def test_an_address_that_cannot_be_read_does_not_show_its_password() -> None:
    # The port is no number, and the driver's complaint quotes it.
    password = "pa55word/with-a-slash"
    url = f"postgresql://santa:{password}@127.0.0.1/none"
    command = Command(url, "migrate")
    assert command.finish() != 0
    output = "".join(command.lines)
    assert output
    assert "pa55word" not in output, output
    assert "with-a-slash" not in output, output


def test_an_error_that_ends_the_process_is_one_line() -> None:
    code = (
        "from santaserver import logs; logs.configure('info', ['the-secret-value'])\n"
        f"raise RuntimeError('/api/santa/e/{WORD}/preflight the-secret-value')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 1
    assert WORD not in done.stdout + done.stderr
    assert "the-secret-value" not in done.stdout + done.stderr
    assert "RuntimeError" in json.loads(done.stdout)["exception"]


def test_a_crash_shows_no_secret_of_its_request(server: RunningServer) -> None:
    async def crash(secret: str) -> None:
        raise RuntimeError(f"cannot do anything with Bearer {secret}")

    server.app.add_api_route("/api/v1/crash/e/{secret}", crash)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("santaserver.problems")
    log.addHandler(handler)
    try:
        with server.client() as client:
            assert client.get(f"/api/v1/crash/e/{SECRET}").status_code == httpx.codes.INTERNAL_SERVER_ERROR
    finally:
        log.removeHandler(handler)
    assert "RuntimeError" in written.getvalue()
    assert SECRET not in written.getvalue()
