"""Tags over REST: what the console needs besides the layers' own rules (tests/sync/test_layers.py)."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from santaserver.tags.impact import count_affected, swapped
from tests.support.postgres import value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, sha

NewMac = Callable[..., SimulatedMac]


@pytest.fixture
def new_mac(server: RunningServer) -> Iterator[NewMac]:
    """A function that makes Macs."""
    macs: list[SimulatedMac] = []

    def made(hostname: str) -> SimulatedMac:
        macs.append(SimulatedMac(server.url, hostname=hostname))
        return macs[-1]

    yield made
    for one in macs:
        one.close()


def tag(admin: httpx.Client, name: str, **content: object) -> int:
    response = admin.post("/api/v1/tags", json={"name": name, **content})
    assert response.status_code == httpx.codes.CREATED, response.text
    tag_id: int = response.json()["id"]
    return tag_id


def impact(admin: httpx.Client, order: list[int]) -> dict[str, int]:
    response = admin.post("/api/v1/tags/order/impact", json={"tags": order})
    assert response.status_code == httpx.codes.OK, response.text
    shown: dict[str, int] = response.json()
    return shown


def test_a_tag_counts_its_members_rules_and_settings(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    tag_id = tag(admin, "counted")
    add_rule(admin, sha(1), layer="tag:counted")
    settings = {"values": {"client_mode": "LOCKDOWN", "batch_size": 10}}
    assert admin.patch("/api/v1/settings/layer?layer=tag:counted", json=settings).status_code == 200
    admin.put(f"/api/v1/tags/{tag_id}/members/{mac.machine_id}")
    shown = admin.get(f"/api/v1/tags/{tag_id}").json()
    assert (shown["members"], shown["rules"], shown["settings"]) == (1, 1, 2)
    assert admin.get("/api/v1/tags").json() == [shown]


def test_an_order_is_judged_by_the_macs_whose_tags_change_places(
    server: RunningServer, admin: httpx.Client, new_mac: NewMac
) -> None:
    low, middle, high = (tag(admin, name) for name in ("low", "middle", "high"))
    add_rule(admin, sha(1), layer="tag:low")
    add_rule(admin, sha(1), "ALLOWLIST", layer="tag:middle")
    add_rule(admin, sha(2), layer="tag:high")
    for name, tags in {"rivals": (low, middle), "apart": (low, high), "single": (low,), "none": ()}.items():
        mac = new_mac(f"{name}.example.com")
        mac.sync()
        for tag_id in tags:
            admin.put(f"/api/v1/tags/{tag_id}/members/{mac.machine_id}")
        mac.sync()
    before = value(server.dsn, "select seq from policy_head")
    assert impact(admin, [low, middle, high]) == {"machines": 0, "differing": 0}
    assert impact(admin, [middle, low, high]) == {"machines": 1, "differing": 1}
    assert impact(admin, [high, low, middle]) == {"machines": 1, "differing": 0}
    assert impact(admin, [high, middle, low]) == {"machines": 2, "differing": 1}
    assert value(server.dsn, "select seq from policy_head") == before
    assert [shown["name"] for shown in admin.get("/api/v1/tags").json()] == ["low", "middle", "high"]


def test_settings_make_tags_rivals_too(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    tags = [tag(admin, name) for name in ("one", "two")]
    for name, mode in (("one", "LOCKDOWN"), ("two", "MONITOR")):
        admin.patch(f"/api/v1/settings/layer?layer=tag:{name}", json={"values": {"client_mode": mode}})
    for tag_id in tags:
        admin.put(f"/api/v1/tags/{tag_id}/members/{mac.machine_id}")
    mac.sync()
    assert impact(admin, tags[::-1]) == {"machines": 1, "differing": 1}


def test_an_order_has_to_name_every_tag(admin: httpx.Client) -> None:
    one, two = tag(admin, "one"), tag(admin, "two")
    for order in ([one], [one, one, two], [one, two, 99], []):
        response = admin.post("/api/v1/tags/order/impact", json={"tags": order})
        assert response.status_code == httpx.codes.CONFLICT, response.text


def test_swapped_pairs_are_those_that_change_places() -> None:
    before, after = {10: 1, 20: 2, 30: 3}, {10: 3, 20: 2, 30: 1}
    assert swapped([1, 10, 30, 77], before, after) == {(10, 30)}
    assert swapped([10, 20, 30], before, before) == set()
    assert count_affected([([10, 20], 5), ([10, 30], 7), ([20], 9)], before, after, {(10, 30)}) == (12, 7)


def test_a_predicate_is_tried_on_the_macs_that_are_there(admin: httpx.Client, new_mac: NewMac) -> None:
    for number in range(7):
        new_mac(f"{'lab' if number < 6 else 'home'}-{number}.example.com").sync()
    response = admin.post(
        "/api/v1/tags/predicate", json={"predicate": " hostname.startsWith('lab-') "}
    ).json()
    assert (response["error"], response["tried"], response["matching"]) == (None, 7, 6)
    assert len(response["examples"]) == 5
    assert all(name.startswith("lab-") for name in response["examples"])
    assert admin.get("/api/v1/tags").json() == []


@pytest.mark.parametrize(
    ("predicate", "words"),
    [
        ("hostname ==", "Invalid expression"),
        ("hostname", "must be true or false"),
        ("nothing_like_it", "Invalid expression"),
        (" ", "empty"),
        ("hostname == '\0'", "cannot be stored"),
    ],
)
def test_a_wrong_predicate_is_explained(admin: httpx.Client, predicate: str, words: str) -> None:
    tried = admin.post("/api/v1/tags/predicate", json={"predicate": predicate})
    assert tried.status_code == httpx.codes.OK
    assert words in tried.json()["error"]


def test_only_an_administrator_changes_tags(admin: httpx.Client, viewer: httpx.Client) -> None:
    tag_id = tag(admin, "kept")
    attempts = [
        ("POST", "/api/v1/tags", {"name": "mine"}),
        ("PATCH", f"/api/v1/tags/{tag_id}", {"name": "mine"}),
        ("DELETE", f"/api/v1/tags/{tag_id}", None),
        ("PUT", "/api/v1/tags/order", {"tags": [tag_id]}),
        ("POST", "/api/v1/tags/order/impact", {"tags": [tag_id]}),
        ("POST", "/api/v1/tags/predicate", {"predicate": "true"}),
        ("PUT", f"/api/v1/tags/{tag_id}/members/M", None),
        ("DELETE", f"/api/v1/tags/{tag_id}/members/M", None),
    ]
    for method, path, body in attempts:
        assert viewer.request(method, path, json=body).status_code == httpx.codes.FORBIDDEN, (method, path)
    assert [shown["name"] for shown in admin.get("/api/v1/tags").json()] == ["kept"]
