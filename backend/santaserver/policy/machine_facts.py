"""The last reports of machines, as variables of tag predicates."""

from collections.abc import Sequence
from typing import Any

from santaserver.policy.predicate import MachineFacts

COLUMNS = """m.machine_id, m.serial, m.hostname, m.model, m.os_version, m.os_build, m.santa_version,
  m.primary_user, m.primary_user_groups, m.client_mode, m.sip_status = 0"""
"""Of `machine m`, in the order of the facts."""


def stored_facts(row: Sequence[Any]) -> MachineFacts:
    """Return the facts of a row with these columns."""
    return MachineFacts(*row)
