"""The shared part of a page is encoded once; each Mac gets a complete page with its own cursor."""

import gzip

import msgspec
import pytest

from santaserver.policy.rule_text import removal
from santaserver.protocol import protobuf
from santaserver.protocol import santa_v1_pb2 as pb
from santaserver.protocol.body import Form
from santaserver.sync.pages import Page, shared_part, whole_page

RULES = [removal(("BINARY", f"{number:064x}")) for number in range(300)]


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("rules", [RULES, RULES[:1]])
def test_one_shared_part_serves_every_cursor(rules: list[bytes], form: Form, pack: bool) -> None:
    shared = shared_part(Page("same", rules, "of the first Mac"), form, pack=pack)
    for cursor in ("", "abc", 'strange "\\ ü'):
        sent = whole_page(shared, Page("same", rules, cursor), form)
        plain = gzip.decompress(sent) if shared.packed else sent
        if form is Form.PROTOBUF:
            message = protobuf.parse(plain, pb.RuleDownloadResponse)
            assert isinstance(message, pb.RuleDownloadResponse)
            assert (len(message.rules), message.cursor) == (len(rules), cursor)
        else:
            page = msgspec.json.decode(plain)
            assert (len(page["rules"]), page.get("cursor", "")) == (len(rules), cursor)


def test_a_page_that_fits_into_a_packet_is_not_compressed() -> None:
    assert not shared_part(Page("few", RULES[:3], ""), Form.JSON, pack=True).packed
    assert shared_part(Page("many", RULES, ""), Form.JSON, pack=True).packed
