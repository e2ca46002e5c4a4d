"""The stored roles of users."""

from collections.abc import Sequence

from santaserver.current_user import Binding

_OF_USER = "from binding b left join tag t on t.id = b.tag_id where b.user_id = u.id order by b.id"
BINDINGS = f"""array(select b.role {_OF_USER}), array(select b.tag_id {_OF_USER}),
  array(select t.name {_OF_USER})"""
"""Three columns of the user `u`: roles, the ids of the tags they are limited to, the names of these tags."""


def bindings_of(
    roles: Sequence[str], tags: Sequence[int | None], names: Sequence[str | None]
) -> list[Binding]:
    """Put the three columns together."""
    return [
        Binding(role=role, tag=tag, tag_name=name) for role, tag, name in zip(roles, tags, names, strict=True)
    ]
