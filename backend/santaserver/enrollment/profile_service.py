"""Makes the configuration profiles of enrollments."""

import hmac
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from santaserver.current_user import User
from santaserver.enrollment import service
from santaserver.enrollment.essentials import BY_KEY
from santaserver.enrollment.profile import ProfileContent, profile
from santaserver.enrollment.repository import EnrollmentRow
from santaserver.enrollment.schemas import ProfileOptions, ProfileRequest, ProfileSigner, StaticRule
from santaserver.enrollment.secrets import hash_secret
from santaserver.errors import Unprocessable, wrong_field
from santaserver.policy.targets import check_identifier
from santaserver.signing import Signer, certificates_of, pem_of
from santaserver.unit_of_work import UnitOfWork

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def options(server: str, signer: Signer | None) -> ProfileOptions:
    """Return what profiles of this server can be like."""
    shown = None if signer is None else ProfileSigner(name=signer.subject, expires_at=signer.expires_at)
    return ProfileOptions(server=server, signer=shown)


async def make_profile(
    work: UnitOfWork,
    number: int,
    wanted: ProfileRequest,
    server: str,
    signer: Signer | None,
    user: User,
    now: datetime,
) -> bytes:
    """Return the configuration profile of an enrollment; `server` is where Macs find this one."""
    row = await service.find(work.connection, number)
    content = ProfileContent(server=server, enrollment=row.id, label=row.label, payloads=wanted.payloads)
    rules: list[StaticRule] = []
    if "configuration" in wanted.payloads:
        _check_secret(row, wanted.secret)
        _check_server(server)
        rules = _static_rules(wanted)
        content = ProfileContent(
            server=server,
            enrollment=row.id,
            label=row.label,
            payloads=wanted.payloads,
            secret=wanted.secret,
            secret_in=wanted.secret_in,
            static_rules=rules,
            server_roots=_roots(wanted.server_roots),
        )
    if signer is not None and wanted.signed and signer.expires_at <= now:
        raise Unprocessable(
            "The certificate that signs profiles has expired: replace PROFILE_SIGNING_CERTIFICATE, restart, "
            "or download the profile unsigned"
        )
    signing = signer if wanted.signed else None
    after: dict[str, Any] = {
        "server": server,
        "payloads": wanted.payloads,
        "static_rules": [rule.model_dump(mode="json") for rule in rules],
        "server_roots": bool(content.server_roots),
        "signed": signing is not None,
    }
    work.audit(user.actor, now, "profile_downloaded", ("enrollment", str(row.id)), None, after)
    made = profile(content)
    return made if signing is None else signing.sign(made)


def _check_secret(row: EnrollmentRow, secret: str) -> None:
    """Raise a problem unless this is the present secret."""
    if not secret:
        raise wrong_field("secret", "The configuration needs the secret of the enrollment")
    hashed = hash_secret(secret)
    if hmac.compare_digest(hashed, row.present.secret_hash):
        return
    if any(hmac.compare_digest(hashed, one.secret_hash) for one in row.secrets):
        raise wrong_field("secret", "This secret was replaced: enter the present one of this enrollment")
    raise wrong_field("secret", "This is not the secret of this enrollment")


def _check_server(server: str) -> None:
    address = urlsplit(server)
    if address.scheme != "https" and address.hostname not in LOOPBACK:
        raise Unprocessable(
            f"Santa refuses to sync with {server} because it is not HTTPS: set PUBLIC_URL to the https:// "
            "address of this server"
        )


def _static_rules(wanted: ProfileRequest) -> list[StaticRule]:
    rules = [_essential(key) for key in dict.fromkeys(wanted.essentials)]
    return rules + [
        StaticRule(rule_type=rule.rule_type, identifier=check_identifier(rule.rule_type, rule.identifier))
        for rule in wanted.static_rules
    ]


def _essential(key: str) -> StaticRule:
    known = BY_KEY.get(key)
    if known is None:
        raise wrong_field("essentials", f"{key!r} is not one of {', '.join(BY_KEY)}")
    return StaticRule(rule_type="TEAMID", identifier=known.team_id)


def _roots(pem: str) -> bytes:
    """Return the certificates of a PEM text, and nothing else that is in it."""
    if not pem.strip():
        return b""
    try:
        return pem_of(certificates_of(pem))
    except ValueError as error:
        raise wrong_field("server_roots", f"Cannot be read: {error}") from None
