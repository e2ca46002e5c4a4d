"""Reads Terraform files: blocks and their attributes. What only Terraform can compute stays unresolved."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from santaserver.importers.hcl_tokens import Token, tokens
from santaserver.importers.model import MAX_DEPTH, Place, Unreadable
from santaserver.importers.record import Number, Unresolved
from santaserver.importers.text import Text

OPENING = {"{": "}", "[": "]", "(": ")"}
CLOSING = frozenset(OPENING.values())


@dataclass(slots=True)
class Block:
    """A block: `resource "nps_workshop_rule" "chrome" { … }`."""

    kind: str
    labels: list[str]
    place: Place
    values: dict[str, object] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    """Of attributes and nested blocks."""
    repeated: list[str] = field(default_factory=list)
    blocks: list["Block"] = field(default_factory=list)


def blocks_of(text: Text) -> Iterator[Block]:
    """Yield the file's blocks; raise `Unreadable` for what is not valid."""
    parser = _Parser(text)
    while True:
        parser.skip_lines()
        if parser.token.kind == "end":
            return
        outer = Block("", [], parser.place())
        parser.item(outer, 0)
        yield from outer.blocks


class _Parser:
    def __init__(self, text: Text) -> None:
        self._text = text
        self._tokens = tokens(text)
        self.token: Token = next(self._tokens)

    def place(self) -> Place:
        """Return where the present token is."""
        return self._text.place(self.token.offset)

    def skip_lines(self) -> None:
        """Go over ends of lines."""
        while self.token.kind == "newline":
            self._next()

    def item(self, block: Block, depth: int) -> None:
        """Read an attribute or a block into `block`."""
        place, name = self.place(), self._take("name")
        if self.token.kind == "mark" and self.token.value == "=":
            self._next()
            if name in block.values:
                block.repeated.append(name)
            block.places.setdefault(name, place)
            block.values[name] = self._value()
            self._end_of_item()
            return
        labels = []
        while self.token.kind in {"text", "name"}:
            labels.append(self.token.value)
            self._next()
        inner = Block(name, labels, place)
        self._body(inner, depth + 1)
        block.places.setdefault(name, place)
        block.blocks.append(inner)
        self._end_of_item()

    def _body(self, block: Block, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._wrong("The blocks are nested too deeply")
        self._take("mark", "{")
        self.skip_lines()
        while not self._is("}"):
            if self.token.kind == "end":
                raise Unreadable("syntax", "Not valid Terraform: the block is not closed", block.place)
            self.item(block, depth)
            self.skip_lines()
        self._next()

    def _end_of_item(self) -> None:
        if self.token.kind not in {"newline", "end"} and not self._is("}"):
            raise self._wrong(f"{self.token.value[:50]!r} is not expected here")

    def _value(self) -> object:
        """Read an expression: a literal, a list of them, or something unresolved."""
        start = self.token.offset
        value = self._literal()
        if self.token.kind in {"newline", "end"} or self._is("}"):
            if value is not None:
                return value[0]
            raise self._wrong("A value is missing")
        self._skip_expression()
        return Unresolved(" ".join(self._text.content[start : self.token.offset].split()))

    def _literal(self) -> tuple[object] | None:
        """Read one literal, if there is one; a tuple, since None is a value."""
        token = self.token
        if self._is("["):
            return self._list()
        if token.kind == "text":
            self._next()
            return (token.value,)
        if token.kind == "template":
            self._next()
            return (Unresolved(f"the template {token.value!r}"),)
        if token.kind == "number":
            self._next()
            return (Number(token.value),)
        words: dict[str, object] = {"true": True, "false": False, "null": None}
        if token.kind == "name" and token.value in words:
            self._next()
            return (words[token.value],)
        return (self._reference(),) if token.kind == "name" else None

    def _reference(self) -> Unresolved:
        parts = [self._take("name")]
        while self._is("."):
            self._next()
            if self.token.kind not in {"name", "number"}:
                break
            parts.append(self.token.value)
            self._next()
        return Unresolved(".".join(parts))

    def _list(self) -> tuple[object] | None:
        """Read a list of literals; None when something else is in it, which is then skipped as a whole."""
        start = self.token.offset
        self._next()
        items: list[object] = []
        while True:
            self.skip_lines()
            if self._is("]"):
                self._next()
                return (items,)
            item = None if self._is("[") else self._literal()
            self.skip_lines()
            if item is None or not (self._is(",") or self._is("]")):
                self._skip_until("]")
                return (Unresolved(" ".join(self._text.content[start : self.token.offset].split())),)
            items.append(item[0])
            if self._is(","):
                self._next()

    def _skip_expression(self) -> None:
        """Go to the end of an expression: the end of the line outside of all brackets."""
        stack: list[str] = []
        while self.token.kind != "end":
            if not stack and (self.token.kind == "newline" or self._is("}")):
                return
            self._track(stack)
            self._next()
        if stack:
            raise self._wrong("A bracket is not closed")

    def _skip_until(self, closing: str) -> None:
        """Go behind the bracket that closes the present one."""
        stack = [closing]
        while stack:
            if self.token.kind == "end":
                raise self._wrong("A bracket is not closed")
            self._track(stack)
            self._next()

    def _track(self, stack: list[str]) -> None:
        if self.token.kind != "mark":
            return
        if self.token.value in OPENING:
            stack.append(OPENING[self.token.value])
            if len(stack) > MAX_DEPTH:
                raise self._wrong("The brackets are nested too deeply")
        elif self.token.value in CLOSING and (not stack or stack.pop() != self.token.value):
            raise self._wrong(f"{self.token.value!r} closes nothing")

    def _is(self, mark: str) -> bool:
        return self.token.kind == "mark" and self.token.value == mark

    def _take(self, kind: str, value: str | None = None) -> str:
        token = self.token
        if token.kind != kind or value not in {None, token.value}:
            wanted = f"`{value}`" if value else f"a {kind}"
            raise self._wrong(f"{wanted} is needed here")
        self._next()
        return token.value

    def _next(self) -> None:
        self.token = next(self._tokens, self.token)

    def _wrong(self, message: str) -> Unreadable:
        return Unreadable("syntax", f"Not valid Terraform: {message}", self.place())
