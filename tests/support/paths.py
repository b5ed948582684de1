"""Name the folders of the source tree that tests use."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[
    1
]  # On the module path: workers import `support.fake_engine:FakeEngine`.
ROOT = TESTS.parent
