"""Rules for sync tests, made through the REST interface, and what a Mac should have of them."""

from typing import Any

import httpx

from tests.support.santa_client import Key, Rule, SimulatedMac


def sha(number: int) -> str:
    """Return the number-th file digest."""
    return f"{number:064x}"


def add_rule(admin: httpx.Client, identifier: str, policy: str = "BLOCKLIST", **fields: Any) -> int:  # noqa: ANN401
    """Create a rule (BINARY unless told) and return its id."""
    body = {"rule_type": "BINARY", "identifier": identifier, "policy": policy, **fields}
    response = admin.post("/api/v1/rules", json=body)
    assert response.status_code == httpx.codes.CREATED, response.text
    rule_id: int = response.json()["id"]
    return rule_id


def change_rule(admin: httpx.Client, rule_id: int, policy: str, **fields: Any) -> None:  # noqa: ANN401
    """Give a rule new content."""
    response = admin.patch(f"/api/v1/rules/{rule_id}", json={"policy": policy, **fields})
    assert response.status_code == httpx.codes.OK, response.text


def remove_rule(admin: httpx.Client, rule_id: int) -> None:
    """Remove a rule."""
    response = admin.delete(f"/api/v1/rules/{rule_id}")
    assert response.status_code == httpx.codes.NO_CONTENT, response.text


def effective(admin: httpx.Client) -> dict[Key, Rule]:
    """Return the rules that a Mac with a new Santa should have."""
    listed = admin.get("/api/v1/rules", params={"limit": 500}).json()["items"]
    return {
        (rule["rule_type"], rule["identifier"]): (
            rule["policy"],
            rule["cel_expr"] or "",
            rule["custom_msg"],
            rule["custom_url"],
        )
        for rule in listed
    }


def machine(admin: httpx.Client, mac: SimulatedMac) -> dict[str, Any]:
    """Return the machine as the console sees it."""
    response = admin.get(f"/api/v1/machines/{mac.machine_id}")
    assert response.status_code == httpx.codes.OK, response.text
    shown: dict[str, Any] = response.json()
    return shown


def clean_reason(admin: httpx.Client, mac: SimulatedMac) -> str | None:
    """Return why the machine's newest sync was a clean one."""
    reason: str | None = machine(admin, mac)["last_sync"]["clean_reason"]
    return reason


def tag(admin: httpx.Client, name: str, **content: object) -> int:
    """Create a tag and return its id."""
    response = admin.post("/api/v1/tags", json={"name": name, **content})
    assert response.status_code == httpx.codes.CREATED, response.text
    tag_id: int = response.json()["id"]
    return tag_id


def policies(mac: SimulatedMac) -> dict[str, str]:
    """Sync, and return the policies that the Mac then has by identifier."""
    mac.sync()
    return {identifier: rule[0] for (_, identifier), rule in mac.rules.items()}


def give(admin: httpx.Client, tag_id: int, mac: SimulatedMac, method: str = "PUT") -> None:
    """Add a tag to a Mac, or remove it with DELETE."""
    response = admin.request(method, f"/api/v1/tags/{tag_id}/members/{mac.machine_id}")
    assert response.status_code == httpx.codes.NO_CONTENT, response.text
