"""The canonical form of RFC 8785, for what entries may hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santaserver.canonical import MAX_SAFE, canonical

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE, MAX_SAFE)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_the_text_means_the_value(value: object) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


def test_the_example_of_the_rfc() -> None:
    """Appendix of RFC 8785, 3.2.3: names are sorted by UTF-16 units, not by code points."""
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical(dict.fromkeys(names, 1)))) == ordered
    assert (
        canonical({"string": '\u20ac$\u000f\nA\'B"\\\\"/'})
        == '{"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical([None, True, False]) == "[null,true,false]"
    assert canonical("\x7f\b\t\f") == '"\x7f\\b\\t\\f"'


def test_what_cannot_be_stored_is_replaced_and_other_types_are_refused() -> None:
    assert canonical("a\0b\ud800c") == '"a\ufffdb\ufffdc"'
    assert canonical("\ud83d\ude00") == '"\U0001f600"', "a pair is a character"
    assert canonical(2**53) == '"9007199254740992"'
    for value in (1.5, float("nan"), b"x", {1}, object()):
        with pytest.raises(TypeError):
            canonical(value)
