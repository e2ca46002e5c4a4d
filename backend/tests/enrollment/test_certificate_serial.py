"""A client certificate whose subject contains the serial number of its Mac."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from santaserver.enrollment.certificates import names_serial
from tests.enrollment.test_enrollments_api import make
from tests.support.postgres import fetch
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

Name = Sequence[tuple[x509.ObjectIdentifier, str]]


def certificate(subject: Name) -> bytes:
    """Return a certificate (DER) with this subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in subject])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "C02ISSUER")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(begin).not_valid_after(begin + timedelta(days=999))
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("subject", "serial", "wanted"),
    [
        ([(NameOID.COMMON_NAME, "C02ABC")], "C02ABC", True),
        ([(NameOID.COMMON_NAME, "c02abc")], "C02ABC", True),
        ([(NameOID.COMMON_NAME, "mac-C02ABC.example.com")], "C02ABC", True),
        ([(NameOID.COMMON_NAME, "Someone"), (NameOID.SERIAL_NUMBER, "C02ABC")], "c02abc", True),
        ([(NameOID.ORGANIZATIONAL_UNIT_NAME, "Macs C02ABC")], "C02ABC", True),
        ([(NameOID.COMMON_NAME, "VMware-56 4d 01")], "VMware-56 4d 01", True),
        ([(NameOID.COMMON_NAME, "C02ABCD")], "C02ABC", False),
        ([(NameOID.COMMON_NAME, "XC02ABC")], "C02ABC", False),
        ([(NameOID.COMMON_NAME, "C02.BC")], "C02ABC", False),
        ([(NameOID.COMMON_NAME, "C02ABC")], "C02.BC", False),
        ([(NameOID.COMMON_NAME, "C02ABC")], "", False),
        ([], "C02ABC", False),
        ([(NameOID.COMMON_NAME, "another")], "C02ISSUER", False),
    ],
)
def test_a_subject_contains_a_serial_number_as_a_whole(subject: Name, serial: str, wanted: bool) -> None:
    assert names_serial(certificate(subject), serial) is wanted


@pytest.mark.parametrize("der", [b"", b"no certificate", b"\x30\x03\x02\x01\x01"])
def test_what_is_no_certificate_names_nobody(der: bytes) -> None:
    assert not names_serial(der, "C02ABC")


def test_an_enrollment_may_ask_for_the_serial_number(server: RunningServer, admin: httpx.Client) -> None:
    made = make(admin, client_certificate=True, certificate_serial=True)
    own = certificate([(NameOID.COMMON_NAME, "C02OWN")])
    other = certificate([(NameOID.COMMON_NAME, "C02OTHER")])

    def status(der: bytes | None, stage: str = "preflight", serial: str = "C02OWN") -> int:
        mac = SimulatedMac(server.url, secret=made["secret"], machine_id="M1", serial=serial)
        headers = {} if der is None else {"Client-Cert": f":{base64.b64encode(der).decode()}:"}
        body = b'{"serial_num":"%s"}' % serial.encode() if stage == "preflight" and serial else b"{}"
        found = mac.post_raw(stage, body, headers).status_code
        mac.close()
        return found

    # Not even by an upload of events can a certificate of another Mac take the machine id.
    event = b'{"events":[{"file_sha256":"%s","execution_time":1}]}' % (b"a" * 64)
    mac = SimulatedMac(server.url, secret=made["secret"], machine_id="M1", serial="C02OWN")
    upload = mac.post_raw("eventupload", event, {"Client-Cert": f":{base64.b64encode(other).decode()}:"})
    mac.close()
    assert upload.status_code == httpx.codes.UNAUTHORIZED
    assert [status(None), status(other), status(own, serial="")] == [401, 401, 401]
    assert fetch(server.dsn, "select id from machine") == []
    assert [status(own, stage) for stage in ("preflight", "eventupload", "ruledownload", "postflight")] == [
        200
    ] * 4
    assert status(own, serial="C02OTHER") == 401
    assert status(other, "postflight") == 403
    assert status(own) == 200


def test_macs_enrolled_before_are_checked_from_the_change_on(
    server: RunningServer, admin: httpx.Client
) -> None:
    made = make(admin)
    mac = SimulatedMac(server.url, secret=made["secret"], machine_id="M1", serial="C02OWN")
    mac.sync()
    address = f"/api/v1/enrollments/{made['enrollment']['id']}"
    alone = admin.patch(address, json={"certificate_serial": True})
    assert alone.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert alone.json()["errors"][0]["field"] == "certificate_serial"
    both = {"client_certificate": True, "certificate_serial": True}
    assert admin.patch(address, json=both).json()["certificate_serial"] is True
    server.clock.advance(seconds=6)
    assert mac.post_raw("preflight", b'{"serial_num":"C02OWN"}').status_code == httpx.codes.UNAUTHORIZED
    own = base64.b64encode(certificate([(NameOID.COMMON_NAME, "C02OWN")])).decode()
    shown = mac.post_raw("preflight", b'{"serial_num":"C02OWN"}', {"Client-Cert": f":{own}:"})
    assert shown.status_code == httpx.codes.OK
    mac.close()
