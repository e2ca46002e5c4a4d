"""The stored roles of users: their own, and those of their groups."""

import msgspec

from santaserver.current_user import Binding

_LIST = """(select coalesce(json_agg(json_build_array(coalesce(b.role, r.name), b.tag_id, t.name,
    r.permissions, b.from_provider, b.group_id, o.name) order by b.id), '[]')::text
  from {} b left join tag t on t.id = b.tag_id left join custom_role r on r.id = b.custom_role_id
    left join user_group o on o.id = b.group_id
  where {})"""
BINDINGS = _LIST.format("user_binding", "b.user_id = u.id")
"""A column of the user `u`: all roles."""
OWN_BINDINGS = _LIST.format("binding", "b.user_id = u.id")
"""A column of the user `u`: the roles without those of groups."""
GROUP_BINDINGS = _LIST.format("binding", "b.group_id = g.id")
"""A column of the group `g`: its roles."""

_DECODER = msgspec.json.Decoder(list[Binding])


def bindings_of(column: str) -> list[Binding]:
    """Read such a column."""
    return _DECODER.decode(column)
