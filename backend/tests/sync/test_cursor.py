"""The paging cursor of rule downloads."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from santaserver.secret_keys import SecretKeys
from santaserver.sync.cursor import Cursor, CursorSigner

SIGNER = CursorSigner(SecretKeys("k" * 32))
CURSOR = Cursor(5, 1000)


@given(st.builds(Cursor, st.integers(1), st.integers(0)))
def test_a_cursor_survives_the_round_trip(cursor: Cursor) -> None:
    assert SIGNER.decode(SIGNER.encode(cursor)) == cursor


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_an_invented_cursor_is_refused(text: str) -> None:
    assert SIGNER.decode(text) is None


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_changed_cursor_is_refused(position: int, flip: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(SIGNER.encode(CURSOR)))
    raw[position % len(raw)] ^= flip
    assert SIGNER.decode(base64.urlsafe_b64encode(bytes(raw)).decode()) is None


def test_another_servers_cursor_is_refused() -> None:
    assert CursorSigner(SecretKeys("j" * 32)).decode(SIGNER.encode(CURSOR)) is None


def test_a_cursor_of_the_key_before_the_rotation_is_read_and_none_is_written_with_it() -> None:
    rotated = CursorSigner(SecretKeys("j" * 32, ["k" * 32]))
    assert rotated.decode(SIGNER.encode(CURSOR)) == CURSOR
    assert SIGNER.decode(rotated.encode(CURSOR)) is None
