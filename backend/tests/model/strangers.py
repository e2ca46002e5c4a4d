"""Someone with a valid secret of another enrollment, who knows a Mac's id and gets nothing by it."""

from datetime import datetime
from random import Random
from typing import Any

from tests.model.mac import Mac
from tests.model.speech import TYPES, some_speech
from tests.model.wire import Request, exchange
from tests.model.wrong import WrongError

FIRST_PID = 2_000_000_000
"""Process ids of strangers' executions begin here."""
STAGES = ("preflight", "ruledownload", "postflight", "eventupload")


async def intrude(mac: Mac, chance: Random, now: datetime) -> None:
    """Try some stages in the name of a Mac while it may be syncing itself."""
    secret = chance.choice(mac.badge.strangers)
    speech = some_speech(chance)
    line = mac.wire.line()
    try:
        for stage in chance.sample(STAGES, chance.randint(1, len(STAGES))):
            path = f"/api/santa/{stage}/{mac.facts.machine_id}"
            body = speech.write(stage, _content(stage, chance, now))
            headers = (*speech.headers(), *mac.authorization(secret))
            request = Request("POST", path, body, headers, content_type=TYPES[speech.form])
            response = await exchange(line, request)
            mac.posts[f"of strangers: {stage}"] += 1
            if response.status != 403:
                got = f"got {response.status} for a {stage}: {response.body!r}"
                text = f"a stranger with secret {secret} to {mac.facts} with {mac.badge} {got}"
                raise WrongError(mac.facts.machine_id, text)
    finally:
        line.close()


def _content(stage: str, chance: Random, now: datetime) -> dict[str, Any]:
    event = {
        "file_sha256": f"{chance.randrange(12):064x}",
        "execution_time": now.timestamp(),
        "decision": "ALLOW_UNKNOWN",
        "pid": FIRST_PID + chance.randrange(1000),
    }
    said: dict[str, dict[str, Any]] = {
        "preflight": {"hostname": "lab-stranger", "primary_user": "mallory", "request_clean_sync": True},
        "ruledownload": {},
        "postflight": {"rules_received": chance.randrange(3), "rules_processed": 0},
        "eventupload": {"events": [event]},
    }
    return said[stage]
