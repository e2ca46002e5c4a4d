"""Tokens of HCL, the language of Terraform files. Texts have their escapes read; templates are kept apart."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from santaserver.importers.model import MAX_DEPTH, Unreadable
from santaserver.importers.text import Text

Kind = Literal["name", "number", "text", "template", "mark", "newline", "end"]

TOKEN = re.compile(
    r"""
      (?P<blank>[\ \t\r\f\ufeff]+|\#[^\n]*|//[^\n]*|/\*(?:[^*]++|\*(?!/))*+\*/)
    | (?P<newline>\n)
    | (?P<heredoc><<-?(?P<word>[A-Za-z_][\w-]*)[ \t]*\n)
    | (?P<name>[^\W\d][\w-]*)
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<quote>")
    | (?P<comment>/\*)
    | (?P<mark>==|!=|<=|>=|=>|&&|\|\||\.\.\.|[{}\[\]()=,.:?!<>+\-*/%&|])
    """,
    re.VERBOSE,
)
KINDS: dict[str | None, Kind] = {"name": "name", "number": "number", "mark": "mark", "newline": "newline"}
"""Kinds that are what they match."""
PLAIN = re.compile(r'[^"\\\n$%]+')
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
UNICODE = {"u": 4, "U": 8}


@dataclass(frozen=True, slots=True)
class Token:
    """A token; `value` of a text has its escapes read, of a template it is the source."""

    kind: Kind
    value: str
    offset: int


def tokens(text: Text) -> Iterator[Token]:
    """Yield the tokens and an end; raise `Unreadable` for what cannot be one."""
    content, at = text.content, 0
    while at < len(content):
        found = TOKEN.match(content, at)
        if found is None:
            raise _wrong(text, at, f"{content[at]!r} is not expected here")
        kind = found.lastgroup
        if found["heredoc"]:
            value, template, end = _heredoc(text, found)
            yield Token("template" if template else "text", value, at)
            at = end
            continue
        if kind == "quote":
            value, template, end = _quoted(text, at)
            yield Token("template" if template else "text", value, at)
            at = end
            continue
        if kind == "comment":
            raise _wrong(text, at, "The comment is not closed")
        if kind in KINDS:
            yield Token(KINDS[kind], found.group(), at)
        at = found.end()
    yield Token("end", "", len(content))


def _quoted(text: Text, start: int) -> tuple[str, bool, int]:
    """Read a text in quotes; return its value, or the source when it has a template, and where it ends."""
    content, at, parts, template = text.content, start + 1, [], False
    while True:
        if plain := PLAIN.match(content, at):
            parts.append(plain.group())
            at = plain.end()
        char = content[at : at + 1]
        if char == '"':
            value = content[start + 1 : at] if template else "".join(parts)
            return value, template, at + 1
        if char in {"", "\n"}:
            raise _wrong(text, start, "The text is not closed on its line")
        if char == "\\":
            part, at = _escape(text, at)
            parts.append(part)
            continue
        part, is_template, at = _marked(text, at)
        parts.append(part)
        template = template or is_template


def _escape(text: Text, at: int) -> tuple[str, int]:
    char = text.content[at + 1 : at + 2]
    if char in ESCAPES:
        return ESCAPES[char], at + 2
    size = UNICODE.get(char, 0)
    digits = text.content[at + 2 : at + 2 + size]
    if size and re.fullmatch(r"[0-9A-Fa-f]+", digits) and len(digits) == size:
        number = int(digits, 16)
        if number <= 0x10FFFF:  # noqa: PLR2004 - the last character
            return chr(number), at + 2 + size
    raise _wrong(text, at, f"\\{char} is not an escape")


def _marked(text: Text, at: int) -> tuple[str, bool, int]:
    """Read `$` or `%`: a plain one, an escaped template, or a template."""
    content, mark = text.content, text.content[at]
    if content.startswith(mark * 2 + "{", at):
        return mark + "{", False, at + 3
    if content.startswith("{", at + 1):
        return "", True, _end_of_template(text, at)
    return mark, False, at + 1


def _end_of_template(text: Text, start: int) -> int:
    """Return where a template ends, whatever texts, braces and further templates are in it."""
    content, at = text.content, start + 2
    stack = ["}"]
    while stack:
        char = content[at : at + 1]
        if char == "" or len(stack) > MAX_DEPTH:
            raise _wrong(text, start, "The template is not closed, or nested too deeply")
        if stack[-1] == '"':
            if char == "\\":
                at += 1
            elif char == '"':
                stack.pop()
            elif char in "$%" and content.startswith("{", at + 1) and content[at - 1] != char:
                stack.append("}")
                at += 1
        elif char == "}":
            stack.pop()
        elif char == "{":
            stack.append("}")
        elif char == '"':
            stack.append('"')
        at += 1
    return at


def _heredoc(text: Text, found: "re.Match[str]") -> tuple[str, bool, int]:
    """Read a heredoc; `<<-` removes the indentation that all its lines have."""
    content = text.content
    end = re.compile(rf"^[ \t]*{re.escape(found['word'])}(?=[ \t]*$)", re.MULTILINE).search(
        content, found.end()
    )
    if end is None:
        raise _wrong(text, found.start(), f"The text is not closed by a line {found['word']}")
    body = content[found.end() : end.start()]
    if found.group().startswith("<<-"):
        lines = body.split("\n")
        widths = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
        common = min(widths, default=0)
        body = "\n".join(line[common:] for line in lines)
    template = re.search(r"(?<!\$)\$\{|(?<!%)%\{", body) is not None
    value = body if template else body.replace("$${", "${").replace("%%{", "%{")
    return value, template, end.end()


def _wrong(text: Text, offset: int, message: str) -> Unreadable:
    return Unreadable("syntax", f"Not valid Terraform: {message}", text.place(offset))
