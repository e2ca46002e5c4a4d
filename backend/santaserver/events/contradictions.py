"""Contradicting claims of Macs, as a column of queries for certificates and bundles."""

from typing import Any

import msgspec

from santaserver.events.claim_store import CERTIFICATES, PROGRAM_BUNDLES, Subject
from santaserver.events.pending_claims import MAX_MACS


def _column(subject: Subject, of: str) -> str:
    facts = ", ".join(f"'{column}', k.{column}" for column in subject.columns)
    claims, key = subject.claims, subject.key
    return f"""(case when (select count(*) from {claims} k where k.{key} = {of}) > 1 then (
      select jsonb_agg(jsonb_build_object({facts}, 'macs', least(coalesce(o.macs, 0), {MAX_MACS}))
        order by least(coalesce(o.macs, 0), {MAX_MACS}) desc, k.claimed_at)::text
      from {claims} k left join (
        select m.digest, count(*) as macs from {claims}_machine m where m.{key} = {of} group by m.digest) o
        on o.digest = k.digest
      where k.{key} = {of}) end)"""  # noqa: S608 - names of this program


def certificate_claims(sha256: str) -> str:
    """Return the expression for what is claimed about a certificate; null when Macs agree."""
    return _column(CERTIFICATES, sha256)


def bundle_claims(program: str) -> str:
    """Return the expression for what is claimed about a program's bundle; null when Macs agree."""
    return _column(PROGRAM_BUNDLES, program)


def parsed(column: str | None) -> list[Any]:
    """Return what such an expression found."""
    return msgspec.json.decode(column) if column else []
