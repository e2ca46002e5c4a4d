"""Path patterns in the dialect that Santa compiles: ICU's regular expressions. Pure.

A Mac silently ignores a pattern that it cannot compile. And after a restart of its daemon Santa prepends `^`
to the synced pattern. So only a pattern that starts with `^` means the same before and after, and
alternatives only inside `^(?:…)`.
"""

import re

ANCHOR = (
    "Santa puts ^ before a pattern when its daemon restarts: write ^(?:…), so that it always means the same"
)

_ESCAPE = re.compile(
    r"\\(?:[^a-zA-Z0-9]|[abBAdDefGhHnQEqrRsStvVwWXzZ]|[1-9]\d*|0[0-7]{1,3}|x[0-9a-fA-F]{2}"
    r"|x\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|c[A-Za-z@-_]|[pP]\{\^?[A-Za-z_=0-9 -]+\}"
    r"|N\{[A-Za-z0-9 -]+\}|k<[A-Za-z][A-Za-z0-9]*>)",
    re.DOTALL,
)
_GROUP = re.compile(r"\(\?(?::|=|!|<=|<!|>|<[A-Za-z][A-Za-z0-9]*>|[ismwx]*(?:-[ismwx]+)?[:)])")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{\d{1,9}(?:,\d{0,9})?\})[?+]?")
_SET = re.compile(r"\[\^?")
_CLASS = re.compile(r"\[:\^?[A-Za-z_ =-]+:\]")
MAX_DEPTH = 50


class PatternError(ValueError):
    """Why a Mac could not use a pattern."""


def check_pattern(pattern: str) -> str:
    """Return a pattern that Macs can use; raise `PatternError` for another one. Empty means none."""
    if not pattern:
        return pattern
    alternatives = _Reader(pattern).read()
    if not pattern.startswith("^"):
        raise PatternError(f"The pattern must begin with ^. {ANCHOR}")
    if alternatives:
        raise PatternError(f"Only the first of several alternatives begins with ^. {ANCHOR}")
    return pattern


class _Reader:
    """Walks a pattern once."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0
        self._groups = 0
        self._references: list[int] = []

    def read(self) -> bool:
        """Read all of it; tell whether it has alternatives outside of groups."""
        alternatives = self._alternatives(0)
        if self._place < len(self._pattern):
            raise self._error("there is a ) without its (")
        if any(number > self._groups for number in self._references):
            raise self._error("it refers to a group that does not exist")
        return alternatives

    def _alternatives(self, depth: int) -> bool:
        if depth > MAX_DEPTH:
            raise self._error("groups are nested too deeply")
        several = False
        quantifiable = False
        while self._place < len(self._pattern) and self._pattern[self._place] != ")":
            if self._pattern[self._place] == "|":
                self._place += 1
                several, quantifiable = True, False
            else:
                quantifiable = self._item(depth, quantifiable)
        return several

    def _item(self, depth: int, quantifiable: bool) -> bool:
        """Read one item; tell whether a quantifier may follow."""
        char = self._pattern[self._place]
        if char in "*+?{":
            found = _QUANTIFIER.match(self._pattern, self._place)
            if found is None or not quantifiable:
                raise self._error(f"{char} has nothing to repeat, or its numbers are wrong")
            self._check_range(found[0])
            self._place = found.end()
            return False
        if char == "(":
            return self._group(depth)
        if char == "[":
            self._set(0)
        elif char == "\\":
            self._escape()
        elif char == "}":
            raise self._error("} has no {")
        else:
            self._place += 1
        return char != "^"

    def _check_range(self, quantifier: str) -> None:
        numbers = re.findall(r"\d+", quantifier)
        if len(numbers) > 1 and int(numbers[0]) > int(numbers[1]):
            raise self._error("a repetition ends before it begins")

    def _group(self, depth: int) -> bool:
        begin = self._place
        if self._pattern.startswith("(?#", begin):
            end = self._pattern.find(")", begin)
            if end < 0:
                raise self._error("a comment has no end")
            self._place = end + 1
            return False
        if self._pattern.startswith("(?", begin):
            found = _GROUP.match(self._pattern, begin)
            if found is None:
                raise self._error("unknown kind of group")
            self._place = found.end()
            if found[0].endswith(")"):
                return False
            self._groups += found[0].startswith("(?<") and found[0].endswith(">")
        else:
            self._place += 1
            self._groups += 1
        self._alternatives(depth + 1)
        if self._place >= len(self._pattern):
            raise self._error("a ( has no )")
        self._place += 1
        return True

    def _escape(self) -> None:
        if self._pattern.startswith("\\Q", self._place):
            end = self._pattern.find("\\E", self._place)
            self._place = len(self._pattern) if end < 0 else end + 2
            return
        found = _ESCAPE.match(self._pattern, self._place)
        if found is None:
            raise self._error("unknown escape")
        if found[0][1:].isdecimal() and found[0][1] != "0":
            self._references.append(int(found[0][1]))
        self._place = found.end()

    def _set(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._error("sets are nested too deeply")
        found = _SET.match(self._pattern, self._place)
        self._place = found.end() if found else self._place + 1
        first = self._place
        before: str | None = None
        while self._place < len(self._pattern):
            char = self._pattern[self._place]
            if char == "]" and self._place > first:
                self._place += 1
                return
            named = _CLASS.match(self._pattern, self._place)
            if named:
                self._place = named.end()
                before = None
            elif char == "[":
                self._set(depth + 1)
                before = None
            elif char == "\\":
                self._escape()
                before = None
            elif char == "-" and before is not None and self._range_end(before):
                before = None
            else:
                self._place += 1
                before = char
        raise self._error("a [ has no ]")

    def _range_end(self, before: str) -> bool:
        """Read the end of a range of plain characters, if this is one."""
        end = self._pattern[self._place + 1 : self._place + 2]
        if not end or end in "[]\\":
            return False
        if end < before:
            raise self._error(f"the range {before}-{end} ends before it begins")
        self._place += 2
        return True

    def _error(self, why: str) -> PatternError:
        return PatternError(f"A Mac cannot compile this pattern (ICU regular expressions): {why}")
