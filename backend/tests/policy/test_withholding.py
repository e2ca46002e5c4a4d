"""What is withheld is enough, and no more than is needed where one change is at fault."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from santaserver.policy.guard import Cause, Finding, MacClass, Move
from santaserver.policy.lifelines import KNOWN
from santaserver.policy.withholding import LayerChange, Withheld, withhold

FINDING = Finding(
    "refused",
    KNOWN[0],
    KNOWN[0].declared[0],
    Move(MacClass(frozenset(), 0), MacClass(frozenset(), 0)),
    Cause(1, "TEAMID", "X"),
    None,  # type: ignore[arg-type] # nobody looks at it
)
LAYERS = st.integers(1, 7)
SETS = st.frozensets(LAYERS)


def judge(bad: frozenset[frozenset[int]], before: frozenset[int], after: frozenset[int]) -> Finding | None:
    """Object to layers that include a bad combination which was not there before."""
    worse = any(one <= after and not one <= before for one in bad)
    return FINDING if worse else None


def result(before: frozenset[int], changes: list[LayerChange], withheld: list[Withheld]) -> frozenset[int]:
    """Return the layers with the changes that are not withheld."""
    left = {one.change for one in withheld}
    for change in changes:
        if change not in left:
            before = change.apply(before)
    return before


@settings(max_examples=300, deadline=None)
@given(before=SETS, wanted=SETS, bad=st.frozensets(st.frozensets(LAYERS, min_size=1, max_size=3), max_size=5))
def test_nothing_speaks_against_what_is_made(
    before: frozenset[int], wanted: frozenset[int], bad: frozenset[frozenset[int]]
) -> None:
    changes = [LayerChange(layer, layer in wanted) for layer in sorted(before ^ wanted)]
    withheld = asyncio.run(withhold(before, changes, lambda one, other: judge(bad, one, other)))
    made = result(before, changes, withheld)
    assert judge(bad, before, made) is None
    if judge(bad, before, wanted) is None:
        assert withheld == []
    # Each of the others would be too much, and one is enough where one is at fault.
    for one in withheld:
        assert judge(bad, before, one.change.apply(made)) is not None or len(withheld) == 1
    single = any(
        judge(bad, before, result(before, changes, [Withheld(change, FINDING)])) is None for change in changes
    )
    assert not (withheld and single) or len(withheld) == 1


def test_two_at_fault_leave_the_others() -> None:
    bad = frozenset({frozenset({2}), frozenset({4})})
    changes = [LayerChange(layer, gained=True) for layer in (2, 3, 4, 5)]
    withheld = asyncio.run(withhold(frozenset({1}), changes, lambda one, other: judge(bad, one, other)))
    assert [one.change.layer for one in withheld] == [2, 4]
