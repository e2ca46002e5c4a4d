"""Keys derived from `SECRET_KEY`, and their rotation."""

from datetime import UTC, datetime
from pathlib import Path

from starlette.responses import Response

from santaserver.secret_keys import SecretKeys, previous_keys
from santaserver.settings import Settings, load
from santaserver.users.device import known_device, set_device_cookie
from tests.conftest import ADMIN
from tests.support.server import RunningServer

OLD, NEW, OTHER = "old-key-" * 4, "new-key-" * 4, "any-key-" * 4
HKDF = "44e550eba949c6cebf479c6230b4140881b5e4d7e559411b01bf1167c23290b5"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_each_purpose_has_a_key_of_its_own() -> None:
    keys = SecretKeys(NEW)
    assert len({keys.current(purpose) for purpose in ("a", "b", "ab", "")}) == 4
    assert {len(keys.current(purpose)) for purpose in ("a", "b")} == {32}
    assert SecretKeys(NEW).current("a") == keys.current("a")
    assert SecretKeys(OLD).current("a") != keys.current("a")


def test_the_key_is_that_of_rfc_5869() -> None:
    """Made with `openssl kdf -keylen 32 -kdfopt digest:SHA256 … HKDF` for the same input."""
    assert SecretKeys("k" * 32).current("totp").hex() == HKDF


def test_the_key_before_is_accepted_until_it_is_removed() -> None:
    signature = SecretKeys(OLD).sign("test", b"content")
    rotated = SecretKeys(NEW, [OTHER, OLD])
    assert rotated.verify("test", b"content", signature)
    assert not rotated.verify("other purpose", b"content", signature)
    assert not rotated.verify("test", b"other content", signature)
    assert not SecretKeys(NEW).verify("test", b"content", signature)


def test_nothing_new_is_made_with_the_key_before() -> None:
    rotated = SecretKeys(NEW, [OLD])
    assert rotated.current("test") == SecretKeys(NEW).current("test")
    assert rotated.accepted("test") == (
        SecretKeys(NEW).current("test"),
        SecretKeys(OLD).current("test"),
    )
    assert not SecretKeys(OLD).verify("test", b"content", rotated.sign("test", b"content"))


def test_keys_are_one_a_line_and_come_from_a_file_too(tmp_path: Path) -> None:
    assert previous_keys(f"{OLD}\n\n  {OTHER} \r\n") == (OLD, OTHER)
    assert previous_keys(" \n ") == ()
    file = tmp_path / "keys"
    file.write_text(f"{OLD}\n{OTHER}\n")
    settings = load({"SECRET_KEY": NEW, "SECRET_KEY_PREVIOUS_FILE": str(file)})
    assert settings.secret_keys.accepted("a") == SecretKeys(NEW, [OLD, OTHER]).accepted("a")
    assert {OLD, OTHER, NEW} <= settings.secrets


def test_no_key_is_shown() -> None:
    assert OLD not in repr(SecretKeys(NEW, [OLD]))
    assert NEW not in repr(SecretKeys(NEW, [OLD]))


def test_a_browser_stays_known_over_a_rotation() -> None:
    cookie = device_cookie(load({"SECRET_KEY": OLD}))
    assert known_device(cookie, load({"SECRET_KEY": NEW, "SECRET_KEY_PREVIOUS": OLD}), "ada", NOW)
    assert known_device(cookie, load({"SECRET_KEY": NEW, "SECRET_KEY_PREVIOUS": OTHER}), "ada", NOW) is None
    assert known_device(cookie, load({"SECRET_KEY": NEW}), "ada", NOW) is None
    renewed = device_cookie(load({"SECRET_KEY": NEW, "SECRET_KEY_PREVIOUS": OLD}))
    assert known_device(renewed, load({"SECRET_KEY": NEW}), "ada", NOW)


def test_a_session_goes_on_over_a_rotation(dsn: str) -> None:
    with RunningServer(dsn, {"SECRET_KEY": OLD}) as before, before.client() as client:
        client.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        cookies = dict(client.cookies)
    for variables in ({"SECRET_KEY_PREVIOUS": OLD}, {}):
        with RunningServer(dsn, {"SECRET_KEY": NEW, **variables}) as server, server.client() as client:
            client.cookies.update(cookies)
            assert client.get("/api/v1/auth/me").json()["username"] == ADMIN[0]


def device_cookie(settings: Settings) -> dict[str, str]:
    response = Response()
    set_device_cookie(response, settings, "ada", NOW)
    name, _, rest = response.headers["set-cookie"].partition("=")
    return {name: rest.partition(";")[0]}
