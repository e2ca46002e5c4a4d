"""Programs that must keep running on every Mac, or it can no longer be repaired remotely. Pure.

Some are known to everybody: Santa, macOS's own device management, the agents of MDM vendors. Others belong to
an organization: its VPN, identity helper, browser, chat (`essentials/`).
"""

from collections.abc import Iterable
from functools import cached_property

from msgspec import Struct

from santaserver.policy.rule_text import Key

PLATFORM = "platform"
"""Takes the place of the team ID in the signing IDs of Apple's own programs."""


class Publisher(Struct, frozen=True):
    """A publisher whose programs a Mac may need to get out of a lock-out."""

    key: str
    name: str
    use: str
    team_id: str


SANTA = Publisher("santa", "Santa", "this agent and its helpers", "ZMCG7MLDV9")
AGENTS = (
    Publisher("jamf", "Jamf", "device management", "483DWKW443"),
    Publisher("microsoft", "Microsoft Intune, Edge, Teams", "device management, browser, chat", "UBF8T346G9"),
    Publisher("iru", "Iru (Kandji)", "device management", "P3FGV63VK7"),
)
MDM_CLIENT = "platform:com.apple.mdmclient"


class Program(Struct, frozen=True, dict=True):
    """What is known of a program; empty texts for what is not."""

    team_id: str = ""
    signing_id: str = ""
    certificate: str = ""
    sha256: str = ""
    cdhash: str = ""
    paths: tuple[str, ...] = ()
    by_rules_only: bool = False
    """Whether it counts as blocked only when a rule blocks it, not when paths or the mode do."""

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """The targets of rules that match it, in the order in which Santa looks for them."""
        found = (
            ("CDHASH", self.cdhash),
            ("BINARY", self.sha256),
            ("SIGNINGID", self.signing_id),
            ("CERTIFICATE", self.certificate),
            ("TEAMID", self.team_id),
        )
        return tuple(key for key in found if key[1])

    @property
    def is_platform(self) -> bool:
        """Whether it is Apple's own: without a rule it runs in every mode."""
        return self.signing_id.startswith(f"{PLATFORM}:")


class Lifeline(Struct, frozen=True):
    """Programs of one kind that must not be blocked."""

    name: str
    use: str
    declared: tuple[Program, ...]
    """As the identifiers say that name it."""
    seen: tuple[Program, ...] = ()
    """As Macs reported it."""
    advisory: bool = False
    """Whether blocking it is only a reason for a warning."""
    runs_anyway: bool = False
    """Whether Santa lets it run whatever paths and mode say."""

    @property
    def title(self) -> str:
        """Its name for messages."""
        return f"{self.name} ({self.use})" if self.use else self.name

    @property
    def teams(self) -> frozenset[str]:
        """The publishers of which every program counts."""
        named = (program for program in self.declared if not program.signing_id and not _is_file(program))
        return frozenset(program.team_id for program in named if program.team_id)

    def is_named(self, rule_type: str, identifier: str) -> bool:
        """Tell whether a rule's target names this lifeline, or may match one of its programs."""
        key = (rule_type, identifier)
        if any(key in program.keys for program in (*self.declared, *self.seen)):
            return True
        return rule_type == "SIGNINGID" and identifier.partition(":")[0] in self.teams


def _is_file(program: Program) -> bool:
    return bool(program.sha256 or program.cdhash or program.certificate)


def declared(rule_type: str, identifier: str, paths: Iterable[str] = ()) -> Program:
    """Return the program that a target names."""
    places = tuple(paths)
    match rule_type:
        case "TEAMID":
            return Program(team_id=identifier, paths=places)
        case "SIGNINGID":
            team = identifier.partition(":")[0]
            return Program(team_id="" if team == PLATFORM else team, signing_id=identifier, paths=places)
        case "CERTIFICATE":
            return Program(certificate=identifier, paths=places)
        case "BINARY":
            return Program(sha256=identifier, paths=places)
        case _:
            return Program(cdhash=identifier, paths=places)


KNOWN: tuple[Lifeline, ...] = (
    Lifeline(SANTA.name, SANTA.use, (Program(team_id=SANTA.team_id, by_rules_only=True),), runs_anyway=True),
    Lifeline(
        "macOS's own device management",
        "",
        (Program(signing_id=MDM_CLIENT, by_rules_only=True),),
        runs_anyway=True,
    ),
    *(
        # A Mac that never ran an agent does not need a rule that allows it.
        Lifeline(agent.name, agent.use, (Program(team_id=agent.team_id, by_rules_only=True),))
        for agent in AGENTS
    ),
)
