"""Filters: what they find, and what is none."""

from typing import Any

import pytest

from santaserver.scim.attributes import ResourceKind
from santaserver.scim.errors import INVALID_FILTER, TOO_MANY, ScimError
from santaserver.scim.filters import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, parse
from santaserver.scim.lookup import Hint, hint_of
from santaserver.scim.matching import Budget, matches
from santaserver.scim.schemas import ENTERPRISE_URN, GROUP, USER, USER_URN

LENA: dict[str, Any] = {
    "id": "4cdc87a6-ec1f-4c7f-a369-dfa210c20aab",
    "externalId": "aB1",
    "userName": "Lena@example.org",
    "displayName": 'Lena "the cat" K',
    "active": True,
    "name": {"familyName": "Straße", "givenName": "Lena"},
    "emails": [
        {"value": "lena@example.org", "type": "work", "primary": True},
        {"value": "cat@home.test", "type": "home"},
    ],
    "title": "",
    ENTERPRISE_URN: {"employeeNumber": "701984", "manager": {"value": "m1"}},
    "meta": {"created": "2026-01-31T08:00:00.000Z", "version": 'W/"3"'},
}
GROUPS: dict[str, Any] = {"displayName": "Lab", "members": [{"value": "m1"}, {"value": "m2"}]}


def holds(text: str, resource: dict[str, Any] = LENA, kind: ResourceKind = USER) -> bool:
    return matches(parse(kind, text), resource, Budget())


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "lena@EXAMPLE.org"',
        'USERNAME EQ "lena@example.org"',
        f'{USER_URN}:userName eq "lena@example.org"',
        "userName eq lena@example.org",
        'userName ne "omar"',
        'nickName ne "x"',
        'displayName co "THE CAT"',
        'displayName co "\\"the cat\\""',
        'displayName sw "lena" and displayName ew "k"',
        'name.familyName eq "STRASSE"',
        'userName gt "lena" and userName lt "m"',
        'userName ge "lena@example.org" and userName le "Lena@example.org"',
        "active eq true",
        'active eq "True"',
        "active ne False",
        "emails pr",
        "name.givenName pr and not (title pr)",
        "nickName eq null",
        "userName ne null",
        'emails eq "cat@home.test"',
        'emails.value sw "cat"',
        'emails.type eq "home"',
        'emails[type eq "work" and value co "@example.org"]',
        'emails[type eq "work"].value eq "lena@example.org"',
        "emails[primary eq true and type eq work]",
        'emails[not (type eq "work")].value ew ".test"',
        'not (emails[type eq "work" and value ew ".test"])',
        'userName eq "x" or active eq true and displayName pr',
        '(userName eq "x" or active eq true) and (displayName pr)',
        'not (userName eq "x")',
        f"{ENTERPRISE_URN}:employeeNumber eq 701984",
        f'{ENTERPRISE_URN}:manager.value eq "m1"',
        f'{ENTERPRISE_URN}:manager eq "m1"',
        'meta.created ge "2026-01-31T08:00:00Z" and meta.created lt "2026-01-31T10:00:00+01:00"',
        'meta.created gt "2026-01-30T00:00:00"',
        '  userName   eq\t"lena@example.org"  ',
        'externalId eq "aB1"',
    ],
)
def test_a_filter_finds_lena(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        'externalId eq "ab1"',
        'userName eq "lena"',
        'userName eq "l\u0435na@example.org"',
        'userName ne "lena@example.org"',
        'emails[type eq "home" and value co "@example.org"]',
        'emails[type eq "home"].value eq "lena@example.org"',
        "title pr",
        "userName eq null",
        "active eq false",
        'userName eq "x" or active eq false and displayName pr',
        'meta.created lt "2026-01-31T08:00:00Z"',
        'phoneNumbers.value eq "1"',
        f'{ENTERPRISE_URN}:department eq ""',
    ],
)
def test_a_filter_does_not_find_lena(text: str) -> None:
    assert not holds(text)


def test_members_are_found_by_their_ids() -> None:
    for text in ('members eq "m2"', 'members.value eq "m2"', 'members[value eq "m2"]', "members pr"):
        assert holds(text, GROUPS, GROUP)
    assert not holds('members eq "m3"', GROUPS, GROUP)


@pytest.mark.parametrize(
    "text",
    [
        "userName",
        "userName eq",
        "eq x",
        'userName = "x"',
        'userName eq "x',
        'userName eq "x" and',
        'and userName eq "x"',
        'userName eq "x" userName eq "y"',
        '(userName eq "x"',
        'userName eq "x")',
        "not userName pr",
        'emails[type eq "work"',
        'emails[type eq "work"]]',
        "emails[]",
        'userName[value eq "x"]',
        'emails[color eq "x"]',
        'emails[type eq "work"].color eq "x"',
        'color eq "x"',
        'name.color eq "x"',
        'password eq "x"',
        'name eq "x"',
        "active gt true",
        'active co "t"',
        "active eq maybe",
        "active sw null",
        'meta.created eq "yesterday"',
        'meta.created gt "99999-01-01T00:00:00Z"',
        'userName eq ("x")',
        'userName eq "\\u0000"',
        'userName eq "\\ud800"',
        'userName eq "\\x"',
        "\0",
        "'; drop table app_user; --",
        '" or 1=1',
        "()",
        "[",
        "urn:x:y eq 1",
        'userName eq "x" xor active eq true',
        "(" * (MAX_DEPTH + 1) + "active eq true" + ")" * (MAX_DEPTH + 1),
        "not (" * 5000 + "active eq true" + ")" * 5000,
        " or ".join(["active eq true"] * (MAX_TERMS + 1)),
        'userName eq "' + "x" * MAX_LENGTH + '"',
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(ScimError) as caught:
        parse(USER, text)
    assert caught.value.kind == INVALID_FILTER


def test_the_deepest_and_longest_filters_are_read() -> None:
    assert holds("(" * MAX_DEPTH + "active eq true" + ")" * MAX_DEPTH)
    assert holds(" or ".join(["active eq false"] * (MAX_TERMS - 1) + ["active eq true"]))


def test_comparisons_are_not_for_free() -> None:
    found, budget = parse(USER, 'emails.value co "nobody"'), Budget(10)
    assert [matches(found, LENA, budget) for _ in range(5)] == [False] * 5
    with pytest.raises(ScimError) as caught:
        matches(found, LENA, budget)
    assert caught.value.kind == TOO_MANY


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('userName eq "LENA"', Hint(name_key="lena")),
        ('userName eq "Lena" and active eq true', Hint(name_key="lena")),
        ('externalId eq "aB"', Hint(external_id="aB")),
        ('id eq "x" and emails.value eq "A@b"', Hint(id="x", email="a@b")),
        ('emails[type eq "work"].value eq "A@b"', Hint(email="a@b")),
        ('userName eq "a" or userName eq "b"', Hint()),
        ('not (userName eq "a")', Hint()),
        ('userName ne "a"', Hint()),
        ('userName sw "a"', Hint()),
        ('emails.type eq "work"', Hint()),
        ('not (emails[value eq "x"])', Hint()),
        ('emails[value eq "x" or type eq "work"]', Hint()),
    ],
)
def test_an_index_is_asked_where_it_can_only_leave_out_what_does_not_match(text: str, hint: Hint) -> None:
    assert hint_of(parse(USER, text), "userName") == hint


def test_groups_are_looked_up_by_name_and_member() -> None:
    found = parse(GROUP, 'displayName eq "Lab" and members eq "m1"')
    assert hint_of(found, "displayName") == Hint(name_key="lab", member="m1")
