"""What of a filter the database can answer by an index, so that few resources have to be looked at. Pure."""

from msgspec import Struct

from santaserver.names import name_key
from santaserver.scim.filters import All, Compare, Filter, Values


class Hint(Struct, frozen=True):
    """Resources outside of this cannot match; None: nothing is known."""

    name_key: str | None = None
    external_id: str | None = None
    id: str | None = None
    email: str | None = None
    member: str | None = None

    @property
    def is_narrow(self) -> bool:
        """Whether it says anything."""
        return self != Hint()


def hint_of(found: Filter | None, name: str) -> Hint:
    """Return what must hold for each match; `name` is the attribute with the unique name."""
    told: dict[str, str] = {}
    for term in found.terms if isinstance(found, All) else (found,):
        _tell(term, name, told)
    return Hint(**told)


def _tell(term: Filter | None, name: str, told: dict[str, str]) -> None:
    if isinstance(term, Values):
        for inner in term.inner.terms if isinstance(term.inner, All) else (term.inner,):
            if isinstance(inner, Compare) and inner.reference.attribute.name == "value":
                _several(term.reference.attribute.name, inner, told)
        return
    if not isinstance(term, Compare) or term.operator != "eq" or not isinstance(term.value, str):
        return
    attribute = term.reference.attribute.name
    if attribute == name:
        told["name_key"] = name_key(term.value)
    elif attribute == "externalId":
        told["external_id"] = term.value
    elif attribute == "id":
        told["id"] = term.value
    elif term.reference.part is None or term.reference.part.name == "value":
        _several(attribute, term, told)


def _several(attribute: str, compared: Compare, told: dict[str, str]) -> None:
    if compared.operator != "eq" or not isinstance(compared.value, str):
        return
    if attribute == "emails":
        told["email"] = compared.value.casefold()
    elif attribute == "members":
        told["member"] = compared.value
