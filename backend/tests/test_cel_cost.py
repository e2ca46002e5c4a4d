"""Expressions that could fill the memory or take seconds are refused before they are evaluated."""

from dataclasses import replace
from itertools import pairwise

import httpx
import pytest

from santaserver.policy import predicate
from santaserver.rules import cel
from tests.support.postgres import execute
from tests.support.server import RunningServer
from tests.sync.helpers import sha

CHAIN = "hostname" + "".join(
    f".replace('{one}', '{other * 9}')" for one, other in pairwise("abcdefghijklmnopq")
)
EXPENSIVE = {
    "a text that grows by replacing": f"{CHAIN} == ''",
    "a text that is doubled": "[hostname].map(a, a + a).map(a, a + a)" + ".map(a, a + a)" * 14 + "[0] == ''",
    "loops in loops": "groups.all(a, groups.all(b, groups.all(c, a + b != c)))",
    "a joined list of lists": "groups.map(a, groups.map(b, groups.join(b)).join(a)).join('') == ''",
    "a large regex for each group": "groups.exists(g, g.matches('(a|b)*c{900}(a|b)*d{900}'))",
    "regexes inside of regexes": "groups.exists(g, g.matches('((a{30}){30}[0-9]{1,30})'))",
    "a format of formats": "'%s%s%s%s%s%s%s%s'.format([groups, groups, groups, groups, groups, groups, "
    "groups, groups]).replace('', hostname) == ''",
    "what a list literal multiplies": "[groups, groups, groups].exists(a, a.exists(b, [groups, groups]"
    ".exists(c, c.exists(d, d + b == hostname))))",
}
USUAL = [
    "os_version.startsWith('14.') || os_version.startsWith('15.')",
    "groups.exists(g, g.lowerAscii() in ['admins', 'developers', 'it-support', 'lab'])",
    "serial.matches('^C02[A-Z0-9]{8}$') && !hostname.matches('^(lab|test)-[0-9]{3,5}[.]example[.]com$')",
    "groups.filter(g, g.matches('^[A-Z]{2,10}-[0-9]{4,8}-mac$')).size() > 1",
    "groups.map(g, g.split(':')).exists(p, p[0] == 'role' && p.size() == 2)",
    "'%s/%s'.format([primary_user, hostname]).replace('-', '').contains('labmac')",
    " || ".join(f"serial == 'C02XY{number:05}'" for number in range(350)),
]


@pytest.mark.parametrize("expression", EXPENSIVE.values(), ids=EXPENSIVE)
def test_a_predicate_that_can_grow_beyond_measure_is_refused(admin: httpx.Client, expression: str) -> None:
    assert len(expression) < 1000
    trial = admin.post("/api/v1/tags/predicate", json={"predicate": expression})
    assert "times the limit" in trial.json()["error"], trial.text
    refused = admin.post("/api/v1/tags", json={"name": "Bomb", "predicate": expression})
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY


@pytest.mark.parametrize("expression", USUAL)
def test_a_usual_predicate_is_not(admin: httpx.Client, expression: str) -> None:
    assert admin.post("/api/v1/tags/predicate", json={"predicate": expression}).json()["error"] is None


@pytest.mark.parametrize(
    "expression",
    [
        CHAIN.replace("hostname", "cwd") + " == ''",
        "args.all(a, args.all(b, args.all(c, a + b != c)))",
        "envs.exists(e, args.exists(a, (e + a).matches('(x|y)*z{500}')))",
    ],
)
def test_a_rule_that_would_keep_a_mac_busy_is_refused(admin: httpx.Client, expression: str) -> None:
    wrong = add_rule_answer(admin, expression)
    assert wrong.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "can cost a Mac" in wrong.json()["detail"]


def test_a_usual_rule_is_not() -> None:
    for expression in (
        "args.exists(a, args.exists(b, a == '--user' && b == 'root')) ? BLOCKLIST : ALLOWLIST",
        "args.join(' ').matches('^-[a-z]{1,20} /Users/[^/]{1,64}/Downloads') && path.startsWith('/tmp')",
        "envs.exists(name, name.startsWith('DYLD_') && envs[name].contains('/tmp/'))",
    ):
        cel.check(expression)


def add_rule_answer(admin: httpx.Client, expression: str) -> httpx.Response:
    rule = {"rule_type": "BINARY", "identifier": sha(1), "policy": "CEL", "cel_expr": expression}
    return admin.post("/api/v1/rules", json=rule)


def test_one_that_an_earlier_release_stored_is_never_evaluated(
    server: RunningServer, admin: httpx.Client
) -> None:
    admin.post("/api/v1/tags", json={"name": "Old", "predicate": "true"})
    facts = predicate.NO_FACTS
    assert predicate.holds("true", facts)
    for expression in EXPENSIVE.values():
        execute(server.dsn, "update tag set predicate = $1", expression)
        assert not predicate.holds(expression, facts)
    preview = admin.get("/api/v1/layers/members", params={"layer": "tag:Old"})
    assert preview.json().get("machines", 0) == 0


def test_a_mac_that_reports_far_more_than_usual_is_judged_by_that() -> None:
    expression = "groups.exists(g, groups.exists(h, g == h))"
    few = replace(predicate.NO_FACTS, groups=["a", "b"])
    many = replace(predicate.NO_FACTS, groups=["g" * 1000] * 5000)
    predicate.check_predicate(expression)
    assert predicate.holds(expression, few)
    assert not predicate.holds(expression, many)


def test_compiled_predicates_do_not_pile_up() -> None:
    for number in range(60):
        predicate.check_predicate(" || ".join(f"hostname == '{number}-{one}'" for one in range(300)))
    assert sum(one.size for one in predicate._kept.values()) <= predicate.COMPILED
