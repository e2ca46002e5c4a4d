"""Which version of a rule or setting counts: SQL conditions, written here and nowhere else. Pure."""


def in_force_at(seq: str) -> str:
    """Return the condition that version `v` is in force at a policy number, which is given as SQL."""
    return f"v.opened_seq <= {seq} and (v.closed_seq is null or v.closed_seq > {seq})"


def precedence_in(layers: str) -> str:
    """Return the order in which versions `v` win; `layers` is an array in SQL, the lowest layer first.

    The lowest locked version wins; without a locked one, the highest.
    """
    place = f"array_position({layers}, v.layer_id)"
    return f"v.locked desc, case when v.locked then -{place} else {place} end desc"


def supported_at(level: str) -> str:
    """Return the condition that a client with these CEL features, a `Level` in SQL, supports version `v`.

    Every other policy has a form for every client (`capabilities.py`), so a rule that a client cannot take is
    skipped, and the next one of the precedence applies: an old Mac does not lose the block below a CEL rule.
    """
    return f"v.needs_level <= {level}"


IN_FORCE = in_force_at("$2")
PRECEDENCE = precedence_in("$1")
"""Both for statements whose first parameters are the layers and the policy number."""
