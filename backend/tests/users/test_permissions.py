"""Every route, for every role: everywhere, for a tag, outside of this tag, and without a session."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Route

from santaserver.authorization import OUTSIDE, check_declarations, declarations
from santaserver.main import create_app
from santaserver.permissions import Permission
from santaserver.settings import Settings
from tests.conftest import ADMIN, add_user
from tests.live.sockets import closing_code
from tests.support.postgres import Cluster, execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

LOOK = "viewer approver operator admin auditor"
DECIDE = "approver operator admin"
RUN = "operator admin"
RUN_OR_AUDIT = "operator admin auditor"
ALL = f"{LOOK} requester"
ROLES = ALL.split()

RULE = {"rule_type": "BINARY", "policy": "BLOCKLIST"}


@dataclass(frozen=True)
class Case:
    """A request and who may send it. `{mac}`, `{tag}`, `{rule}` and `{layer}` name what is in the lab, or
    in the office.
    """

    method: str
    path: str
    roles: str
    body: Any = None
    scoped: bool = True
    """Whether a role that is limited to the lab is enough for what is in the lab."""
    lists: bool = False
    """Whether it is a list, which leaves out what is out of scope, so that there is no 404."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def whole(method: str, path: str, roles: str, body: Any = None) -> Case:  # noqa: ANN401 - JSON
    """Return a case about the whole installation, for which a role limited to a tag is not enough."""
    return Case(method, path, roles, body, scoped=False)


SCOPED = [
    Case("GET", "/rules", LOOK, lists=True),
    Case("GET", "/rules?layer={layer}", LOOK),
    Case("GET", "/rules/removed", LOOK, lists=True),
    Case("GET", "/rules/{rule}", LOOK),
    Case("PUT", "/rules/{rule}", DECIDE, {"policy": "BLOCKLIST", "comment": "changed"}),
    Case("POST", "/rules", DECIDE, RULE | {"layer": "{layer}", "identifier": "{digest}"}),
    Case("POST", "/rules", DECIDE, RULE | {"layer": "machine:{mac}", "identifier": "{digest}"}),
    Case("DELETE", "/rules/{rule}", DECIDE),
    Case("GET", "/rules/export", RUN_OR_AUDIT, lists=True),
    Case("GET", "/rules/export?layer={layer}", RUN_OR_AUDIT),
    Case("GET", "/layers", LOOK, lists=True),
    Case("GET", "/layers/members?layer={layer}", LOOK),
    Case("GET", "/tags", LOOK, lists=True),
    Case("GET", "/tags/{tag}", LOOK),
    Case("GET", "/tags/{tag}/members", LOOK),
    Case("PUT", "/tags/{tag}/members/{mac}", RUN),
    Case("DELETE", "/tags/{tag}/members/nobody-{mac}", ""),
    Case("GET", "/machines", LOOK, lists=True),
    Case("GET", "/machines/{mac}", LOOK),
    Case("GET", "/machines/{mac}/tags", LOOK),
    Case("POST", "/machines/{mac}/clean-sync", RUN, {"kind": "clean"}),
    Case("POST", "/machines/{mac}/monitor-mode", RUN, {"minutes": 30, "reason": "a test"}),
    Case("DELETE", "/machines/{mac}/monitor-mode", RUN),
    Case("GET", "/explain/program?machine_id={mac}&team_id=ABCDEFGHIJ", LOOK),
    Case("GET", "/explain/rules?machine_id={mac}", LOOK),
    Case("GET", "/explain/settings?machine_id={mac}", LOOK),
    Case("GET", "/events", LOOK, lists=True),
    Case("GET", "/events/{event}", LOOK),
    Case("GET", "/file-accesses", LOOK, lists=True),
    Case("GET", "/agent-audits", LOOK, lists=True),
    Case("GET", "/settings/layer?layer={layer}", LOOK),
    Case("GET", "/settings/layer?layer=machine:{mac}", LOOK),
    Case("PUT", "/settings/layer?layer={layer}", RUN, {"values": {"enable_bundles": True}, "locked": []}),
]
WHOLE = [
    whole("GET", "/overview", LOOK),
    whole("GET", "/programs", ALL),
    whole("GET", "/programs/{program}", ALL),
    whole("GET", "/settings", LOOK),
    whole("PUT", "/settings", RUN, {}),
    whole("PUT", "/blocked/contact", RUN, {"text": "Help desk", "url": ""}),
    whole("POST", "/rules/import?x=", "", None),
    whole("POST", "/tags", RUN, {"name": "made by {role}"}),
    whole("PUT", "/tags/{tag}", RUN, {"name": "{name}", "description": "changed"}),
    whole("PUT", "/tags/order", RUN, {"tags": "{tags}"}),
    whole("POST", "/tags/order/impact", RUN, {"tags": "{tags}"}),
    whole("POST", "/tags/predicate", RUN, {"predicate": "true"}),
    whole("GET", "/enrollments", RUN_OR_AUDIT),
    whole("GET", "/enrollments/essentials", RUN_OR_AUDIT),
    whole("GET", "/enrollments/{enrollment}", RUN_OR_AUDIT),
    whole("GET", "/enrollments/{enrollment}/serials", RUN_OR_AUDIT),
    whole("POST", "/enrollments", RUN, {"label": "made by {role}"}),
    whole("PATCH", "/enrollments/{enrollment}/serials", RUN, {"add": ["C02ABCDEFGHJ"], "remove": []}),
    whole("DELETE", "/enrollments/{enrollment}/serials", RUN),
    whole("GET", "/users", "admin auditor"),
    whole("GET", "/users/1", "admin auditor"),
    whole("PATCH", "/users/1", "admin", {"display_name": "Root"}),
    whole(
        "POST", "/users", "admin", {"username": "new-{role}", "password": "a long password", "roles": []}
    ),
    whole("GET", "/sessions?everybody=true", "admin auditor"),
    whole("GET", "/sessions?username=admin", "admin auditor"),
    whole("DELETE", "/sessions?username=nobody", "admin"),
]
CASES = [case for case in (*SCOPED, *WHOLE) if "x=" not in case.path and "nobody-" not in case.path]
OPEN = {
    "POST /auth/login",
    "POST /auth/logout",
    "GET /auth/state",
    "GET /blocked/contact",
    "GET /blocked/{sha256}",
}
OWN = {"GET /auth/me", "GET /sessions", "DELETE /sessions", "DELETE /sessions/{session_id}"}
