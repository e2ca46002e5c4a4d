"""Passkeys: making, using and removing them, and what is refused."""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from santaserver.second_factor.relying_party import RelyingParty, relying_party
from tests.conftest import add_user
from tests.second_factor.apps import CODE, ME, PENDING, SESSION, enter, set_up
from tests.second_factor.authenticator import (
    AGAIN,
    HOST,
    ORIGIN,
    PASSKEYS,
    PRESENT,
    SIGN_IN,
    VERIFIED,
    Authenticator,
    decoded,
    encoded,
    log_in,
    options,
    register,
    sign_in,
)
from tests.support.postgres import execute, fetch, value
from tests.support.rest_client import RestClient
from tests.support.server import RunningServer

OK, REFUSED, INVALID = httpx.codes.OK, httpx.codes.UNAUTHORIZED, httpx.codes.UNPROCESSABLE_ENTITY
LAST = "select action, after::text from audit_log order by id desc limit 1"


@pytest.fixture
def server(dsn: str) -> Iterator[RunningServer]:
    """A server whose host name browsers accept."""
    with RunningServer(dsn, {"PUBLIC_URL": ORIGIN}) as running:
        yield running


def test_a_passkey_is_a_whole_login(server: RunningServer, admin: RestClient, anonymous: RestClient) -> None:
    added = Authenticator()
    asked = options(admin, PASSKEYS)
    assert asked["rp"] == {"id": HOST, "name": "SantaServer"}
    assert asked["user"]["name"] == "admin"
    assert asked["authenticatorSelection"]["residentKey"] == "required"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert {one["alg"] for one in asked["pubKeyCredParams"]} == {-7, -8, -257}
    made = admin.post(PASSKEYS, json=added.make(asked, "MacBook"))
    assert made.status_code == httpx.codes.CREATED
    assert len(made.json()["recovery_codes"]) == 10
    wanted = options(anonymous, SIGN_IN)
    assert (wanted["rpId"], wanted["userVerification"]) == (HOST, "required")
    assert not wanted.get("allowCredentials"), "whoever it is"
    done = anonymous.post(SIGN_IN, json=added.use(wanted))
    assert (done.status_code, done.json()["username"]) == (OK, "admin")
    assert anonymous.get(ME).json() == done.json()
    (entry,) = fetch(server.dsn, LAST)
    assert (entry["action"], json.loads(entry["after"])) == ("login", {"second_factor": "passkey"})
    shown = anonymous.get(PASSKEYS).json()
    assert shown["available"] is True
    (one,) = shown["items"]
    assert (one["name"], one["usable"], one["last_used_at"] is None) == ("MacBook", True, False)
    assert anonymous.get(CODE).json()["passkeys"] == 1


def test_with_a_passkey_the_password_alone_is_not_enough(
    server: RunningServer, admin: RestClient, anonymous: RestClient
) -> None:
    one = Authenticator()
    codes = admin.post(PASSKEYS, json=one.make(options(admin, PASSKEYS))).json()["recovery_codes"]
    needed = log_in(anonymous)
    assert (needed.status_code, needed.json()["methods"]) == (202, ["passkey", "recovery_code"])
    assert sign_in(anonymous, one).status_code == OK
    assert PENDING not in anonymous.cookies
    assert value(server.dsn, "select count(*) from pending_login") == 0
    log_in(anonymous)
    assert enter(anonymous, codes[0]).status_code == OK


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["ES256", "EdDSA", "RS256"],
)
def test_the_keys_that_authenticators_have(admin: RestClient, anonymous: RestClient, key: Any) -> None:  # noqa: ANN401
    one = register(admin, Authenticator(key=key))
    assert sign_in(anonymous, one).status_code == OK


def test_other_keys_are_refused(server: RunningServer, admin: RestClient) -> None:
    for curve in (ec.SECP384R1(), ec.SECP256K1()):
        one = Authenticator(key=ec.generate_private_key(curve))
        assert admin.post(PASSKEYS, json=one.make(options(admin, PASSKEYS))).status_code == INVALID
    assert value(server.dsn, "select count(*) from passkey") == 0


