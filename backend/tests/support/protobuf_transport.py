"""Lets a simulated Mac use protobuf: bodies are converted in transit, like by the client's own setting."""

import zlib

import httpx
from google.protobuf import json_format
from google.protobuf.message import Message

from santaserver.protocol import santa_v1_pb2 as pb

KINDS: dict[str, tuple[type[Message], type[Message] | None]] = {
    "preflight": (pb.PreflightRequest, pb.PreflightResponse),
    "eventupload": (pb.EventUploadRequest, pb.EventUploadResponse),
    "ruledownload": (pb.RuleDownloadRequest, pb.RuleDownloadResponse),
    "postflight": (pb.PostflightRequest, None),
}
RESPELLED = {b'"serial_num"': b'"serial_number"'}


class ProtobufTransport(httpx.BaseTransport):
    """Sends JSON bodies as protobuf and returns protobuf responses as JSON."""

    def __init__(self) -> None:
        """Open a pool."""
        self._inner = httpx.HTTPTransport()
        self.responses: list[httpx.Response] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Turn one exchange."""
        stage = request.url.path.split("/")[3]
        asked, answered = KINDS[stage]
        body = zlib.decompress(request.read())
        for usual, proto in RESPELLED.items():
            body = body.replace(usual, proto)
        message = json_format.Parse(body, asked(), ignore_unknown_fields=True)
        content = zlib.compress(message.SerializeToString())
        headers = dict(request.headers) | {"content-type": "application/x-protobuf"}
        headers["content-length"] = str(len(content))
        response = self._inner.handle_request(
            httpx.Request(request.method, request.url, headers=headers, content=content)
        )
        response.read()
        self.responses.append(response)
        if response.status_code != httpx.codes.OK:
            return response
        plain = b"{}"
        if answered is not None:
            received = answered.FromString(response.content)
            plain = json_format.MessageToJson(received, preserving_proto_field_name=True).encode()
        return httpx.Response(200, content=plain)

    def close(self) -> None:
        """Give the connections back."""
        self._inner.close()
