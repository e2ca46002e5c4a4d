"""A change of so many rules that it is made in parts, and what makes these. preparation.py does."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from santaserver.db import Connection
from santaserver.policy.capabilities import Capabilities
from santaserver.policy.layer_rules import JoinedRules, LayerKey, OverlayKey, Span

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A large change, or whole set, for one set of layers."""

    layers: tuple[int, ...]
    client: Capabilities
    span: Span
    spans: Mapping[int, Span]
    """The same for each layer, between the numbers at which it was changed itself."""
    large: tuple[int, ...]
    """The layers of which a part is made."""

    @property
    def key(self) -> OverlayKey:
        """What names it."""
        return self.layers, self.client.code, self.span

    def part(self, layer: int) -> LayerKey:
        """Return what names one layer's part."""
        return LayerKey(layer, self.client.code, self.spans[layer])


class Preparer(Protocol):
    """Makes large changes on connections of its own; what is not ready raises `NotPrepared`."""

    def joined(self, wanted: Wanted, number: int) -> JoinedRules:
        """Return the rules of a sync, at least so many or all."""

    def made(self, name: Hashable, make: Callable[[Connection], Awaitable[ResultT]]) -> ResultT:
        """Return what takes long to make."""

    async def close(self) -> None:
        """Stop what is under way."""
