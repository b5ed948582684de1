"""Start the engine of a command; the engine runs until the process exits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.cli.log_output import print_note

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.engines.reranker import Reranker, StartReranker
    from searchapp.indexing.embedding.choose_engines import EngineChoice
    from searchapp.models import ModelSpec


def start_until_exit(
    choice: EngineChoice, *, announce: bool = True
) -> Callable[[ModelSpec], Engine]:
    """Return a function that starts the engine of a command.

    announce: print a note before vLLM starts in this process.
    """

    def start(spec: ModelSpec) -> Engine:
        from searchapp.engines.unclosed import UnclosedEngine
        from searchapp.models import check_trust

        check_trust(spec)
        if announce and choice.url is None:
            print_note(f"starting vLLM with {Path(spec.name).name} ...")
        engine = choice.start(spec)
        return engine if choice.url else UnclosedEngine(engine)  # Freeing a model takes seconds.

    return start


def announce_reranker(choice: EngineChoice) -> StartReranker:
    """Return a function that starts the reranker of a command, after a note."""

    def start(name: str | None) -> Reranker:
        print_note("starting the reranker ...")
        return choice.start_reranker(name)

    return start
