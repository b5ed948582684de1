"""How much the randomized tests try: TEST_EFFORT=10 tries ten times as much as the default."""

from __future__ import annotations

import os

EFFORT = float(os.environ.get("TEST_EFFORT", "1"))


def scale(count: int) -> int:
    """Return a number of examples, seeds or kill points for the wanted effort, at least 1."""
    return max(1, round(count * EFFORT))
