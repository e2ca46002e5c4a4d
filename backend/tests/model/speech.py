"""How a Mac writes and reads messages: JSON or protobuf, coded as its profile says.

Every release can do all of it; what the profile's keys SyncEnableProtoTransfer and
SyncClientContentEncoding say is up to administrators, and may change between two syncs.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from santaserver.protocol import santa_v1_pb2 as pb

Headers = tuple[tuple[bytes, bytes], ...]

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "deflate": zlib.compress,
    "gzip": lambda body: gzip.compress(body, 1, mtime=0),
    "identity": lambda body: body,
}
ASKED: dict[str, type[Message]] = {
    "preflight": pb.PreflightRequest,
    "eventupload": pb.EventUploadRequest,
    "ruledownload": pb.RuleDownloadRequest,
    "postflight": pb.PostflightRequest,
}
ANSWERED: dict[str, type[Message]] = {
    "preflight": pb.PreflightResponse,
    "eventupload": pb.EventUploadResponse,
    "ruledownload": pb.RuleDownloadResponse,
}
JSON, PROTOBUF = "JSON", "protobuf"
TYPES = {JSON: b"application/json", PROTOBUF: b"application/x-protobuf"}


@dataclass(frozen=True)
class Speech:
    """One form and one content coding."""

    form: str = JSON
    coding: str = "deflate"

    def __str__(self) -> str:
        """Name both."""
        return f"{self.form}, {self.coding}"

    def write(self, stage: str, content: Mapping[str, Any]) -> bytes:
        """Return a stage's body as it is sent; `content` has the names that JSON has."""
        if self.form == JSON:
            plain = json.dumps(content).encode()
        else:
            named = {
                {"serial_num": "serial_number"}.get(name, name): value for name, value in content.items()
            }
            plain = json_format.ParseDict(named, ASKED[stage]()).SerializeToString()
        return CODINGS[self.coding](plain)

    def read(self, stage: str, body: bytes) -> dict[str, Any]:
        """Return what a response says, whatever its Content-Type: so the client does."""
        if self.form == JSON:
            shown: dict[str, Any] = json.loads(body) if body else {}
            return shown
        if stage not in ANSWERED:
            assert not body, f"{stage} was answered {body!r}"
            return {}
        received = ANSWERED[stage].FromString(body)
        return json_format.MessageToDict(received, preserving_proto_field_name=True)

    def headers(self) -> Headers:
        """Return the fields that tell the server."""
        return ((b"content-encoding", self.coding.encode()), (b"accept-encoding", b"gzip, deflate"))


SPEECHES = tuple(Speech(form, coding) for form in TYPES for coding in CODINGS)


def some_speech(chance: Random) -> Speech:
    """Think up a profile."""
    return chance.choice(SPEECHES)
