"""Client certificates reach the backend through santa-proxy, and only from whom it trusts."""

import base64
import tempfile
import uuid
from pathlib import Path

import httpx

from tests.e2e.chain import Pair
from tests.e2e.conftest import Deployment

STAGES = ("preflight", "eventupload", "ruledownload", "postflight")


def field_of(der: bytes) -> dict[str, str]:
    """Return the field by which a load balancer passes a certificate on (RFC 9440)."""
    return {"Client-Cert": f":{base64.b64encode(der).decode()}:"}


def test_a_mac_is_bound_to_the_certificate_that_a_trusted_proxy_has_checked(deployment: Deployment) -> None:
    path = f"MTLS-{uuid.uuid4()}"

    def status(url: str, stage: str, der: bytes | None) -> int:
        headers = {"Authorization": f"Bearer {deployment.secret}"} | (field_of(der) if der else {})
        return httpx.post(f"{url}/api/santa/{stage}/{path}", json={}, headers=headers, timeout=30).status_code

    with tempfile.TemporaryDirectory(prefix="santa-") as folder:
        trusting = Pair(Path(folder), SANTA__PROXY__TRUSTED_PROXIES="127.0.0.1/32")
        try:
            trusting.until("ready", "ready")
            own, other = b"the certificate of this Mac", b"one of another Mac"
            assert [status(trusting.url, stage, own) for stage in STAGES] == [200] * 4
            for der in (None, other):
                assert [status(trusting.url, stage, der) for stage in STAGES] == [403] * 4
            # The deployment trusts nobody: what a client says of its certificate is removed.
            assert [status(deployment.url, stage, own) for stage in STAGES] == [403] * 4
            assert status(trusting.url, "preflight", own) == 200
        finally:
            code = trusting.stop()
    assert code == 0