def test_several_passkeys_of_one_account_and_of_two(
    server: RunningServer, admin: RestClient, anonymous: RestClient
) -> None:
    add_user(server.dsn, "eve", "viewer")
    laptop = register(admin)
    asked = options(admin, PASSKEYS)
    assert [one["id"] for one in asked["excludeCredentials"]] == [encoded(laptop.id)]
    phone = Authenticator()
    second = admin.post(PASSKEYS, json=phone.make(asked, "phone"))
    assert second.json()["recovery_codes"] == [], "the first ones stay valid"
    assert phone.handle == laptop.handle
    with server.client() as eve:
        log_in(eve, "eve")
        hers = register(eve)
    assert hers.handle != laptop.handle
    for one, name in ((laptop, "admin"), (phone, "admin"), (hers, "eve")):
        assert sign_in(anonymous, one).json()["username"] == name
    again = admin.post(PASSKEYS, json=laptop.make(options(admin, PASSKEYS)))
    assert again.status_code == httpx.codes.CONFLICT
    taken = Authenticator(id=hers.id)
    assert admin.post(PASSKEYS, json=taken.make(options(admin, PASSKEYS))).status_code == httpx.codes.CONFLICT


def test_an_account_has_at_most_twenty(server: RunningServer, admin: RestClient) -> None:
    for _ in range(20):
        register(admin)
    one = Authenticator()
    refused = admin.post(PASSKEYS, json=one.make(options(admin, PASSKEYS)))
    assert (refused.status_code, "at most 20" in refused.json()["detail"]) == (409, True)
    assert value(server.dsn, "select count(*) from passkey") == 20


def test_removing_the_last_passkey_makes_the_password_enough(
    server: RunningServer, admin: RestClient, anonymous: RestClient
) -> None:
    one = register(admin)
    number = admin.get(PASSKEYS).json()["items"][0]["id"]
    add_user(server.dsn, "eve", "admin")
    with server.client() as eve:
        log_in(eve, "eve")
        assert eve.delete(f"{PASSKEYS}/{number}").status_code == httpx.codes.NOT_FOUND, "of someone else"
    server.clock.advance(minutes=11)
    assert admin.delete(f"{PASSKEYS}/{number}").json()["code"] == "fresh_login_required"
    admin.post(AGAIN, json=one.use(options(admin, AGAIN))).raise_for_status()
    assert admin.delete(f"{PASSKEYS}/{number}").status_code == httpx.codes.NO_CONTENT
    (entry,) = fetch(server.dsn, "select action from audit_log order by id desc limit 1")
    assert entry["action"] == "passkey_removed"
    assert value(server.dsn, "select count(*) from recovery_code") == 0
    assert sign_in(anonymous, one).status_code == REFUSED
    assert log_in(anonymous).status_code == OK


def test_an_app_keeps_the_recovery_codes_when_the_passkey_goes(
    server: RunningServer, admin: RestClient
) -> None:
    register(admin)
    set_up_codes = admin.get(CODE).json()["recovery_codes"]
    server.clock.stop()
    assert set_up(server, admin).codes == []
    number = admin.get(PASSKEYS).json()["items"][0]["id"]
    admin.delete(f"{PASSKEYS}/{number}").raise_for_status()
    assert admin.get(CODE).json()["recovery_codes"] == set_up_codes == 10


