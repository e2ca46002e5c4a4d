"""CEL expressions are accepted exactly when a Santa release compiles them."""

import pytest

from santaserver.policy.capabilities import Level
from santaserver.rules.cel import CelError, check


@pytest.mark.parametrize(
    ("expression", "level"),
    [
        ("target.signing_time >= timestamp('2025-05-31T00:00:00Z')", Level.CEL),
        ("'--inspect' in args ? BLOCKLIST : ALLOWLIST", Level.CEL),
        ("envs['HOME'].startsWith('/Users') && args.size() < 3", Level.CEL),
        ("args.exists(word, word.lowerAscii().matches('^-x'))", Level.CEL),
        ("euid == 0", Level.CEL_PROCESS),
        ("target.signing_id == 'platform:com.apple.yes'", Level.CEL_SIGNING_ID),
        ("path.startsWith('/tmp') || !target.is_platform_binary", Level.CEL_PATH),
        ("has(target.team_id) ? ALLOWLIST : SILENT_TTY_BLOCKLIST", Level.SILENT_CHANNELS),
    ],
)
def test_the_level_is_that_of_the_oldest_release_that_compiles_it(expression: str, level: Level) -> None:
    assert check(expression).needs_level is level


@pytest.mark.parametrize(
    ("expression", "compiler"),
    [
        ("ALLOWLIST_COMPILER", True),
        ("euid == 0 ? ALLOWLIST_COMPILER : BLOCKLIST", True),
        ("args[0] == 'ALLOWLIST_COMPILER'", False),
        ("true", False),
    ],
)
def test_expressions_that_make_compilers_are_found(expression: str, compiler: bool) -> None:
    assert check(expression).grants_compiler is compiler


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("this is an invalid expression", "mismatched input"),
        ("args.size()", "result is int"),
        ("[true, 1][0]", "result is dyn"),
        ("unknown == 1", "undeclared reference"),
        ("cwd + 1 == 2", "no matching overload"),
        ("euid == 0 ? true : ALLOWLIST", "no matching overload"),
        ("today() > target.signing_time", "undeclared reference"),
        ("target.entitlements == ''", "undefined field"),
        ("", "mismatched input"),
    ],
)
def test_what_santa_would_skip_is_refused_with_a_reason(expression: str, hint: str) -> None:
    with pytest.raises(CelError, match=hint):
        check(expression)
