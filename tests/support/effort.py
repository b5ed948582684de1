"""How much the tests try: TEST_EFFORT=10 tries ten times as many random cases as the default.

Above 1, it also runs tests that take long and whose code other tests run, too.
"""

from __future__ import annotations

import os

import pytest

EFFORT = float(os.environ.get("TEST_EFFORT", "1"))

needs_effort = pytest.mark.skipif(EFFORT <= 1, reason="it takes long; set TEST_EFFORT=2 to run it")


def scale(count: int) -> int:
    """Return a number of examples, seeds or kill points for the wanted effort, at least 1."""
    return max(1, round(count * EFFORT))
