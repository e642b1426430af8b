"""How much is tried: in the gate a sixth of what a developer's run tries, and the same each time."""

import os

IS_GATE = bool(os.environ.get("CI"))


def examples(number: int) -> int:
    """Return how many examples of a property are played where `number` are wanted."""
    return max(number // 6, 3) if IS_GATE else number
