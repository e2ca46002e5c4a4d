"""The kinds of objects whose changes name a version, and a server that has one of each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.conftest import ADMIN
from tests.support.rest_client import RestClient
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

OTHER_MAC = "C0FFEE00-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Kind:
    """Something that can be changed: where it is read, and two different changes of it."""

    name: str
    path: str
    method: str
    bodies: tuple[Any, Any]
    fields: list[str]
    """What the first change changes."""
    read: str = ""
    """Where it is read, when that is another path."""

    def __str__(self) -> str:
        return f"{self.name} {self.method}"

    @property
    def source(self) -> str:
        """Where its version is read."""
        return self.read or self.path


def content(**fields: object) -> dict[str, object]:
    """Return all of a rule's content."""
    plain = {"policy": "ALLOWLIST", "cel_expr": None, "custom_msg": "", "custom_url": "", "comment": ""}
    return {**plain, "locked": False, "starts_at": None, "expires_at": None, **fields}


def definition(**fields: object) -> dict[str, object]:
    """Return all of a tag's definition."""
    return {"name": "lab", "description": "", "predicate": None, "groups": [], "enrollments": [], **fields}


SERIALS = "/enrollments/{listed}/serials"
KINDS = [
    Kind("rule", "/rules/{rule}", "PUT", (content(comment="a"), content(comment="b")), ["comment"]),
    Kind("rule", "/rules/{rule}", "PATCH", ({"custom_msg": "a"}, {"locked": True}), ["custom_msg"]),
    Kind("rule", "/rules/{rule}", "DELETE", (None, None), []),
    Kind("tag", "/tags/{tag}", "PUT", (definition(groups=["a"]), definition(groups=["b"])), ["groups"]),
    Kind("tag", "/tags/{tag}", "PATCH", ({"predicate": "true"}, {"description": "b"}), ["predicate"]),
    Kind("tag", "/tags/{tag}", "DELETE", (None, None), []),
    Kind("order", "/tags/order", "PUT", ({"tags": "{order}"}, {"tags": "{rotated}"}), ["tags"]),
    Kind("member", "/tags/{tag}/members/{mac}", "PUT", (None, None), ["manual"]),
    Kind("member", "/tags/{tag}/members/{member}", "DELETE", (None, None), ["manual"]),
    Kind("settings", "/settings", "PATCH", ({"batch_size": 7}, {"batch_size": 8}), ["batch_size"]),
    Kind(
        "layer",
        "/settings/layer?layer=tag:lab",
        "PUT",
        ({"values": {"batch_size": 7}, "locked": []}, {"values": {}, "locked": []}),
        ["batch_size", "full_sync_interval"],
    ),
    Kind(
        "layer",
        "/settings/layer?layer=machine:{mac}",
        "PATCH",
        ({"values": {"batch_size": 7}, "locked": ["batch_size"]}, {"values": {"enable_bundles": False}}),
        ["batch_size", "locked"],
    ),
    Kind(
        "layer",
        "/settings/layer?layer=user:nobody",
        "PATCH",
        ({"values": {"batch_size": 7}}, {"values": {"batch_size": 8}}),
        ["batch_size"],
    ),
    Kind(
        "monitor mode",
        "/machines/{mac}/monitor-mode",
        "POST",
        ({"minutes": 5, "reason": "a"}, {"minutes": 9, "reason": "b"}),
        ["monitor_until"],
        read="/machines/{mac}",
    ),
    Kind(
        "monitor mode",
        "/machines/{monitored}/monitor-mode",
        "DELETE",
        (None, None),
        ["monitor_until"],
        read="/machines/{monitored}",
    ),
    Kind(
        "enrollment",
        "/enrollments/{listed}",
        "PATCH",
        ({"reenroll_retired": True, "expires_at": "2099-01-02T03:04:05Z"}, {"label": "y"}),
        ["expires_at", "reenroll_retired"],
    ),
    Kind(
        "enrollment",
        "/enrollments/{listed}/secrets",
        "POST",
        ({"networks": ["10.0.0.0/8"]}, {}),
        ["secrets"],
        read="/enrollments/{listed}",
    ),
    Kind(
        "enrollment",
        "/enrollments/{listed}/secrets/{present}",
        "PATCH",
        ({"networks": ["10.0.0.0/8"]}, {"networks": ["192.0.2.7/32"]}),
        ["secrets"],
        read="/enrollments/{listed}",
    ),
    Kind(
        "enrollment",
        "/enrollments/{listed}/secrets/{previous}",
        "DELETE",
        (None, None),
        ["secrets"],
        read="/enrollments/{listed}",
    ),
    Kind(
        "enrollment", "/enrollments/{listed}/serials", "PATCH", ({"add": ["A"]}, {"add": ["B"]}), ["serials"]
    ),
    Kind("enrollment", SERIALS, "DELETE", (None, None), ["serials"]),
    Kind("user", "/users/{user}", "PATCH", ({"display_name": "a"}, {"disabled": True}), ["display_name"]),
    Kind(
        "user",
        "/users/{user}",
        "PATCH",
        ({"password": "a long password"}, {"password": "another one, longer"}),
        [],
    ),
    Kind("role", "/roles/{role}", "PATCH", ({"description": "a"}, {"name": "other"}), ["description"]),
    Kind("role", "/roles/{role}", "DELETE", (None, None), []),
    Kind("group", "/groups/{group}", "PATCH", ({"description": "a"}, {"name": "other"}), ["description"]),
    Kind("group", "/groups/{group}", "DELETE", (None, None), []),
    Kind("essential", "/essentials/{essential}", "PATCH", ({"use": "VPN"}, {"paths": ["/a"]}), ["use"]),
    Kind("essential", "/essentials/{essential}", "DELETE", (None, None), []),
    Kind(
        "contact",
        "/blocked/contact",
        "PUT",
        ({"text": "a", "url": ""}, {"text": "b", "url": ""}),
        ["text"],
    ),
]


