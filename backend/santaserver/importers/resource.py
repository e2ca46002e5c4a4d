"""A resource in a Terraform file, or in what Terraform says of a plan or state."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from santaserver.importers.model import Place


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of any type."""

    type: str
    name: str
    place: Place
    values: Mapping[str, object]
    places: Mapping[str, Place] = field(default_factory=dict)
    repeated: tuple[str, ...] = ()
