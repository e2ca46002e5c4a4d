"""A machine with another client: it takes all rules in one page and reports no counts.

It applies them when it has the response to its postflight, while the postflight is the last request of a
sync. So the server's knowledge counts at the end of a sync only.
"""

from collections.abc import Mapping
from typing import Any

from tests.model.mac import DELAYED, Mac
from tests.model.policy import CDHASH_WORD, OTHER, PEDRO
from tests.model.speech import CODINGS, JSON, Speech
from tests.model.wire import Line

CLIENTS = (PEDRO, OTHER)
WORDS = {"MONITOR", "LOCKDOWN", "ALLOWLIST", "ALLOWLIST_COMPILER", "BLOCKLIST"}
"""Of modes and policies; to read another one is the end of it."""
NOTHING = -1
"""The server's number for a machine that counts as up to date although the postflight's response was lost."""
SPEECHES = tuple(Speech(JSON, coding) for coding in CODINGS)


class WholeMachine(Mac):
    """One machine whose client replaces what it has with the one page of each sync."""

    async def _sync(self, line: Line) -> None:
        doubts = self.doubts
        response = await self.post(line, "preflight", self.report())
        assert response["client_mode"] in WORDS, response
        await self.between()
        page = await self.post(line, "ruledownload", {"cursor": None})
        assert "cursor" not in page, page
        self.told = NOTHING
        kind = response["sync_type"]
        self._did(kind)  # by its postflight, whether or not its response is heard
        await self.post(
            line, "postflight", {"rules_received": 0, "rules_processed": 0, "sync_type": "NORMAL"}
        )
        rules = [rule for rule in page["rules"] if rule["policy"] != "REMOVE"]
        self.journal.append((self.syncs, "applied", "", f"{kind}: {len(rules)} rules"))
        self.table = {}
        for rule in rules:
            assert rule["policy"] in WORDS, rule
            content = (rule["policy"], rule.get("cel_expr", ""), rule.get("custom_msg", ""))
            self.table[self._key(rule)] = content
        self.witness.has(self.table)
        self.mode = response["client_mode"]
        self.told = doubts
        self.kinds[f"whole {kind}"] += 1
        self._did(kind)

    def _key(self, rule: dict[str, Any]) -> tuple[str, str]:
        if rule["rule_type"] == CDHASH_WORD and self.facts.version == PEDRO:
            return ("CDHASH", rule["identifier"])
        assert rule["rule_type"] != "CDHASH", rule
        return (rule["rule_type"], rule["identifier"])

    def _fault(self) -> str:
        fault = super()._fault()
        return "" if fault == DELAYED else fault

    def _comes_late(self) -> bool:
        """It posts one thing after the other."""
        return False

    def report(self) -> Mapping[str, Any]:
        """Return what a preflight says: nothing of rules."""
        message = super().report()
        return {
            name: None if "_count" in name or "clean" in name else value for name, value in message.items()
        }
