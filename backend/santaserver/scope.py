"""Where a permission holds: everywhere, or for what has one of some tags.

Functions that read or change rules, Macs, tags and events take a `Scope`, so that none is called without one.
What is out of scope is treated as if it did not exist.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """The tags that a permission is limited to; None is everything, also what has no tag."""

    tags: frozenset[int] | None

    @property
    def everywhere(self) -> bool:
        """Whether nothing is out of scope."""
        return self.tags is None

    @property
    def tag_ids(self) -> list[int] | None:
        """The tags as an argument of a statement."""
        return None if self.tags is None else sorted(self.tags)

    def covers(self, tag: int) -> bool:
        """Tell whether a tag is in scope."""
        return self.tags is None or tag in self.tags

    def __or__(self, other: "Scope") -> "Scope":
        """Return the scope of a permission that two roles grant."""
        return EVERYWHERE if self.tags is None or other.tags is None else Scope(self.tags | other.tags)

    def __ge__(self, other: "Scope") -> bool:
        """Tell whether all that is in the other scope is in this one."""
        return self.tags is None or (other.tags is not None and other.tags <= self.tags)


EVERYWHERE = Scope(None)
"""For the server's own work: syncs, schedules, the command line."""


def machine_in(machine: str, tags: str) -> str:
    """Return the condition that a machine (row id) is in scope; `tags` is a parameter such as `$2`."""
    return f"({tags}::bigint[] is null or {machine} in ({_members(tags)}))"


def layer_in(tags: str) -> str:
    """Return the condition that the layer `l` is in scope: a tag's own, or that of a Mac with such a tag."""
    return f"({tags}::bigint[] is null or l.tag_id = any({tags}) or l.machine_id in ({_members(tags)}))"


def _members(tags: str) -> str:
    """A retired Mac lost its tags by that, and stays in the scope in which it was retired."""
    return f"""select b.machine_id from tag_member b where b.left_at is null and b.tag_id = any({tags})
      union all select r.id from machine r join tag_member b on b.machine_id = r.id
        and b.left_at = r.retired_at where b.tag_id = any({tags})"""  # noqa: S608
