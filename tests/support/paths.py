"""Folders of the source tree that tests use."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]  # on the module path: `support.fakes:FakeEngine` is an engine
ROOT = TESTS.parent
