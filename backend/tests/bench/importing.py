"""Imports a file of new rules through the REST interface: `python -m tests.bench.importing`.

Prints how long the request took, in seconds, as JSON. The rules are others at each run. Those of a user
without a Mac show what the import costs, global ones also what the syncs of a whole fleet do then.
"""

import argparse
import json
import secrets
import time

import httpx

LIMIT = 60.0
"""Seconds."""


def file(layer: str, rules: int) -> str:
    """Return the text of a file of rules that no other run has."""
    mark = secrets.token_hex(16)
    rows = [
        {
            "layer": layer,
            "rule_type": "BINARY",
            "identifier": f"{mark}{number:032x}",
            "policy": "BLOCKLIST",
        }
        for number in range(rules)
    ]
    return json.dumps({"version": 1, "rules": rows}, separators=(",", ":"))


def main() -> None:
    """Import once."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.importing", description=__doc__)
    parser.add_argument("--url", required=True, help="address of the server")
    parser.add_argument("--cookie", required=True, help="of an administrator's session, as NAME=VALUE")
    parser.add_argument("--layer", required=True, help="whose rules")
    parser.add_argument("--rules", type=int, required=True)
    options = parser.parse_args()
    content = json.dumps(
        {"format": "json", "content": file(options.layer, options.rules), "dry_run": False}
    ).encode()
    headers = {"cookie": options.cookie, "content-type": "application/json"}
    began = time.monotonic()
    with httpx.Client(base_url=options.url, headers=headers, timeout=LIMIT) as client:
        response = client.post("/api/v1/rules/import", content=content)
        if response.status_code == httpx.codes.CONFLICT and (question := response.json().get("confirm")):
            confirmed = {"confirm": question["token"]}
            response = client.post("/api/v1/rules/import", content=content, params=confirmed)
    response.raise_for_status()
    plan = response.json()
    assert plan["added"] == options.rules, plan
    print(json.dumps({"seconds": time.monotonic() - began}))  # noqa: T201 - the result


if __name__ == "__main__":
    main()
