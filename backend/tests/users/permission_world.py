"""A running server with users of every role, and two of everything: tagged lab, and tagged office."""

import itertools
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx

from santaserver.permissions import PERMISSIONS, Role
from tests.conftest import ADMIN, add_user
from tests.support.postgres import execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.users.permission_cases import ESSENTIAL, ROLES, RULE, Case

AT = 1_763_900_000
REPORTS: dict[str, Any] = {
    "file_access_events": [
        {
            "rule_name": "Cookies",
            "target": "/Users/sim/Cookies",
            "access_time": AT,
            "decision": "FILE_ACCESS_DECISION_DENIED",
        }
    ],
    "audit_events": [
        {
            "standalone_mode_rule_creation": {
                "decision": "ALLOW_BINARY",
                "identifier": "ab" * 32,
                "timestamp": AT,
            }
        }
    ],
}
"""What a Mac uploads besides executions."""


class World:
    """A server with two tags, a Mac, a rule and an event of each, and clients for all roles."""

    def __init__(self, server: RunningServer) -> None:
        """Make everything."""
        self.server = server
        self._new = itertools.count(1)
        self._role = 0
        self._clients: dict[str, httpx.Client] = {}
        self.admin = self.client("admin")
        self.tags = {name: self._made("/tags", {"name": name}) for name in ("lab", "office")}
        self.macs = {name: self._mac(f"{name}.example.com") for name in ("lab", "office", "lab2", "office2")}
        for name, mac in self.macs.items():
            tag = self.tags[name.removesuffix("2")]
            assert self.admin.put(f"/api/v1/tags/{tag}/members/{mac}").status_code == httpx.codes.NO_CONTENT
        made = self.admin.post("/api/v1/enrollments", json={"label": "theirs"}).json()
        self.enrollment, self.secret = made["enrollment"]["id"], made["secret"]
        for side in self.tags:
            self._rule(side)
            self.admin.delete(f"/api/v1/rules/{self._rule(side)}").raise_for_status()
        for role in ROLES:
            if role != "admin":
                add_user(server.dsn, role, role)
            add_user(server.dsn, f"{role}-lab", role, self.tags["lab"])
            for limit in (None, "lab"):
                self._with_group(role, limit)
                self._with_custom_role(role, limit)

    def _with_group(self, role: str, tag: str | None) -> None:
        """Add a user who has a role through a group only."""
        name = f"group-{role}" + (f"-{tag}" if tag else "")
        add_user(self.server.dsn, name)
        group = self._made("/groups", {"name": name, "roles": [{"role": role, "tag": tag}]})
        user = value(self.server.dsn, "select id from app_user where username = $1", name)
        self.admin.put(f"/api/v1/groups/{group}/members/{user}").raise_for_status()

    def _with_custom_role(self, role: str, tag: str | None) -> None:
        """Add a user with a role that was made here, of the same permissions."""
        name, custom = f"custom-{role}" + (f"-{tag}" if tag else ""), f"like {role}"
        if tag is None:
            self._made("/roles", {"name": custom, "permissions": sorted(PERMISSIONS[Role(role)])})
        add_user(self.server.dsn, name)
        user = value(self.server.dsn, "select id from app_user where username = $1", name)
        body = {"roles": [{"role": custom, "tag": tag}]}
        self.admin.patch(f"/api/v1/users/{user}", json=body).raise_for_status()

    def client(self, name: str) -> httpx.Client:
        """Return a client with the session of a user; empty: without one."""
        if name not in self._clients:
            made = self._clients[name] = self.server.client()
            if name:
                login = made.post("/api/v1/auth/login", json={"username": name, "password": ADMIN[1]})
                assert login.status_code == httpx.codes.OK, login.text
        return self._clients[name]

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            client.close()

    def send(self, case: Case, user: str, side: str) -> httpx.Response:
        """Send a request about one of the two sides as a user."""
        wanted = f"{case.path} {json.dumps(case.body)}"
        values = {
            "side": side,
            "secret": self.secret,
            "layer": f"tag:{side}",
            "tag": str(self.tags[side]),
            "mac": self.macs[side],
            "spare": self.macs[f"{side}2"],
            "enrollment": str(self.enrollment),
            "digest": f"{next(self._new):064x}",
            "new": f"new{next(self._new)}",
            "moment": quote(self.server.clock().isoformat()),
            "csv": "layer,rule_type,identifier,policy\\n",
        }
        if "{rule}" in wanted:
            values["rule"] = str(self._rule(side))
        if "{change}" in wanted:
            self._rule(side)
            values["change"] = str(value(self.server.dsn, "select seq from policy_head"))
        if "{essential}" in wanted:
            named = ESSENTIAL | {"name": f"vpn{next(self._new)}"}
            values["essential"] = str(self._made("/essentials", named))
        if "{passing}" in wanted:
            values["passing"] = str(self._made("/tags", {"name": f"passing{next(self._new)}"}))
        if "{spare}" in wanted:
            self.admin.put(f"/api/v1/tags/{self.tags[side]}/members/{values['spare']}")
        values |= self._people(wanted)
        if "scim/tokens" in wanted:
            values["scim_token"] = str(self._scim_token())
            values["month"] = (self.server.clock() + timedelta(days=30)).isoformat()
        values |= self._enrollments(wanted)
        if "{old}" in wanted:
            values["old"] = self._old(side)
        if "{event}" in wanted:
            values["event"] = str(self._event(side))
        if "{program}" in wanted:
            values["program"] = str(value(self.server.dsn, "select min(id) from program"))
        path, body = case.path, json.dumps(case.body)
        for name, text in values.items():
            path, body = path.replace(f"{{{name}}}", text), body.replace(f"{{{name}}}", text)
        body = body.replace('"{tags}"', json.dumps(self._order()) if "{tags}" in body else "")
        headers = {"Content-Type": "application/json"}
        content = None if case.body is None else body
        return self.client(user).request(case.method, "/api/v1" + path, content=content, headers=headers)

    def _people(self, wanted: str) -> dict[str, str]:
        """Return a user, a group with a member, and a role, as far as they are wanted."""
        values, number = {}, next(self._new)
        if "{person}" in wanted:
            values["person"] = str(self._made("/users", {"username": f"person{number}", "roles": []}))
        if "{group}" in wanted:
            values["group"] = str(self._made("/groups", {"name": f"group{number}"}))
        if "{member}" in wanted:
            values["member"] = str(self._made("/users", {"username": f"member{number}", "roles": []}))
            self.admin.put(f"/api/v1/groups/{values['group']}/members/{values['member']}").raise_for_status()
        if "{role}" in wanted:
            self.admin.delete(f"/api/v1/roles/{self._role}")  # there is a limit, and no need for more
            self._role = self._made("/roles", {"name": f"role{number}", "permissions": ["rule:read"]})
            values["role"] = str(self._role)
        return values

    def _enrollments(self, wanted: str) -> dict[str, str]:
        """Make the enrollments that a request names."""
        values = {}
        if "{leaving}" in wanted:
            values["leaving"] = str(self._made("/enrollments", {"label": "leaving"}))
        if "{ended}" in wanted:
            values["rotated"], values["ended"] = self._rotated()
        return values

    def _rotated(self) -> tuple[str, str]:
        """Return an enrollment and its previous secret, which is still valid."""
        enrollment = self._made("/enrollments", {"label": "rotated"})
        until = (self.server.clock() + timedelta(days=1)).isoformat()
        path = f"/api/v1/enrollments/{enrollment}/secrets"
        rotated = self.admin.post(path, json={"previous_valid_until": until}).json()
        return str(enrollment), str(rotated["enrollment"]["secrets"][1]["id"])

    def _made(self, path: str, body: object) -> int:
        response = self.admin.post(f"/api/v1{path}", json=body)
        assert response.status_code == httpx.codes.CREATED, response.text
        answer = response.json()
        number: int = answer.get("enrollment", answer)["id"]
        return number

    def _mac(self, hostname: str) -> str:
        mac = SimulatedMac(self.server.url, hostname=hostname)
        mac.sync()
        mac.block(f"Evil {hostname}")
        mac.post("eventupload", REPORTS)
        mac.close()
        return mac.machine_id

    def _old(self, side: str) -> str:
        """Return a Mac that is about to leave."""
        mac = SimulatedMac(
            self.server.url, hostname=f"old.{side}.example.com", machine_id=f"OLD-{next(self._new)}"
        )
        mac.sync()
        mac.close()
        assert self.admin.put(f"/api/v1/tags/{self.tags[side]}/members/{mac.machine_id}").is_success
        return mac.machine_id

    def _scim_token(self) -> int:
        """Return a new SCIM token; those before it are revoked, since there can be few."""
        execute(self.server.dsn, "update scim_token set revoked_at = now() where revoked_at is null")
        number: int = value(
            self.server.dsn,
            """insert into scim_token (name, hint, secret_hash, created_at, expires_at)
               values ('made', '', sha256(random()::text::bytea), now(), now() + interval '1 day')
               returning id""",
        )
        return number

    def _rule(self, side: str) -> int:
        body = RULE | {"layer": f"tag:{side}", "identifier": f"{next(self._new):064x}"}
        return self._made("/rules", body)

    def _event(self, side: str) -> int:
        number: int = value(
            self.server.dsn,
            "select e.id from event e join machine m on m.id = e.machine_id where m.machine_id = $1",
            self.macs[side],
        )
        return number

    def _order(self) -> list[int]:
        return [tag["id"] for tag in self.admin.get("/api/v1/tags").json()]
