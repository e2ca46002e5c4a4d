"""The sync state of a Mac, and how many Macs of the fleet are in which."""

from datetime import timedelta

from santaserver.machines.overdue import TOLD, interval, latest, limits, overdue

CONFLICT_SHOWN = timedelta(hours=24)
"""How long a machine id that two serial numbers used counts as drifted."""
NOW = "$1::timestamptz"
CONFLICT = f"identity_conflict_at > {NOW} - interval '{CONFLICT_SHOWN.total_seconds():.0f} seconds'"


def _in_contact(conflict: str) -> str:
    """Return the state of machine `y` if it is not overdue; `conflict` tells if others use its id."""
    return f"""case
  when y.drift_suppressed or {conflict} then 'drifted'
  when y.acked_seq is null or y.acked_seq < (select seq from policy_head)
    or y.membership_fingerprint is null -- its layers are looked up at its next preflight
    or y.pending_kind in ('clean', 'clean_all') then 'pending'
  else 'in_sync' end"""  # noqa: S608 - constants


SYNC_STATE = f"""case
  when m.retired_at is not null then 'retired'
  when y.last_postflight_at is null then 'never'
  when {overdue(NOW)} then 'overdue'
  else {_in_contact(f"m.{CONFLICT}")} end"""
"""The sync state of machine `m` with its progress `y` at the time $1; the first that holds."""

FLEET_STATES = f"""
with limits as materialized ({limits(NOW)}),
each as (
  select case when y.last_postflight_at is null then 'never'
      else {_in_contact(f"y.machine_id in (select id from machine where {CONFLICT})")} end as state,
    width_bucket(y.last_preflight_at, (select at from limits)) as place, y.signature, {TOLD} as told
  from machine_sync y
  offset 0), -- or each row's state would be computed more than once
groups as (
  select state, place, case when doubtful then signature end as signature,
    case when doubtful then told end as told, count(*) as macs
  from (select *, place > 0 and place < (select cardinality(at) from limits) as doubtful from each) macs
  group by 1, 2, 3, 4)
select case when state <> 'never' and (place = 0 or told is not null
      and (select at[place] from limits) < {latest(NOW, interval("signature", "told"))})
    then 'overdue' else state end as state,
  sum(macs)::bigint as macs
from groups group by 1
"""  # noqa: S608 - constants
"""The same for all machines that are not retired, in one pass over their progress.

Machines are counted by the place of their last preflight among the moments before which it is too long ago,
one for each interval so far. So an interval is looked up only for layers with machines that are overdue by
one interval and not by another, and once for all of these.
"""
