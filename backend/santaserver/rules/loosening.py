"""Whether a change of a rule can let run what it blocks. Pure."""

BLOCKING = "policy like '%BLOCKLIST' or policy = 'CEL'"
"""The same as a condition in SQL, of policies that block or can."""


def may_block(policy: str | None) -> bool:
    """Tell whether a rule with this policy blocks, or can."""
    return policy is not None and (policy.endswith("BLOCKLIST") or policy == "CEL")


def loosened(before: tuple[str, bool], after: tuple[str, bool] | None) -> str | None:
    """Return what a change of (policy, locked) of a rule in force loosens; None after it is gone."""
    if not may_block(before[0]):
        return None
    if after is None:
        return "The rule no longer blocks anything"
    if not may_block(after[0]) or (after[0] == "CEL" and before[0] != "CEL"):
        return "The rule no longer blocks in every case" if after[0] == "CEL" else "The rule no longer blocks"
    if before[1] and not after[1]:
        return "Higher layers can override this block"
    return None
