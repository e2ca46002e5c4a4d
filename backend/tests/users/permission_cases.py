"""Every route with the roles that may use it, written by hand: what the tests compare the server with."""

from dataclasses import dataclass
from typing import Any

LOOK = "viewer approver operator admin auditor"
DECIDE = "approver operator admin"
RUN = "operator admin"
RUN_OR_AUDIT = "operator admin auditor"
ALL = f"{LOOK} requester"
ROLES = ALL.split()
WAYS = ("", "group-", "custom-")
"""How a user has a role: directly, through a group, or as a role made here with the same permissions."""

RULE = {"rule_type": "BINARY", "policy": "BLOCKLIST"}
CONTENT = {
    "policy": "BLOCKLIST",
    "cel_expr": None,
    "custom_msg": "",
    "custom_url": "",
    "comment": "changed",
    "locked": False,
    "starts_at": None,
    "expires_at": None,
}
DEFINITION: dict[str, Any] = {
    "name": "{side}",
    "description": "",
    "predicate": None,
    "groups": [],
    "enrollments": [],
}


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
    counts: bool = False
    """Whether it only says how many there are."""
    unfit: bool = False
    """Whether the request is permitted but refused as invalid, since this server has no HTTPS."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def whole(method: str, path: str, roles: str, body: Any = None) -> Case:  # noqa: ANN401 - JSON
    """Return a case about the whole installation, for which a role limited to a tag is not enough."""
    return Case(method, path, roles, body, scoped=False)


ESSENTIAL = {"name": "{new}", "rule_type": "TEAMID", "identifiers": ["ABCDEFGHIJ"]}

SCOPED = [
    Case("GET", "/rules", LOOK, lists=True),
    Case("GET", "/rules?layer={layer}", LOOK),
    Case("GET", "/rules/removed", LOOK, lists=True),
    Case("GET", "/rules/{rule}", LOOK),
    Case("PUT", "/rules/{rule}", DECIDE, CONTENT),
    Case("PATCH", "/rules/{rule}", DECIDE, {"comment": "changed"}),
    Case("POST", "/rules", DECIDE, RULE | {"layer": "{layer}", "identifier": "{digest}"}),
    Case("POST", "/rules", DECIDE, RULE | {"layer": "machine:{mac}", "identifier": "{digest}"}),
    Case("DELETE", "/rules/{rule}", DECIDE),
    Case("GET", "/rules/export", RUN_OR_AUDIT, lists=True),
    Case("GET", "/rules/export?layer={layer}", RUN_OR_AUDIT),
    Case("GET", "/changes", LOOK, lists=True),
    Case("GET", "/changes/{change}", LOOK),
    Case("POST", "/changes/{change}/revert", DECIDE, {"dry_run": True}),
    Case("GET", "/layers", LOOK, lists=True),
    Case("GET", "/layers?permission=rule:write", DECIDE, lists=True),
    Case("GET", "/layers?permission=rule:export", RUN_OR_AUDIT, lists=True),
    Case("GET", "/layers?permission=settings:write", RUN, lists=True),
    Case("GET", "/layers/members?layer={layer}", LOOK),
    Case("GET", "/tags", LOOK, lists=True),
    Case("GET", "/tags/{tag}", LOOK),
    Case("GET", "/tags/{tag}/members", LOOK),
    Case("GET", "/tags/{tag}/members/{mac}", LOOK),
    Case("PUT", "/tags/{tag}/members/{mac}", RUN),
    Case("DELETE", "/tags/{tag}/members/{spare}", RUN),
    Case("GET", "/machines", LOOK, lists=True),
    Case("GET", "/machines/{mac}", LOOK),
    Case("GET", "/machines/{mac}/tags", LOOK),
    Case("GET", "/machines/{mac}/policy?at={moment}", LOOK),
    Case("POST", "/machines/{mac}/clean-sync", RUN, {"kind": "clean"}),
    Case("POST", "/machines/{mac}/monitor-mode", RUN, {"minutes": 30, "reason": "a test"}),
    Case("DELETE", "/machines/{mac}/monitor-mode", RUN),
    Case("POST", "/machines/{mac}/release", RUN),
    Case("DELETE", "/machines/{mac}/release", RUN),
    Case("POST", "/machines/{old}/retire", RUN),
    Case("POST", "/machines/{mac}/restore", RUN),
    Case("DELETE", "/machines/{old}", RUN),
    Case("GET", "/machines/count", RUN, lists=True, counts=True),
    Case("POST", "/machines/actions", RUN, {"action": "release", "machine_ids": ["{mac}"]}),
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
    Case("PATCH", "/settings/layer?layer={layer}", RUN, {"values": {"enable_bundles": False}}),
]
WHOLE = [
    whole("GET", "/overview", LOOK),
    whole("GET", "/status", RUN_OR_AUDIT),
    whole("GET", "/programs", ALL),
    whole("GET", "/programs/{program}", ALL),
    whole("GET", "/settings", LOOK),
    whole("GET", "/essentials", LOOK),
    whole("GET", "/essentials/{essential}", LOOK),
    whole("POST", "/essentials", RUN, ESSENTIAL),
    whole("PATCH", "/essentials/{essential}", RUN, {"use": "VPN"}),
    whole("DELETE", "/essentials/{essential}", RUN),
    whole("PATCH", "/settings", RUN, {}),
    whole("PUT", "/blocked/contact", RUN, {"text": "Help desk", "url": ""}),
    whole("POST", "/rules/import", RUN, {"format": "csv", "content": "{csv}"}),
    whole("POST", "/tags", RUN, {"name": "{new}"}),
    whole("PUT", "/tags/{tag}", RUN, DEFINITION),
    whole("PATCH", "/tags/{tag}", RUN, {"description": "changed"}),
    whole("GET", "/tags/order", LOOK),
    whole("DELETE", "/tags/{passing}", RUN),
    whole("PUT", "/tags/order", RUN, {"tags": "{tags}"}),
    whole("POST", "/tags/order/impact", RUN, {"tags": "{tags}"}),
    whole("POST", "/tags/predicate", RUN, {"predicate": "true"}),
    whole("GET", "/enrollments", RUN_OR_AUDIT),
    whole("GET", "/enrollments/essentials", RUN_OR_AUDIT),
    whole("GET", "/enrollments/profile-options", RUN_OR_AUDIT),
    whole("GET", "/enrollments/{enrollment}", RUN_OR_AUDIT),
    whole("GET", "/enrollments/{enrollment}/serials", RUN_OR_AUDIT),
    whole("POST", "/enrollments", RUN, {"label": "{new}"}),
    whole("PATCH", "/enrollments/{enrollment}", RUN, {"quota": 1000}),
    whole("POST", "/enrollments/{leaving}/secrets", RUN, {}),
    whole("PATCH", "/enrollments/{rotated}/secrets/{ended}", RUN, {"networks": []}),
    whole("DELETE", "/enrollments/{rotated}/secrets/{ended}", RUN),
    whole("PATCH", "/enrollments/{enrollment}/serials", RUN, {"add": ["C02ABCDEFGHJ"], "remove": []}),
    whole("DELETE", "/enrollments/{enrollment}/serials", RUN),
    Case("POST", "/enrollments/{enrollment}/profile", RUN, {"secret": "{secret}"}, scoped=False, unfit=True),
    whole("POST", "/enrollments/{leaving}/revoke", RUN),
    whole("GET", "/users", "admin auditor"),
    whole("GET", "/users/1", "admin auditor"),
    whole("PATCH", "/users/1", "admin", {"display_name": "Root"}),
    whole("POST", "/users", "admin", {"username": "{new}", "password": "a long password", "roles": []}),
    whole("POST", "/users/{person}/setup-link", "admin"),
    whole("DELETE", "/users/{person}/second-factor", "admin"),
    whole("DELETE", "/users/{person}", "admin"),
    whole("GET", "/users/1/permissions", "admin auditor"),
    whole("GET", "/roles", "admin auditor"),
    whole("GET", "/roles/{role}", "admin auditor"),
    whole("POST", "/roles", "admin", {"name": "{new}", "permissions": ["rule:read"]}),
    whole("PATCH", "/roles/{role}", "admin", {"description": "changed"}),
    whole("DELETE", "/roles/{role}", "admin"),
    whole("GET", "/groups", "admin auditor"),
    whole("GET", "/groups/environment", "admin auditor"),
    whole("GET", "/groups/{group}", "admin auditor"),
    whole("GET", "/groups/{group}/members", "admin auditor"),
    whole("POST", "/groups", "admin", {"name": "{new}"}),
    whole("PATCH", "/groups/{group}", "admin", {"roles": [{"role": "viewer", "tag": "lab"}]}),
    whole("PUT", "/groups/{group}/members/{person}", "admin"),
    whole("DELETE", "/groups/{group}/members/{member}", "admin"),
    whole("DELETE", "/groups/{group}", "admin"),
    whole("GET", "/tokens?kind=service", "admin auditor"),
    whole("GET", "/tokens?user_id=1", "admin auditor"),
    whole("GET", "/scim", "admin auditor"),
    whole("GET", "/scim/tokens", "admin auditor"),
    whole("GET", "/scim/tokens/{scim_token}", "admin auditor"),
    whole("POST", "/scim/tokens", "admin", {"name": "{new}", "expires_at": "{month}"}),
    whole("POST", "/scim/tokens/{scim_token}/rotate", "admin", {}),
    whole("DELETE", "/scim/tokens/{scim_token}", "admin"),
    whole("GET", "/sessions?everybody=true", "admin auditor"),
    whole("GET", "/sessions?username=admin", "admin auditor"),
    whole("DELETE", "/sessions?username=someone", "admin"),
    whole("GET", "/audit", "admin auditor"),
    whole("GET", "/audit/export", "admin auditor"),
    whole("POST", "/audit/checkpoint", "admin auditor"),
    whole("GET", "/audit/checkpoint", "admin auditor"),
]
CASES = [*SCOPED, *WHOLE]
OPEN = {
    "POST /auth/login",
    "POST /auth/logout",
    "POST /auth/second-factor",
    "POST /auth/passkeys/sign-in",
    "POST /auth/passkeys/sign-in/options",
    "GET /auth/state",
    "POST /setup",
    "POST /setup/link",
    "GET /auth/methods",
    "GET /auth/oidc/start",
    "GET /auth/oidc/callback",
    "POST /auth/oidc/backchannel",
    "GET /auth/oidc/frontchannel",
    "GET /blocked/contact",
    "GET /blocked/{sha256}",
}
OWN = {
    "GET /auth/me",
    "GET /auth/permissions",
    "POST /auth/password",
    "POST /auth/reauthenticate",
    "GET /auth/second-factor",
    "GET /auth/passkeys",
    "POST /auth/passkeys",
    "POST /auth/passkeys/options",
    "POST /auth/passkeys/reauthenticate",
    "POST /auth/passkeys/reauthenticate/options",
    "DELETE /auth/passkeys/{passkey_id}",
    "POST /auth/second-factor/totp",
    "POST /auth/second-factor/totp/confirm",
    "DELETE /auth/second-factor/totp",
    "POST /auth/second-factor/recovery-codes",
    "GET /tokens",
    "POST /tokens",
    "GET /tokens/{token_id}",
    "POST /tokens/{token_id}/rotate",
    "DELETE /tokens/{token_id}",
    "GET /sessions",
    "DELETE /sessions",
    "DELETE /sessions/{session_id}",
}
