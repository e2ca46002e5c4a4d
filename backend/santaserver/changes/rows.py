"""Which versions of rules a change ended and began, as parts of statements.

Their parameters: $1 is the change's number, $2 its time, $3 the id of who made it. Versions that wait for
their start have no number yet: they are found by the time, which is that of their change to the microsecond.
"""

EVERY_LAYER = "any(array(select id from layer))"
"""The indexes of versions begin with the layer."""
ENDED = f"""
select v.* from rule_version v where v.layer_id = {EVERY_LAYER} and v.closed_seq = $1
union all
select v.* from rule_version v where v.opened_seq is null and v.cancelled_at = $2::timestamptz"""  # noqa: S608 - a constant
BEGUN = f"""
select v.* from rule_version v where v.layer_id = {EVERY_LAYER} and v.opened_seq = $1
union all
select v.* from rule_version v where v.opened_at = $2::timestamptz
  and v.starts_at is not null and v.opened_by is not distinct from $3::bigint
  and (v.opened_seq is null or v.opened_seq > $1)"""  # noqa: S608 - a constant
