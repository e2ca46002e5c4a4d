"""The SQL of machines' reports; that of their syncs is in repository.py."""

from datetime import datetime

from santaserver.db import Connection
from santaserver.policy.capabilities import by_version
from santaserver.policy.states import RuleCounts
from santaserver.protocol.messages import PreflightRequest
from santaserver.sync.repository import clip


async def store_report(
    connection: Connection, row_id: int, report: PreflightRequest, mode: str, conflict: bool, now: datetime
) -> None:
    """Keep what a preflight says about the machine.

    Of a client that takes all rules at each sync, the counts are kept that follow from what it got.
    """
    facts = (report.serial_number, report.hostname, report.model_identifier, report.os_version)
    more = (report.os_build, report.santa_version, report.primary_user)
    counts = (
        report.binary_rule_count,
        report.certificate_rule_count,
        report.teamid_rule_count,
        report.signingid_rule_count,
        report.cdhash_rule_count,
        report.compiler_rule_count,
        report.transitive_rule_count,
    )
    await connection.execute(
        """update machine set serial = $2, hostname = $3, model = $4, os_version = $5, os_build = $6,
             santa_version = $7, primary_user = $8, primary_user_groups = $9, client_mode = $10,
             sip_status = $11,
             binary_rules = coalesce($12, binary_rules),
             certificate_rules = coalesce($13, certificate_rules),
             teamid_rules = coalesce($14, teamid_rules),
             signingid_rules = coalesce($15, signingid_rules),
             cdhash_rules = coalesce($16, cdhash_rules),
             compiler_rules = coalesce($17, compiler_rules),
             transitive_rules = coalesce($18, transitive_rules),
             identity_conflict_at = case when $19 then $20 else identity_conflict_at end
           where id = $1""",
        row_id,
        *(clip(text) for text in facts + more),
        [clip(group) for group in report.primary_user_groups[:200]],
        mode,
        report.sip_status,
        *([None] * len(counts) if by_version(report.santa_version).whole_set else counts),
        conflict,
        now,
    )


async def store_counts(connection: Connection, row_id: int, counts: RuleCounts) -> None:
    """Keep how many rules a machine has whose client does not count them."""
    await connection.execute(
        """update machine set binary_rules = $2, certificate_rules = $3, teamid_rules = $4,
             signingid_rules = $5, cdhash_rules = $6, compiler_rules = 0, transitive_rules = 0
           where id = $1""",
        row_id,
        *counts,
    )
