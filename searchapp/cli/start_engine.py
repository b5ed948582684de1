"""Start the engine of one command: announce the start, and leave its end to the process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.cli.shared_options import print_note, printable

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.indexing.embedding.choose_engines import EngineChoice
    from searchapp.models import ModelSpec


def start_until_exit(
    choice: EngineChoice, *, announce: bool = True
) -> Callable[[ModelSpec], Engine]:
    """Return the function that starts a command's engine.

    announce: print a line before vLLM starts in this process.
    """

    def start(spec: ModelSpec) -> Engine:
        from searchapp.engines.unclosed import UnclosedEngine
        from searchapp.models import check_trust

        check_trust(spec)
        if announce and choice.url is None:
            print_note(f"starting vLLM with {printable(Path(spec.name).name)} ...")
        engine = choice.start(spec)
        return engine if choice.url else UnclosedEngine(engine)  # freeing a model takes seconds

    return start
