"""Codes of authenticator apps and recovery codes, without a server."""

import hmac
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import pytest
import segno

from santaserver.second_factor import recovery, totp
from santaserver.second_factor.qr import QUIET, qr_code
from santaserver.second_factor.sealing import CannotOpen, open_sealed, seal
from santaserver.secret_keys import SecretKeys
from tests.second_factor.apps import path_modules

RFC = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    assert totp.code_at(RFC, totp.step_at(now)) == code
    assert totp.step_of_code(RFC, code, now, last_step=-1) == seconds // 30


def test_a_clock_may_be_one_step_off_and_no_more() -> None:
    now = datetime(2026, 1, 1, 12, 0, 15, tzinfo=UTC)
    step = totp.step_at(now)
    found = {
        by: totp.step_of_code(RFC, totp.code_at(RFC, step + by), now, last_step=-1) for by in range(-3, 4)
    }
    assert found == {-3: None, -2: None, -1: step - 1, 0: step, 1: step + 1, 2: None, 3: None}


def test_a_step_counts_only_after_the_last_one() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    step, code = totp.step_at(now), totp.code_at(RFC, totp.step_at(now))
    assert totp.step_of_code(RFC, code, now, step - 1) == step
    assert totp.step_of_code(RFC, code, now, step) is None
    assert totp.step_of_code(RFC, code, now, step + 1) is None


def test_all_steps_are_compared_whichever_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    now, compared = datetime(2026, 1, 1, 12, tzinfo=UTC), []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for by in (-1, 0, 1, 5):
        compared.clear()
        totp.step_of_code(RFC, totp.code_at(RFC, totp.step_at(now) + by), now, -1)
        assert len(compared) == 3


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("000000", "000000"),
        ("12345", None),
        ("1234567", None),
        ("12345a", None),
        ("١٢٣٤٥٦", None),
        ("\uff11\uff12\uff13\uff14\uff15\uff16", None),
        ("-12345", None),
        ("", None),
    ],
)
def test_what_is_typed_is_six_digits(typed: str, code: str | None) -> None:
    assert totp.typed_code(typed) == code


def test_the_address_names_the_account_whatever_its_name() -> None:
    for name in ("ada", "ada@example.com", "a:b/c?d&secret=x", "ß ü"):
        uri = totp.address(RFC, name, "SantaServer santa.example.com")
        parts = urlsplit(uri)
        assert unquote(parts.path) == f"/SantaServer santa.example.com:{name}"
        assert parts.query.startswith("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=SantaServer%20santa")


def test_the_qr_code_is_that_of_the_address() -> None:
    uri = totp.address(RFC, "ada@example.com", "SantaServer")
    made = qr_code(uri)
    expected = segno.make_qr(uri, error="m").matrix
    black = path_modules(made._asdict())
    inner = [row[QUIET:-QUIET] for row in black[QUIET:-QUIET]]
    assert inner == [[bool(module & 1) for module in row] for row in expected]
    assert sum(map(sum, black)) == sum(map(sum, inner)), "a white margin"


def test_recovery_codes_are_random_and_are_read_as_people_type_them() -> None:
    codes = recovery.new_codes()
    assert len(set(codes)) == recovery.CODES
    for code in codes:
        assert len(code.replace("-", "")) * 5 == recovery.BYTES * 8
        typed = (code.upper(), code.replace("-", ""), f" {code.replace('-', ' ')} ")
        assert {recovery.hash_code(text) for text in typed} == {recovery.hash_code(code)}
        assert totp.typed_code(code) is None
    assert len({recovery.hash_code(code) for code in codes}) == recovery.CODES


def test_a_sealed_secret_opens_with_its_key_and_for_its_account_only() -> None:
    key, another = SecretKeys("one key"), SecretKeys("another")
    sealed = seal(key, 1, RFC)
    assert RFC not in sealed
    assert seal(key, 1, RFC) != sealed
    assert open_sealed(key, 1, sealed) == (RFC, True)
    assert open_sealed(SecretKeys("another", ["one key"]), 1, sealed) == (RFC, False)
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for keys, user, text in ((another, 1, sealed), (key, 2, sealed), (key, 1, changed)):
        with pytest.raises(CannotOpen):
            open_sealed(keys, user, text)
