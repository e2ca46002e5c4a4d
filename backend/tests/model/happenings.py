"""What happens on a Mac without a word to the server, which has to notice it at a later sync."""

from random import Random

from tests.model.admin import TARGETS
from tests.model.badge import SECRETS
from tests.model.mac import HASHES, LOCAL, Mac
from tests.model.settings import STANDALONE
from tests.model.speech import some_speech
from tests.model.whole import WholeMachine

VERSIONS = ("2026.8.1", "2026.2.1", "2025.5.1")
USERS = ("Ann", "bob")
GROUPS: tuple[list[str], ...] = ([], ["staff"])
HOSTS = ("desk-1", "lab-1")


def happen(mac: Mac, chance: Random, *, own_id: bool, alone: bool) -> None:
    """Let something happen; on Macs of standalone mode, `alone`, nothing that only a hash would show."""
    if chance.random() < 0.3 and own_id and mac.badge.certain:
        mac.badge.show(chance.randrange(SECRETS))
        mac.faults["happening: another profile"] += 1
        return
    if isinstance(mac, WholeMachine):
        mac.facts.groups = chance.choice(GROUPS)
        mac.doubts += 1
        return
    mac.doubts += 1
    what = chance.choice(("wipe", "lose", "alter", "move", "update", "approve", "configure"))
    mac.journal.append((mac.syncs, what, "", ""))
    mac.faults[f"happening: {what}"] += 1
    if what == "wipe":
        mac.table.clear()
        mac.transitive.clear()
        mac.wants_clean = True
        mac.damaged()
    elif what == "lose":
        mac.table.clear()
        mac.damaged()
    elif what == "alter" and HASHES[mac.facts.version] and not alone:
        key = chance.choice(TARGETS)
        if chance.random() < 0.5:
            mac.table.pop(key, None)
        else:
            # Never the same twice: a change that is undone but for its message leaves the hash as it was.
            mac.table[key] = ("CEL", f"altered {mac.doubts}", "")
        mac.damaged()
    elif what == "move":
        mac.facts.user = chance.choice(USERS)
        mac.facts.hostname = chance.choice(HOSTS)
        mac.facts.groups = chance.choice(GROUPS)
    elif what == "update" and not alone:
        later = [version for version in VERSIONS if HASHES[version] or version == mac.facts.version]
        mac.facts.version = chance.choice(later)
    elif what == "configure":
        mac.speech = some_speech(chance)
    elif what == "approve" and mac.mode == STANDALONE:
        mac.table[("BINARY", f"{chance.randrange(900, 999):064x}")] = (LOCAL, "", "")
