"""When a Mac is overdue: it has missed three of the syncs that its own settings ask for.

The interval is the one sent at its last preflight: that of its layers at the policy number of that sync. A
later change takes effect with the next sync only.
"""

from datetime import timedelta

from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.policy.precedence import in_force_at, precedence_in
from santaserver.sync_settings.schemas import SyncSettings

MISSED_SYNCS = 3
GRACE = timedelta(minutes=5)
KEY = "full_sync_interval"
DEFAULT: int = SyncSettings.model_fields[KEY].default

SHORTEST = f"least({DEFAULT}, (select min(s.value::integer) from setting_version s where s.key = '{KEY}'))"  # noqa: S608 - constants

TOLD = "coalesce(y.pending_seq, y.acked_seq, (select seq from policy_head))"
INTERVAL = f"""coalesce((
  select v.value::integer from setting_version v
  left join policy_signature p on p.id = y.signature
  where v.key = '{KEY}' and {in_force_at(TOLD)}
    and (v.layer_id = any(p.layers) or (p.id is null and v.layer_id = {GLOBAL_LAYER}))
  order by {precedence_in("p.layers")} limit 1), {DEFAULT})"""  # noqa: S608 - constants
"""The interval of the machine `y`, by its layers and the policy number that it was told last."""


def overdue(now: str) -> str:
    """Return the condition that machine `y` has been silent for too long at `now`, which is given as SQL."""
    # Most Macs are not late even by the shortest interval so far, so their own is not looked up.
    return f"""case when y.last_preflight_at < {_latest(now, SHORTEST)}
      then y.last_preflight_at < {_latest(now, INTERVAL)} else false end"""


def _latest(now: str, interval: str) -> str:
    return f"{now} - make_interval(secs => {int(GRACE.total_seconds())} + {MISSED_SYNCS} * {interval})"
