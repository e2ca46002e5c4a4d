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

SET = f"select s.value::integer as seconds from setting_version s where s.key = '{KEY}'"  # noqa: S608 - constants
SHORTEST = f"least({DEFAULT}, (select min(seconds) from ({SET}) set_so_far))"  # noqa: S608 - constants
LONGEST = f"greatest({DEFAULT}, (select max(seconds) from ({SET}) set_so_far))"  # noqa: S608 - constants

TOLD = "coalesce(y.pending_seq, y.acked_seq, (select seq from policy_head))"
"""The policy number that machine `y` was told last."""


def overdue(now: str) -> str:
    """Return the condition that machine `y` has been silent for too long at `now`, which is given as SQL."""
    # Its own interval is looked up only when the shortest and the longest one so far disagree.
    own = interval("y.signature", TOLD)
    return f"""case
      when y.last_preflight_at >= {latest(now, SHORTEST)} then false
      when y.last_preflight_at < {latest(now, LONGEST)} then true
      else y.last_preflight_at < {latest(now, own)} end"""


def interval(signature: str, told: str) -> str:
    """Return the interval of a signature's layers at a policy number, both given as SQL."""
    return f"""coalesce((
      select v.value::integer from setting_version v
      left join policy_signature p on p.id = {signature}
      where v.key = '{KEY}' and {in_force_at(told)}
        and (v.layer_id = any(p.layers) or (p.id is null and v.layer_id = {GLOBAL_LAYER}))
      order by {precedence_in("p.layers")} limit 1), {DEFAULT})"""  # noqa: S608 - constants


def latest(now: str, seconds: str) -> str:
    """Return the moment before which a last preflight is too long ago for an interval."""
    return f"{now} - make_interval(secs => {int(GRACE.total_seconds())} + {MISSED_SYNCS} * {seconds})"


def limits(now: str) -> str:
    """Return a statement for these moments of all intervals so far, the earliest first, as one array `at`."""
    return f"""select array_agg(at order by at) as at from (
      select distinct {latest(now, "seconds")} as at from ({SET} union select {DEFAULT}) intervals) moments"""  # noqa: S608