class World:
    """A server with one of everything, and two administrators."""

    def __init__(self, server: RunningServer) -> None:
        """Make what stays."""
        self.server = server
        self.number = 0
        self.one, self.other = self._client(), self._client()
        self.macs = []
        for name in ("one", "two", "three"):
            mac = SimulatedMac(server.url, machine_id=f"MAC-{name}", hostname=name)
            mac.sync()
            mac.close()
            self.macs.append(mac.machine_id)

    def _client(self) -> RestClient:
        client = self.server.client()
        body = {"username": ADMIN[0], "password": ADMIN[1]}
        assert client.post("/api/v1/auth/login", json=body).is_success
        client.careful = True
        return client

    def close(self) -> None:
        """Close the clients."""
        self.one.close()
        self.other.close()

    def made(self, path: str, **body: object) -> Any:  # noqa: ANN401 - JSON
        """Create something."""
        response = self.one.post(f"/api/v1{path}", json=body)
        assert response.status_code == httpx.codes.CREATED, response.text
        return response.json()

    def fill(self, kind: Kind) -> Callable[[Any], Any]:
        """Make what a kind needs; return what puts it into paths and bodies."""
        self.number += 1
        names: dict[str, object] = {"mac": self.macs[0], "member": self.macs[1], "monitored": self.macs[2]}
        text = f"{kind.path} {kind.bodies}"
        lab = self.one.get("/api/v1/tags").json()
        tag = next((one for one in lab if one["name"] == "lab"), None) or self.made("/tags", name="lab")
        others = [self.made("/tags", name=f"t{self.number}{part}")["id"] for part in "ab"]
        names["tag"] = tag["id"]
        self.set(f"/tags/{tag['id']}/members/{self.macs[0]}", "DELETE")
        self.set(f"/tags/{tag['id']}/members/{self.macs[1]}", "PUT")
        if "{rule}" in text:
            identifier = f"{self.number:064x}"
            rule = {"rule_type": "BINARY", "identifier": identifier, "policy": "ALLOWLIST"}
            names["rule"] = self.made("/rules", **rule)["id"]
        if "{essential}" in text:
            wanted = {"name": f"e{self.number}", "rule_type": "TEAMID", "identifiers": ["ABCDEFGHIJ"]}
            names["essential"] = self.made("/essentials", **wanted)["id"]
        names |= self._enrollment(text)
        if "{role}" in text:
            permissions = ["rule:read"]
            names["role"] = self.made("/roles", name=f"r{self.number}", permissions=permissions)["id"]
        if "{group}" in text:
            names["group"] = self.made("/groups", name=f"g{self.number}")["id"]
        if "{user}" in text:
            account = {"username": f"u{self.number}", "password": "long enough, 123", "roles": []}
            names["user"] = self.made("/users", **account)["id"]
        self.set(f"/machines/{self.macs[2]}/monitor-mode", "POST", {"minutes": 5, "reason": "x"})
        self.set(f"/machines/{self.macs[0]}/monitor-mode", "DELETE")
        self.set("/settings/layer?layer=global", "PUT", {"values": {}, "locked": []})
        self.set(f"/settings/layer?layer=machine:{self.macs[0]}", "PUT", {"values": {}, "locked": []})
        self.set("/settings/layer?layer=user:nobody", "PUT", {"values": {}, "locked": []})
        self.set("/settings/layer?layer=tag:lab", "PUT", {"values": {"full_sync_interval": 90}, "locked": []})
        self.set("/blocked/contact", "PUT", {"text": "", "url": ""})
        order = [one["id"] for one in self.one.get("/api/v1/tags").json()]
        assert len(others) == 2
        rotated = [order[1:] + order[:1], order[::-1]]

        def filled(value: Any) -> Any:  # noqa: ANN401 - JSON
            if value == {"tags": "{order}"}:
                return {"tags": rotated[0]}
            if value == {"tags": "{rotated}"}:
                return {"tags": rotated[1]}
            if isinstance(value, str):
                for name, number in names.items():
                    value = value.replace(f"{{{name}}}", str(number))
            return value

        return filled

    def set(self, path: str, method: str, body: object = None) -> None:
        """Bring something into a state, whatever state it is in."""
        response = self.send(self.one, method, path, body, "*")
        assert response.is_success, response.text

    def _enrollment(self, text: str) -> dict[str, object]:
        """Make an enrollment with a list of serial numbers, and if it is named a previous secret."""
        if "{listed}" not in text:
            return {}
        made = self.made("/enrollments", label="x", serial_allowlist=["C"])["enrollment"]
        names = {"listed": made["id"], "present": made["secrets"][0]["id"]}
        if "{previous}" in text:
            path = f"/enrollments/{made['id']}"
            wanted = {"previous_valid_until": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
            rotated = self.send(self.one, "POST", f"{path}/secrets", wanted, self.etag(path)).json()
            names["previous"] = rotated["enrollment"]["secrets"][1]["id"]
        return names

    def send(
        self, client: RestClient, method: str, path: str, body: object, if_match: str | None
    ) -> httpx.Response:
        """Send a change as one of the administrators."""
        headers = {} if if_match is None else {"If-Match": if_match}
        return client.request(method, f"/api/v1{path}", json=body, headers=headers)

    def etag(self, path: str) -> str:
        """Read the version of something."""
        response = self.one.get(f"/api/v1{path}")
        assert response.is_success, response.text
        return response.headers["etag"]
