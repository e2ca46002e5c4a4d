"""Configuration profiles: each payload as macOS and Santa read it, signed, and never stored anywhere."""

import plistlib
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from santaserver.settings import load
from santaserver.settings_area import SettingsError
from tests.conftest import ADMIN
from tests.enrollment.test_enrollments_api import make
from tests.support.postgres import fetch
from tests.support.server import RunningServer

HERE = Path(__file__).parent / "profiles"
URL = "https://santa.example.com"
ALL = ["configuration", "system_extension", "full_disk_access", "background_items", "notifications"]
TYPES = {
    "system_extension": "com.apple.system-extension-policy",
    "full_disk_access": "com.apple.TCC.configuration-profile-policy",
    "background_items": "com.apple.servicemanagement",
    "notifications": "com.apple.notificationsettings",
}
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
KEYS: dict[str, Key] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ecdsa": ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}


def certificate(key: Key, name: str, issuer: tuple[Key, str] | None = None, days: int = 90) -> str:
    """Return a certificate (PEM)."""
    signer, signed_by = issuer or (key, name)
    begin = datetime.now(UTC) - timedelta(days=100)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, signed_by)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(datetime.now(UTC) + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return made.sign(signer, digest).public_bytes(Encoding.PEM).decode()


def pem(key: Key, passphrase: bytes = b"") -> str:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


ROOT = certificate(KEYS["ecdsa"], "Root")


def issued(kind: str, days: int = 90) -> str:
    """Return a signing certificate of the root, with its chain."""
    return certificate(KEYS[kind], "Profiles of Example", (KEYS["ecdsa"], "Root"), days) + ROOT


class Profiles:
    """A server and one enrollment."""

    def __init__(self, running: RunningServer) -> None:
        self.admin = running.client(Origin=URL)
        self.dsn = running.dsn
        login = {"username": ADMIN[0], "password": ADMIN[1]}
        answer = self.admin.post("/api/v1/auth/login", json=login)
        self.admin.headers["Cookie"] = answer.headers["set-cookie"].partition(";")[0]
        made = make(self.admin)
        self.secret: str = made["secret"]
        self.path = f"/api/v1/enrollments/{made['enrollment']['id']}/profile"

    def get(self, **fields: Any) -> httpx.Response:  # noqa: ANN401
        return self.admin.post(self.path, json={"secret": self.secret, **fields})

    def plist(self, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        response = self.get(**fields)
        assert response.status_code == httpx.codes.OK, response.text
        found: dict[str, Any] = plistlib.loads(response.content)
        return found


@pytest.fixture
def profiles(dsn: str) -> Iterator[Profiles]:
    with RunningServer(dsn, {"PUBLIC_URL": URL}) as running:
        made = Profiles(running)
        yield made
        made.admin.close()


def signing(dsn: str, kind: str, days: int = 90) -> RunningServer:
    return RunningServer(
        dsn,
        {
            "PUBLIC_URL": URL,
            "PROFILE_SIGNING_CERTIFICATE": issued(kind, days),
            "PROFILE_SIGNING_KEY": pem(KEYS[kind]),
        },
    )


def test_a_profile_has_everything_that_santa_needs(profiles: Profiles) -> None:
    response = profiles.get()
    assert response.headers["cache-control"] == "no-store"
    found = plistlib.loads(response.content)
    assert [payload["PayloadType"] for payload in found["PayloadContent"]] == [
        "com.northpolesec.santa",
        *TYPES.values(),
    ]
    ids = [found, *found["PayloadContent"]]
    assert len({one["PayloadUUID"] for one in ids}) == len({one["PayloadIdentifier"] for one in ids}) == 6
    assert profiles.get().content == response.content


@pytest.mark.parametrize("kind", TYPES)
def test_a_payload_is_like_the_one_in_santas_documentation(profiles: Profiles, kind: str) -> None:
    """The fixtures are Santa's own examples, without what names an organization."""
    (payload,) = profiles.plist(payloads=[kind])["PayloadContent"]
    example = plistlib.loads((HERE / f"{kind}.plist").read_bytes())
    ours = {key: value for key, value in payload.items() if not key.startswith("Payload")}
    if kind == "background_items":
        for rule in ours["Rules"]:
            del rule["Comment"]
    assert ours == example


@pytest.mark.parametrize("left_out", ALL)
def test_each_payload_can_be_left_out(profiles: Profiles, left_out: str) -> None:
    kinds = [kind for kind in ALL if kind != left_out]
    found = profiles.plist(payloads=kinds)
    wanted = [TYPES.get(kind, "com.northpolesec.santa") for kind in kinds]
    assert [payload["PayloadType"] for payload in found["PayloadContent"]] == wanted


def test_approvals_alone_need_no_secret_and_replace_no_configuration(profiles: Profiles) -> None:
    whole = profiles.plist()
    found = profiles.plist(payloads=ALL[1:], secret="")
    assert profiles.secret not in str(found)
    ids = {one["PayloadIdentifier"] for one in (found, *found["PayloadContent"])}
    assert ids.isdisjoint(one["PayloadIdentifier"] for one in (whole, *whole["PayloadContent"]))
    only = profiles.plist(payloads=ALL[:1])
    assert only["PayloadIdentifier"] == whole["PayloadIdentifier"]
    missing = profiles.get(secret="")
    assert missing.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert missing.json()["errors"][0]["field"] == "secret"


def test_every_value_has_the_type_that_a_property_list_needs(profiles: Profiles) -> None:
    def check(value: object) -> None:
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            for one in value.values():
                check(one)
        elif isinstance(value, list):
            assert value
            for one in value:
                check(one)
        else:
            assert isinstance(value, str | bytes | bool | int), value

    found = profiles.plist(essentials=["jamf"], server_roots=ROOT)
    check(found)
    santa, extension, access, items, told = found["PayloadContent"]
    assert isinstance(santa["ServerAuthRootsData"], bytes)
    assert all(type(rule["Allowed"]) is bool for rule in access["Services"]["SystemPolicyAllFiles"])
    assert type(told["NotificationSettings"][0]["AlertType"]) is int
    assert type(items["Rules"]) is type(extension["AllowedSystemExtensions"]["ZMCG7MLDV9"]) is list


def test_a_private_authority_comes_with_the_profile(profiles: Profiles) -> None:
    text = f"subject=Root\n{ROOT}\n{pem(KEYS['rsa'])}"
    santa = profiles.plist(server_roots=text)["PayloadContent"][0]
    assert x509.load_pem_x509_certificates(santa["ServerAuthRootsData"])
    assert b"PRIVATE" not in santa["ServerAuthRootsData"]
    assert "ServerAuthRootsData" not in profiles.plist()["PayloadContent"][0]
    for wrong in ("nonsense", pem(KEYS["rsa"]), ROOT[:200]):
        refused = profiles.get(server_roots=wrong)
        assert refused.json()["errors"][0]["field"] == "server_roots"


def test_a_replaced_secret_makes_no_profile(profiles: Profiles) -> None:
    old, enrollment = profiles.secret, profiles.path.removesuffix("/profile")
    profiles.secret = profiles.admin.post(f"{enrollment}/secrets", json={}).json()["secret"]
    assert profiles.plist()
    refused = profiles.get(secret=old)
    assert "was replaced" in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_profile_is_signed_when_there_is_a_certificate(dsn: str, tmp_path: Path, kind: str) -> None:
    with signing(dsn, kind) as running:
        profiles = Profiles(running)
        options = profiles.admin.get("/api/v1/enrollments/profile-options").json()
        assert (options["server"], options["signer"]["name"]) == (URL, "Profiles of Example")
        signed = profiles.get()
        plain = profiles.get(signed=False)
        profiles.admin.close()
    assert signed.headers["content-type"] == "application/x-apple-aspen-config"
    assert plistlib.loads(plain.content)
    (tmp_path / "root.pem").write_text(ROOT)
    assert verify(tmp_path, signed.content) == plain.content
    at = signed.content.index(b"SyncBaseURL")
    changed = signed.content[:at] + b"X" + signed.content[at + 1 :]
    with pytest.raises(subprocess.CalledProcessError):
        verify(tmp_path, changed)
    rows = fetch(dsn, "select after->>'signed' as signed from audit_log where action = 'profile_downloaded'")
    assert sorted(row["signed"] for row in rows) == ["false", "true"]


def verify(folder: Path, message: bytes) -> bytes:
    """Return what OpenSSL says was signed."""
    (folder / "profile").write_bytes(message)
    command: Sequence[str] = ["openssl", "smime", "-verify", "-inform", "DER", "-in", "profile"]
    options = ["-CAfile", "root.pem", "-purpose", "any", "-binary"]
    done = subprocess.run([*command, *options], cwd=folder, check=True, capture_output=True)  # noqa: S603
    return done.stdout


def test_an_expired_certificate_signs_nothing(dsn: str) -> None:
    with signing(dsn, "rsa", days=-1) as running:
        profiles = Profiles(running)
        refused = profiles.get()
        assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
        assert "expired" in refused.json()["detail"]
        assert profiles.get(signed=False).status_code == httpx.codes.OK
        profiles.admin.close()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"PROFILE_SIGNING_KEY": pem(KEYS["rsa"])}, "PROFILE_SIGNING_CERTIFICATE is missing"),
        ({"PROFILE_SIGNING_CERTIFICATE": issued("rsa")}, "PROFILE_SIGNING_KEY is missing"),
        (
            {"PROFILE_SIGNING_CERTIFICATE": issued("rsa"), "PROFILE_SIGNING_KEY": pem(KEYS["ecdsa"])},
            "does not belong",
        ),
        (
            {"PROFILE_SIGNING_CERTIFICATE": "nonsense", "PROFILE_SIGNING_KEY": pem(KEYS["rsa"])},
            "no certificate in PEM form",
        ),
        (
            {"PROFILE_SIGNING_CERTIFICATE": issued("rsa"), "PROFILE_SIGNING_KEY": "nonsense"},
            "no private key in PEM form",
        ),
        (
            {"PROFILE_SIGNING_CERTIFICATE": issued("rsa"), "PROFILE_SIGNING_KEY": pem(KEYS["rsa"], b"x")},
            "passphrase",
        ),
        (
            {"PROFILE_SIGNING_CERTIFICATE": issued("ed25519"), "PROFILE_SIGNING_KEY": pem(KEYS["ed25519"])},
            "neither RSA nor ECDSA",
        ),
    ],
)
def test_unusable_signing_settings_stop_the_start(values: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(values)
    (error,) = refused.value.errors
    assert told in error
    assert "PRIVATE" not in error


def test_the_key_is_read_from_a_file_and_kept_out_of_logs(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(pem(KEYS["rsa"]))
    (tmp_path / "certificate").write_text(issued("rsa"))
    settings = load(
        {
            "PROFILE_SIGNING_KEY_FILE": str(tmp_path / "key"),
            "PROFILE_SIGNING_CERTIFICATE_FILE": str(tmp_path / "certificate"),
        }
    )
    assert settings.profiles.signer is not None
    assert pem(KEYS["rsa"]).splitlines()[1] in settings.secrets
    assert "PRIVATE KEY" not in repr(settings)
