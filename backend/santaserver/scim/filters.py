"""Reads filters (RFC 7644, 3.4.2.2), also with the liberties that clients take. Pure.

Examples: `userName eq "lena@example.org" and not (active eq false)`, `emails[type eq "work" and value pr]`,
and with liberties `emails[type eq "work"].value eq "lena@example.org"` and `externalId eq lena`.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from santaserver.inputs import is_storable
from santaserver.scim.attributes import Attribute, Reference, ResourceKind, resolve
from santaserver.scim.errors import INVALID_FILTER, ScimError, quoted
from santaserver.scim.values import BOOLEANS

MAX_LENGTH = 8000
MAX_DEPTH = 20
MAX_TERMS = 200

Operator = Literal["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]
OPERATORS: dict[str, Operator] = {
    "eq": "eq",
    "ne": "ne",
    "co": "co",
    "sw": "sw",
    "ew": "ew",
    "gt": "gt",
    "ge": "ge",
    "lt": "lt",
    "le": "le",
}
EQUALITY = frozenset({"eq", "ne"})
TEXTUAL = frozenset({"co", "sw", "ew"})


class Compare(Struct, frozen=True):
    """An attribute compared with a value; None is `null`."""

    reference: Reference
    operator: Operator
    value: str | bool | datetime | None


class Present(Struct, frozen=True):
    """An attribute that has a value."""

    reference: Reference


class Values(Struct, frozen=True):
    """An attribute one of whose values meets the whole inner filter."""

    reference: Reference
    inner: "Filter"


class Not(Struct, frozen=True):
    """The opposite."""

    inner: "Filter"


class All(Struct, frozen=True):
    """Each of these."""

    terms: tuple["Filter", ...]


class Some(Struct, frozen=True):
    """At least one of these."""

    terms: tuple["Filter", ...]


Filter = Compare | Present | Values | Not | All | Some
Lookup = Callable[[str], Reference]

_TOKEN = re.compile(r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[()\[\]])|(?P<word>[^\s()\[\]"]+))')


class _Token(Struct, frozen=True):
    text: str
    kind: str

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.lower() == word


END = _Token("", "end")


def parse(kind: ResourceKind, text: str) -> Filter:
    """Return what a filter of resources of a kind means; raise `invalidFilter`."""
    return _Parser(text).whole(lambda name: attribute_named(kind, name))


def parse_inner(attribute: Attribute, text: str) -> Filter:
    """Return what a filter of the values of an attribute means, as it stands in brackets."""
    return _Parser(text).whole(_parts_of(attribute))


def attribute_named(kind: ResourceKind, name: str) -> Reference:
    """Return the attribute that a filter names."""
    found = resolve(kind, name).reference
    if found is None:
        raise refused(f"there is no attribute {quoted(name)}")
    return found


def refused(why: str) -> ScimError:
    """Return the error of a filter that is none."""
    return ScimError(f"The filter cannot be used: {why}", INVALID_FILTER)


def _parts_of(attribute: Attribute) -> Lookup:
    def named(name: str) -> Reference:
        part = attribute.part(name)
        if part is None:
            raise refused(f"{attribute.name} has no {quoted(name)}")
        return Reference("", part)

    return named


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise refused(f"it has more than {MAX_LENGTH} characters")
        self._tokens = _tokens(text)
        self._place = 0
        self._depth = 0
        self._terms = 0

    def whole(self, lookup: Lookup) -> Filter:
        found = self._some(lookup)
        if self._next is not END:
            raise refused(f"{quoted(self._next.text)} is too much")
        return found

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place] if self._place < len(self._tokens) else END

    def _take(self) -> _Token:
        token = self._next
        self._place += 1
        return token

    def _took(self, mark: str) -> bool:
        found = self._next.kind == "mark" and self._next.text == mark
        self._place += found
        return found

    def _demand(self, mark: str) -> None:
        if not self._took(mark):
            raise refused(f"{quoted(mark)} is missing")

    def _some(self, lookup: Lookup) -> Filter:
        terms = [self._all(lookup)]
        while self._next.is_word("or"):
            self._take()
            terms.append(self._all(lookup))
        return terms[0] if len(terms) == 1 else Some(tuple(terms))

    def _all(self, lookup: Lookup) -> Filter:
        terms = [self._term(lookup)]
        while self._next.is_word("and"):
            self._take()
            terms.append(self._term(lookup))
        return terms[0] if len(terms) == 1 else All(tuple(terms))

    def _term(self, lookup: Lookup) -> Filter:
        if self._next.is_word("not"):
            self._take()
            self._demand("(")
            return Not(self._nested(lookup, ")"))
        if self._took("("):
            return self._nested(lookup, ")")
        return self._comparison(lookup)

    def _nested(self, lookup: Lookup, end: str) -> Filter:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise refused(f"it is nested more than {MAX_DEPTH} deep")
        found = self._some(lookup)
        self._demand(end)
        self._depth -= 1
        return found

    def _comparison(self, lookup: Lookup) -> Filter:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise refused(f"it has more than {MAX_TERMS} comparisons")
        name = self._take()
        if name.kind != "word":
            raise refused(
                "an attribute is missing" if name is END else f"{quoted(name.text)} is no attribute"
            )
        reference = lookup(name.text)
        if self._took("["):
            return self._values(reference)
        return self._compared(reference)

    def _values(self, reference: Reference) -> Filter:
        attribute = reference.attribute
        if reference.part is not None or not attribute.parts:
            raise refused(f"{attribute.name} has no parts")
        inner = self._nested(_parts_of(attribute), "]")
        if self._next.kind == "word" and self._next.text.startswith("."):
            part = _parts_of(attribute)(self._take().text[1:])
            inner = All((inner, self._compared(part)))
        return Values(reference, inner)

    def _compared(self, reference: Reference) -> Filter:
        word = self._take()
        if word.is_word("pr"):
            return Present(reference)
        operator = OPERATORS.get(word.text.lower()) if word.kind == "word" else None
        if operator is None:
            raise refused(f"{quoted(word.text)} is no operator" if word.text else "an operator is missing")
        token = self._take()
        if token.kind not in {"text", "word"}:
            raise refused("a value is missing")
        return Compare(reference, operator, _literal(reference.compared, operator, token))


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise refused(f"{quoted(text[place:])} cannot be read")
        kind = match.lastgroup or ""
        found.append(_Token(match[kind], kind))
        place = match.end()
    return found


def _literal(attribute: Attribute, operator: Operator, token: _Token) -> str | bool | datetime | None:
    text = token.text
    if token.kind == "text":
        try:
            text = json.loads(text, strict=False)
        except ValueError:
            raise refused(f"{quoted(text)} is no text of JSON") from None
        if not is_storable(text):
            raise refused(f"{quoted(text)} has characters that no text here has")
    elif text.lower() == "null" and operator in EQUALITY:
        return None
    if attribute.kind == "complex":
        raise refused(f"{attribute.name} has to be compared by one of its parts")
    if attribute.kind == "boolean":
        return _boolean(attribute, operator, text)
    if attribute.kind == "dateTime" and operator not in TEXTUAL:
        return moment(text)
    return text


def _boolean(attribute: Attribute, operator: Operator, text: str) -> bool:
    known = BOOLEANS.get(text.strip().lower())
    if known is None or operator not in EQUALITY:
        raise refused(f"{attribute.name} is either true or false, and can be compared by eq and ne")
    return known


def moment(text: str) -> datetime:
    """Return a time; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise refused(f"{quoted(text)} is no time") from None
