"""The file inside of an import's body, decoded and read in pieces: the same as if it were read at once."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santaserver import file_text
from santaserver.errors import Unprocessable
from santaserver.file_text import FileText
from santaserver.rules.transfer_format import FileRow, read_rules
from santaserver.rules.transfer_schemas import FileFormat, FileMistake

TEXTS = st.text(
    st.sampled_from('a\\"u\n\t/\u00e9\u4e2d\U0001f600\ud83d\ude00d8')
    | st.characters(exclude_categories=["Cs"]),
    max_size=60,
).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text))


@given(TEXTS, st.integers(13, 30), st.booleans())
def test_pieces_make_the_whole_text(text: str, size: int, ascii_only: bool) -> None:
    source = json.dumps(text, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_text, "PIECE", size)
        assert "".join(FileText(memoryview(source)).pieces()) == text


@pytest.mark.parametrize(
    "source",
    [rb'"\ud83d"', rb'"a\ude00b"', b'"\xff"', b'"\xed\xa0\x80"', b'"a\x01"', b'"' + b"\xf0\x9f" * 9 + b'"'],
)
def test_what_is_no_text_is_refused(source: bytes) -> None:
    with pytest.raises(Unprocessable):
        list(FileText(memoryview(source)).pieces())


FILES: list[tuple[FileFormat, str]] = [
    (
        "json",
        '{"version": 1, "rules": [{"comment": "a\\nb", "x": [1, {"y": 2}]},\n\n [], 12, "t",\r\n {}, nul]}',
    ),
    ("json", "\ufeff [\n{},\n{}, 1234567\n]\n  x"),
    ("json", '{"rules": {}, "version": 1, "rules": [{}], "version": 3}'),
    ("json", '{"rules"\n: [{}\n {}]}'),
    ("csv", 'rule_type,identifier,policy,comment\nBINARY,"a\r\nb",x,\r\n\r"c""d",e\n\n,,,,\n"'),
    ("csv", "\ufeffrule_type,identifier,policy\rTEAMID,ABCDE12345,BLOCKLIST\r\nTEAMID,\u4e2d,BLOCKLIST"),
]


@pytest.mark.parametrize(("kind", "text"), FILES)
def test_it_does_not_matter_where_pieces_end(kind: FileFormat, text: str) -> None:
    whole = list(read_rules(kind, iter([text])))
    assert any(isinstance(item, FileMistake) for item in whole) or any(
        isinstance(item, FileRow) for item in whole
    )
    for size in range(1, 20):
        pieces = (text[place : place + size] for place in range(0, len(text), size))
        assert list(read_rules(kind, pieces)) == whole


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("json", '[{"comment": "' + "x" * 400_000 + '"}]', "Not valid JSON"),
        ("json", '{"version": "' + "x" * 400_000 + '", "rules": []}', "Not valid JSON"),
        ("json", "[" + "9" * 400_000 + "]", "number"),
        ("json", "[{" + ",".join(f'"k{number}":1' for number in range(1000)) + "}]", "1000 fields"),
        ("csv", "rule_type,identifier,policy\n" + "x" * 400_000, "Not valid CSV"),
        ("csv", "rule_type,identifier,policy\n" + '"' + "x\n" * 200_000, "Not valid CSV"),
        ("csv", "x" * 400_000, "Not valid CSV"),
    ],
)
def test_an_element_that_is_larger_than_any_rule_ends_the_reading(
    kind: FileFormat, text: str, words: str
) -> None:
    taken = 0

    def pieces() -> Iterator[str]:
        nonlocal taken
        for place in range(0, len(text), 1000):
            taken += 1
            yield text[place : place + 1000]

    found = list(read_rules(kind, pieces()))
    assert isinstance(found[-1], FileMistake)
    assert words in found[-1].message
    assert taken <= 300
