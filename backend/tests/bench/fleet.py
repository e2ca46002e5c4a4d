"""The made-up fleet of the benchmarks: Mac number N is what `santa-load fleet` calls bench-N. Pure.

Rules come in a fixed mix: 95 of 100 are global, the others belong to tags, of which each Mac has two, so that
a fleet shares some 200 different sets of rules.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.protocol.messages import PreflightRequest
from santaserver.sync.membership import membership_fingerprint

TAGS = 20
TAGGED = 20
"""Every how many rules one belongs to a tag."""
RELEASE = "2026.7.1"


@dataclass(frozen=True)
class Size:
    """The sizes of the fleet."""

    machines: int
    rules: int


@dataclass(frozen=True)
class MadeRule:
    """A rule; tag 0 is the global layer."""

    tag: int
    rule_type: str
    identifier: str
    policy: str
    message: str


def name(number: int) -> str:
    """Return the machine id."""
    return f"bench-{number}"


def report(number: int) -> PreflightRequest:
    """Return the preflight of the load generator's Mac."""
    return PreflightRequest(
        serial_number=f"C02{number:09}",
        hostname=f"{name(number)}.example.com",
        os_version="15.6.1",
        os_build="24G90",
        model_identifier="Mac15,7",
        santa_version=RELEASE,
        primary_user=f"user{number}",
        client_mode="LOCKDOWN",
        rules_hash=rules_hash(number),
    )


def rules_hash(number: int) -> str:
    """Return the hash that the Mac always reports."""
    return f"{number:032x}"


def report_key(number: int, layer_version: int) -> bytes:
    """Return the digest of that report as preflights keep it."""
    return membership_fingerprint(report(number), None, layer_version)


def tags_of(number: int) -> tuple[int, ...]:
    """Return a Mac's tags, 1 to `TAGS`, in their order."""
    return tuple(sorted({number % TAGS + 1, number // TAGS % TAGS + 1}))


def rules(count: int) -> Iterator[MadeRule]:
    """Make rules: nine of ten for binaries, one for a signing ID; some with a message."""
    for number in range(count):
        digest = hashlib.sha256(f"rule {number}".encode()).hexdigest()
        signing = number % 10 == 0
        yield MadeRule(
            tag=number // TAGGED % TAGS + 1 if number % TAGGED == TAGGED - 1 else 0,
            rule_type="SIGNINGID" if signing else "BINARY",
            identifier=f"{digest[:10].upper()}:com.example.program{number}" if signing else digest,
            policy="BLOCKLIST" if number % 7 == 0 else "ALLOWLIST",
            message="Ask the help desk for an alternative." if number % 50 == 0 else "",
        )


def layers_of(number: int, first_tag_layer: int) -> list[int]:
    """Return a Mac's layers, the global one first, when tag 1 has the layer `first_tag_layer`."""
    return [GLOBAL_LAYER, *(first_tag_layer + tag - 1 for tag in tags_of(number))]