CHANGES: dict[str, Callable[[Authenticator], object]] = {
    "another origin": lambda one: setattr(one, "origin", "http://localhost:8081"),
    "another scheme": lambda one: setattr(one, "origin", "https://localhost:8080"),
    "a name below ours": lambda one: setattr(one, "origin", "http://evil.localhost:8080"),
    "ours as part of another": lambda one: setattr(one, "origin", f"{ORIGIN}.example.com"),
    "no origin": lambda one: setattr(one, "origin", ""),
    "another host": lambda one: setattr(one, "host", "example.com"),
    "nobody was there": lambda one: setattr(one, "flags", VERIFIED),
    "nobody was verified": lambda one: setattr(one, "flags", PRESENT),
    "a frame of another site": lambda one: setattr(one, "cross_origin", True),
    "another key": lambda one: setattr(one, "key", ec.generate_private_key(ec.SECP256R1())),
    "an unknown id": lambda one: setattr(one, "id", b"x" * 32),
    "another account": lambda one: setattr(one, "handle", b"x" * 32),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_assertion_that_is_not_right_is_refused(
    server: RunningServer, admin: RestClient, anonymous: RestClient, change: str
) -> None:
    one = register(admin)
    before = vars(one).copy()
    CHANGES[change](one)
    refused = sign_in(anonymous, one)
    assert refused.status_code == REFUSED
    assert SESSION not in anonymous.cookies
    (entry,) = fetch(server.dsn, LAST)
    assert entry["action"] == "passkey_refused"
    vars(one).update(before)
    assert sign_in(anonymous, one).status_code == OK


@pytest.mark.parametrize(
    "change", [name for name in CHANGES if name not in {"another key", "an unknown id", "another account"}]
)
def test_a_new_passkey_that_is_not_right_is_refused(
    server: RunningServer, admin: RestClient, change: str
) -> None:
    one = Authenticator()
    CHANGES[change](one)
    refused = admin.post(PASSKEYS, json=one.make(options(admin, PASSKEYS)))
    assert refused.status_code == INVALID
    assert value(server.dsn, "select count(*) from passkey") == 0


def test_ceremonies_are_not_exchanged(
    server: RunningServer, admin: RestClient, anonymous: RestClient
) -> None:
    one = register(admin)
    assert sign_in(anonymous, one, type="webauthn.create").status_code == REFUSED
    other = Authenticator()
    made = other.make(options(admin, PASSKEYS), type="webauthn.get")
    assert admin.post(PASSKEYS, json=made).status_code == INVALID
    for begun, path, status in (
        (SIGN_IN, AGAIN, REFUSED),
        (AGAIN, SIGN_IN, REFUSED),
        (PASSKEYS, SIGN_IN, REFUSED),
        (PASSKEYS, AGAIN, REFUSED),
    ):
        asked = options(admin, begun)
        assert admin.post(path, json=one.use(asked)).status_code == status, (begun, path)
    asked = options(admin, SIGN_IN)
    made = Authenticator().make({**asked, "user": {"id": encoded(b"x" * 32)}})
    assert admin.post(PASSKEYS, json=made).status_code == INVALID
    assert value(server.dsn, "select count(*) from passkey") == 1


def test_an_assertion_works_once(server: RunningServer, admin: RestClient, anonymous: RestClient) -> None:
    one = register(admin)
    sent = one.use(options(anonymous, SIGN_IN))
    assert anonymous.post(SIGN_IN, json=sent).status_code == OK
    assert anonymous.post(SIGN_IN, json=sent).status_code == REFUSED
    clients = [server.client() for _ in range(4)]
    wanted = options(clients[0], SIGN_IN)
    cookie = clients[0].cookies["santa_passkey"]
    for client in clients[1:]:
        client.cookies.set("santa_passkey", cookie)
    together, sent = Barrier(4), one.use(wanted)

    def attempt(client: RestClient) -> int:
        together.wait()
        return client.post(SIGN_IN, json=sent).status_code

    with ThreadPoolExecutor(4) as many:
        found = sorted(many.map(attempt, clients))
    for client in clients:
        client.close()
    assert found == [OK] + [REFUSED] * 3


def test_a_challenge_belongs_to_one_browser_and_not_for_long(
    server: RunningServer, admin: RestClient, anonymous: RestClient
) -> None:
    one = register(admin)
    server.clock.stop()
    wanted = options(anonymous, SIGN_IN)
    with server.client() as other:
        assert other.post(SIGN_IN, json=one.use(wanted)).status_code == REFUSED
        options(other, SIGN_IN)
        assert other.post(SIGN_IN, json=one.use(wanted)).status_code == REFUSED
    made_up = encoded(b"x" * 32)
    assert sign_in(anonymous, one, challenge=made_up).status_code == REFUSED
    server.clock.advance(seconds=299)
    assert anonymous.post(SIGN_IN, json=one.use(wanted)).status_code == OK
    wanted = options(anonymous, SIGN_IN)
    server.clock.advance(seconds=301)
    assert anonymous.post(SIGN_IN, json=one.use(wanted)).status_code == REFUSED
    assert sign_in(anonymous, one).status_code == OK
    assert value(server.dsn, "select count(*) from passkey_challenge") == 0


def test_two_tabs_of_a_browser_do_not_disturb_each_other(admin: RestClient, anonymous: RestClient) -> None:
    one = register(admin)
    first, second = options(anonymous, SIGN_IN), options(anonymous, SIGN_IN)
    assert anonymous.post(SIGN_IN, json=one.use(first)).status_code == OK
    assert anonymous.post(SIGN_IN, json=one.use(second)).status_code == OK


def test_a_counter_that_does_not_go_up_is_refused(
    server: RunningServer, admin: RestClient, anonymous: RestClient, caplog: pytest.LogCaptureFixture
) -> None:
    one = register(admin, Authenticator(counter=7))
    for counter, status in ((8, OK), (8, REFUSED), (3, REFUSED), (0, REFUSED), (9, OK), (2**32 - 1, OK)):
        one.counter = counter
        assert sign_in(anonymous, one).status_code == status, counter
    assert "'laptop' of admin did not go up" in caplog.text
    synced = register(admin)
    for _ in range(3):
        assert sign_in(anonymous, synced).status_code == OK
    assert value(server.dsn, "select max(sign_count) from passkey") == 2**32 - 1


@pytest.mark.parametrize(
    "change",
    [
        "update app_user set disabled_at = now() where username = 'eve'",
        "update app_user set password_hash = null where username = 'eve'",
        "delete from app_user where username = 'eve'",
    ],
)
def test_the_passkey_of_somebody_who_may_not_log_in_is_refused(
    server: RunningServer, anonymous: RestClient, change: str
) -> None:
    add_user(server.dsn, "eve", "viewer")
    with server.client() as eve:
        log_in(eve, "eve")
        one = register(eve)
    wanted = options(anonymous, SIGN_IN)
    execute(server.dsn, change)
    refused = anonymous.post(SIGN_IN, json=one.use(wanted))
    unknown = sign_in(anonymous, Authenticator())
    assert (refused.status_code, refused.json()) == (REFUSED, unknown.json())
    assert SESSION not in anonymous.cookies


def test_a_passkey_proves_who_has_the_session_and_only_that(server: RunningServer, admin: RestClient) -> None:
    add_user(server.dsn, "eve", "viewer")
    with server.client() as eve:
        log_in(eve, "eve")
        hers = register(eve)
    none = admin.post(f"{AGAIN}/options")
    assert none.status_code == httpx.codes.CONFLICT
    one = register(admin)
    server.clock.advance(minutes=11)
    asked = options(admin, AGAIN)
    assert [known["id"] for known in asked["allowCredentials"]] == [encoded(one.id)]
    assert admin.post(AGAIN, json=hers.use(asked)).status_code == REFUSED
    assert admin.get(ME).json()["username"] == "admin"
    assert admin.post(f"{PASSKEYS}/options").json()["code"] == "fresh_login_required"
    before = admin.cookies[SESSION]
    done = admin.post(AGAIN, json=one.use(options(admin, AGAIN)))
    assert done.status_code == httpx.codes.NO_CONTENT
    assert admin.cookies[SESSION] != before
    assert admin.post(f"{PASSKEYS}/options").status_code == OK


def test_a_planted_session_id_is_not_taken_over(admin: RestClient, server: RunningServer) -> None:
    one = register(admin)
    with server.client() as client, server.client() as thief:
        client.cookies.set(SESSION, "A" * 43)
        thief.cookies.set(SESSION, "A" * 43)
        assert sign_in(client, one).status_code == OK
        assert thief.get(ME).status_code == REFUSED


def test_refused_passkeys_slow_a_network_down(server: RunningServer, admin: RestClient) -> None:
    one = register(admin)
    server.clock.stop()
    with server.client() as client:
        stranger = Authenticator()
        found = [sign_in(client, stranger).status_code for _ in range(32)]
        assert found == [REFUSED] * 30 + [429] * 2
        assert sign_in(client, one).status_code == 429
        client.headers["X-Real-IP"] = "203.0.113.9"
        assert sign_in(client, one).status_code == OK
    rows = fetch(
        server.dsn, "select action from audit_log where action in ('passkey_refused', 'login_throttled')"
    )
    assert [row["action"] for row in rows].count("passkey_refused") == 30
    assert [row["action"] for row in rows].count("login_throttled") == 1


def test_what_is_begun_by_strangers_is_limited(server: RunningServer, anonymous: RestClient) -> None:
    execute(
        server.dsn,
        """insert into passkey_challenge (challenge_hash, browser_hash, purpose, network, created_at)
           select sha256(n::text::bytea), sha256(n::text::bytea), 'sign_in', '127.0.0.1', now()
           from generate_series(1, 1000) n""",
    )
    refused = anonymous.post(f"{SIGN_IN}/options")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert anonymous.post(f"{SIGN_IN}/options", headers={"X-Real-IP": "203.0.113.9"}).status_code == OK


def test_damaged_input_is_refused_and_never_an_error(admin: RestClient, anonymous: RestClient) -> None:
    one, chance = register(admin), random.Random(7)
    for number in range(60):
        begun = options(admin, PASSKEYS) if number % 2 else options(anonymous, SIGN_IN)
        sent = Authenticator().make(begun) if number % 2 else one.use(begun)
        name = chance.choice(["client_data", "attestation"] if number % 2 else sorted(sent))
        raw = bytearray(decoded(sent[name]))
        for _ in range(chance.randint(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        sent[name] = encoded(bytes(raw[: chance.randint(1, len(raw))]))
        path, client = (PASSKEYS, admin) if number % 2 else (SIGN_IN, anonymous)
        headers = {"X-Real-IP": f"203.0.113.{number}"}
        status = client.post(path, json=sent, headers=headers).status_code
        assert status in {INVALID, REFUSED, httpx.codes.CREATED, OK}, (name, sent)
    nested = {"client_data": encoded(b"[" * 8000), "attestation": encoded(b"\x81" * 8000), "name": "x"}
    assert admin.post(PASSKEYS, json=nested).status_code == INVALID
    deep = Authenticator().make(options(admin, PASSKEYS))
    assert admin.post(PASSKEYS, json={**deep, "attestation": encoded(b"\x81" * 8000)}).status_code == INVALID


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "", "client_data": "e30", "attestation": "e30"},
        {"name": "a\nb", "client_data": "e30", "attestation": "e30"},
        {"name": "x" * 61, "client_data": "e30", "attestation": "e30"},
        {"name": "x", "client_data": "e30", "attestation": "e30", "user_id": 1},
        {"name": "x", "client_data": "e3=", "attestation": "e30"},
        {"name": "x", "client_data": "e30", "attestation": "e30"},
        {"name": "x", "client_data": "e" * 16385, "attestation": "e30"},
    ],
)
def test_what_is_no_passkey_is_refused(admin: RestClient, body: Any) -> None:  # noqa: ANN401
    assert admin.post(PASSKEYS, json=body).status_code == INVALID


