"""Writes responses: in the request's form, compressed where the client accepts it and it helps."""

import gzip

from santaserver.protocol import protobuf
from santaserver.protocol.body import Form
from santaserver.sync.caches import SyncCaches
from santaserver.sync.pages import LEVEL, WORTH_COMPRESSING, Page, shared_part, whole_page

Fields = list[tuple[bytes, bytes]]
"""The header fields of a response, as ASGI has them."""


def stage_response(stage: str, form: Form, body: bytes, accepted: str) -> tuple[bytes, Fields]:
    """Return a stage's JSON response in the client's form, with its header fields."""
    if form is Form.PROTOBUF:
        body = protobuf.encode_response(stage, body)
    coded = len(body) > WORTH_COMPRESSING and takes_gzip(accepted)
    if coded:
        body = gzip.compress(body, LEVEL, mtime=0)
    return body, _fields(form, body, coded=coded)


def page_response(caches: SyncCaches, page: Page, form: Form, accepted: str) -> tuple[bytes, Fields]:
    """Return a page of rules in the client's form, with its header fields."""
    pack = takes_gzip(accepted)
    key = (page.content, form, pack)
    shared = caches.pages.get(key) or caches.pages.put(key, shared_part(page, form, pack=pack))
    body = whole_page(shared, page, form)
    return body, _fields(form, body, coded=shared.packed)


def _fields(form: Form, body: bytes, *, coded: bool) -> Fields:
    fields = [(b"content-type", form.value.encode()), (b"vary", b"Accept-Encoding")]
    if coded:
        fields.append((b"content-encoding", b"gzip"))
    return [*fields, (b"content-length", str(len(body)).encode())]


def takes_gzip(accepted: str) -> bool:
    """Tell whether an Accept-Encoding field takes gzip (RFC 9110, section 12.5.3)."""
    for choice in accepted.lower().split(","):
        name, _, weight = choice.partition(";")
        if name.strip() in {"gzip", "x-gzip"}:
            value = weight.partition("=")[2].strip()
            return value.strip("0.") != "" or not value
    return False
