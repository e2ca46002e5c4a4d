"""Removed rules stay listed until every Mac has confirmed the removal."""

from typing import Any

import httpx
import pytest

from tests.support.santa_client import SimulatedMac
from tests.sync.helpers import add_rule, sha

LATER = "2090-01-01T00:00:00Z"


def removed(admin: httpx.Client, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - of a query
    response = admin.get("/api/v1/rules/removed", params=params)
    assert response.status_code == httpx.codes.OK, response.text
    page: dict[str, Any] = response.json()
    return page


def delivery(admin: httpx.Client) -> tuple[int, int]:
    (rule,) = removed(admin)["items"]
    return rule["machines_acked"], rule["machines_total"]


def test_the_delivery_of_a_removal_is_shown(admin: httpx.Client, mac: SimulatedMac) -> None:
    rule = add_rule(admin, sha(1))
    mac.sync()
    assert admin.delete(f"/api/v1/rules/{rule}").status_code == httpx.codes.NO_CONTENT
    assert delivery(admin) == (0, 1)
    mac.post("preflight", mac.preflight_body())
    assert delivery(admin) == (0, 1)
    mac.sync()
    assert not mac.rules
    assert delivery(admin) == (1, 1)


def test_a_removal_from_a_tag_counts_its_macs_only(admin: httpx.Client, mac: SimulatedMac) -> None:
    tag = admin.post("/api/v1/tags", json={"name": "some", "groups": ["staff"]})
    rule = add_rule(admin, sha(1), layer="tag:some")
    other = SimulatedMac(mac.url)
    mac.groups = ["staff"]
    for one in (mac, other):
        one.sync()
    admin.delete(f"/api/v1/rules/{rule}")
    assert delivery(admin) == (0, 1)
    other.sync()
    assert delivery(admin) == (0, 1)
    mac.sync()
    assert delivery(admin) == (1, 1)
    assert tag.json()["name"] == "some"
    other.close()


def test_a_rule_that_never_began_has_nothing_to_remove(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    rule = add_rule(admin, sha(1), starts_at=LATER)
    admin.delete(f"/api/v1/rules/{rule}")
    assert delivery(admin) == (1, 1)


def test_removed_rules_come_in_pages_the_last_removed_first(admin: httpx.Client) -> None:
    rules = [add_rule(admin, sha(number)) for number in range(5)]
    order = [rules[number] for number in (3, 0, 4, 1, 2)]
    for rule in order:
        admin.delete(f"/api/v1/rules/{rule}")
    found: list[int] = []
    cursor = None
    while True:
        page = removed(admin, limit=2, **({"cursor": cursor} if cursor else {}))
        found += [rule["id"] for rule in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == order[::-1]


@pytest.mark.parametrize(
    "cursor", ["Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OSwxXQ", "WzEsOTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", "Wy0xLC0xXQ"]
)
def test_a_cursor_of_any_number_is_answered(admin: httpx.Client, cursor: str) -> None:
    assert removed(admin, cursor=cursor)["next_cursor"] is None
