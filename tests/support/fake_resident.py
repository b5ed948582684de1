"""Run the resident process with a fake engine.

python tests/support/fake_resident.py SECONDS_TO_START SECONDS_TO_EMBED [ARGUMENTS]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from searchapp import engines
from searchapp.models import ModelSpec
from searchapp.server.__main__ import main
from support.fake_engine import FakeEngine

START_DELAY_S, EMBED_DELAY_S = (float(argument) for argument in sys.argv[1:3])


class DelayedEngine(FakeEngine):
    """Fake engine with delays at its start and before each embedding."""

    def __init__(self, spec: ModelSpec, **_: Any) -> None:
        time.sleep(START_DELAY_S)
        super().__init__(spec)

    def embed(self, inputs: Sequence[engines.EngineInput]) -> Any:
        time.sleep(EMBED_DELAY_S)
        return super().embed(inputs)


if __name__ == "__main__":
    engines.start_engine = DelayedEngine  # type: ignore[assignment]
    del sys.argv[1:3]
    main()