def test_where_browsers_offer_no_passkeys_there_are_none(dsn: str) -> None:
    with RunningServer(dsn, {"PUBLIC_URL": "http://10.0.0.1"}) as server, server.client() as client:
        assert client.get("/api/v1/auth/methods").json()["passkeys"] is False
        log_in(client).raise_for_status()
        assert client.get(PASSKEYS).json() == {"available": False, "items": []}
        for path in (PASSKEYS, SIGN_IN, AGAIN):
            refused = client.post(f"{path}/options")
            assert (refused.status_code, "PUBLIC_URL" in refused.json()["detail"]) == (409, True)
    with RunningServer(dsn, {"PUBLIC_URL": ORIGIN}) as server, server.client() as client:
        assert client.get("/api/v1/auth/methods").json()["passkeys"] is True


def test_passkeys_of_another_host_name_are_shown_as_unusable(
    dsn: str, server: RunningServer, admin: RestClient
) -> None:
    one = register(admin)
    moved = RunningServer(dsn, {"PUBLIC_URL": "http://santa.localhost"}, server.clock)
    with moved, moved.client() as client:
        client.cookies.set(SESSION, admin.cookies[SESSION])
        assert client.get(PASSKEYS).json()["items"][0]["usable"] is False
        assert sign_in(client, one).status_code == REFUSED


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [
        ("https://santa.example.com", RelyingParty("santa.example.com", "https://santa.example.com")),
        ("https://Santa.Example.com/", RelyingParty("santa.example.com", "https://santa.example.com")),
        ("https://santa.example.com:443", RelyingParty("santa.example.com", "https://santa.example.com")),
        (
            "https://santa.example.com:8443",
            RelyingParty("santa.example.com", "https://santa.example.com:8443"),
        ),
        ("https://santa", RelyingParty("santa", "https://santa")),
        ("http://localhost", RelyingParty("localhost", "http://localhost")),
        ("http://localhost:80", RelyingParty("localhost", "http://localhost")),
        ("http://a.localhost:3000", RelyingParty("a.localhost", "http://a.localhost:3000")),
        ("http://santa.example.com", None),
        ("http://127.0.0.1:8080", None),
        ("https://10.0.0.1", None),
        ("https://[2001:db8::1]:8443", None),
        ("", None),
    ],
)
def test_the_host_name_and_the_origin_are_those_of_the_public_url(
    public_url: str, expected: RelyingParty | None
) -> None:
    assert relying_party(public_url) == expected
