"""Constants of layers: the global layer, ranks, manual membership."""

GLOBAL_LAYER = 1
"""Id of the one global layer, made by the first migration."""
USER_RANK = 1_000_000
MACHINE_RANK = 1_000_001
"""Tags rank from 1 upwards below them."""
MANUAL = "manual"
"""The source of a membership that an administrator added; the others are automatic."""
