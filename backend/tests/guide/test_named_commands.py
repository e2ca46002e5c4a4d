"""Commands of `santaserver` that the documentation names exist, with their options."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from santaserver.__main__ import _parser

REPOSITORY = Path(__file__).parents[3]
PAGES = (REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/**/*.md")))
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = {"", "sh", "console"}
QUOTED = re.compile(r"`([^`]+)`")
PROGRAM = "santaserver"
ACTION = re.compile(r"[a-z][a-z-]+")
OTHERS = {"santa-supervise", "santa-proxy", "python", "postgres", "sh"}
"""What stands after the name of the container, which is the program's."""


def snippets(text: str) -> Iterator[str]:
    """Yield the lines of code of a page, continued ones joined, and what stands in backticks."""
    for language, block in FENCED.findall(text):
        yield from block.replace("\\\n", " ").splitlines() if language in SHELL else ()
    for quoted in QUOTED.findall(FENCED.sub("", text)):
        yield " ".join(quoted.split())


def words_of(snippet: str) -> list[str]:
    """Return what follows the program in a line of code: its command, its options and values."""
    try:
        words = shlex.split(snippet, comments=True)
    except ValueError:  # prose with an apostrophe
        return []
    if PROGRAM not in words or snippet.endswith(";"):  # SQL names the role of the server
        return []
    after = words[len(words) - words[::-1].index(PROGRAM) :]
    end = next((at for at, word in enumerate(after) if set(word) <= set("|&;<>")), len(after))
    found = after[:end]
    return found if found and ACTION.fullmatch(found[0]) and found[0] not in OTHERS else []


def unknown(words: list[str]) -> list[str]:
    """Return the first command that does not exist, or the options that it does not have."""
    parser, rest = _parser(), list(words)
    while commands := next((one for one in parser._actions if isinstance(one.choices, dict)), None):
        if not rest or not ACTION.fullmatch(rest[0]):
            break
        if rest[0] not in (commands.choices or {}):
            return rest[:1]
        parser = _below(commands, rest.pop(0))
    options = [word.split("=")[0] for word in rest if word.startswith("--")]
    return [option for option in options if option not in parser._option_string_actions]


def _below(commands: argparse.Action, name: str) -> argparse.ArgumentParser:
    found = dict(commands.choices or {})[name]
    assert isinstance(found, argparse.ArgumentParser)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_commands_of_a_page_exist(page: Path) -> None:
    named = [words for snippet in snippets(page.read_text(encoding="utf-8")) if (words := words_of(snippet))]
    assert [(words, wrong) for words in named if (wrong := unknown(words))] == []


def test_commands_are_found_in_the_guide_and_wrong_ones_noticed() -> None:
    named = {words[0] for page in PAGES for one in snippets(page.read_text()) if (words := words_of(one))}
    assert {"restore", "backup", "import", "create-admin"} <= named
    assert unknown(words_of("docker exec santaserver santaserver user promote ann")) == ["promote"]
    assert unknown(words_of("santaserver rebuild")) == ["rebuild"]
    assert unknown(words_of("cat FILE | santaserver restore --now | cat --all")) == ["--now"]
    assert unknown(words_of("santaserver backup --events > FILE")) == []
