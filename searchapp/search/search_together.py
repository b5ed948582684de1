"""Run several searches together, so that they share calls of the engine and of the index.

The steps of each search are those of search.search(). A search stops where it needs vectors or the
nearest images. When all searches have stopped, one call serves all that wait for the same thing.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from searchapp.engines import EngineInput, Refusal, Vector
from searchapp.errors import EngineError, QueryError, SearchAppError
from searchapp.models import ModelSpec
from searchapp.search.hit_list import sort_hits
from searchapp.search.nearest_together import NearestQuestion
from searchapp.search.query_part import PreparedSearch, QueryPart
from searchapp.search.search import search
from searchapp.search.search_calls import SearchCalls
from searchapp.types import SearchQuestion, SearchResult

MAX_SEARCHES = 64  # more make no call faster, and other searches wait for these calls


@dataclass(frozen=True, slots=True)
class _Embedding:
    """Call that waits for the other searches: embed inputs with the engine of a model."""

    spec: ModelSpec
    inputs: Sequence[EngineInput]


_SharedCall = _Embedding | NearestQuestion


class _SharingCalls:
    """SearchCalls that stop the search where several searches can share a call."""

    def __init__(self, calls: SearchCalls) -> None:
        """Make all other calls directly."""
        self.read_library = calls.read_library
        self.run_blocking = calls.run_blocking
        self.prepare_input = calls.prepare_input
        self.start_engine = calls.start_engine
        self.ask_engine = calls.ask_engine
        self.start_reranker = calls.start_reranker
        self.score_pictures = calls.score_pictures

    async def embed_inputs(
        self, spec: ModelSpec, inputs: Sequence[EngineInput]
    ) -> list[Vector | Refusal]:
        """Wait for a call of the engine that embeds the inputs of all searches."""
        outputs: list[Vector | Refusal] = await _stop_at(_Embedding(spec, inputs))
        return outputs

    async def find_nearest(self, question: NearestQuestion) -> SearchResult:
        """Wait for a call that finds the nearest images of all searches."""
        result: SearchResult = await _stop_at(question)
        return result


@types.coroutine
def _stop_at(call: _SharedCall) -> Generator[_SharedCall, Any, Any]:
    """Stop a search until search_together() has the answer of a call; return the answer."""
    return (yield call)


class _Run:
    """A search that runs from one shared call to the next."""

    def __init__(self, coroutine: Coroutine[Any, Any, SearchResult]) -> None:
        self.outcome: SearchResult | SearchAppError | None = None  # None: it still runs
        self.call: _SharedCall | None = None  # where the search has stopped
        self._answer: Any = None  # of the last call: a value, or an error to raise
        self._coroutine = coroutine

    def set_answer(self, answer: list[Vector | Refusal] | SearchResult | SearchAppError) -> None:
        """Keep the answer of the call, so that the search can advance."""
        self.call, self._answer = None, answer

    @property
    def can_advance(self) -> bool:
        """Return whether the search has neither ended nor stopped at a call."""
        return self.outcome is None and self.call is None

    @types.coroutine
    def advance(self) -> Generator[Any, Any, None]:
        """Run the search until its next shared call, or to its end.

        Other things that it awaits are passed on to the event loop.
        Raises EngineError, because the other searches need an engine too.
        """
        try:
            if isinstance(self._answer, SearchAppError):
                step = self._coroutine.throw(self._answer)
            else:
                step = self._coroutine.send(self._answer)
            while not isinstance(step, _SharedCall):
                step = self._coroutine.send((yield step))
            self.call = step
        except StopIteration as end:
            self.outcome = end.value
        except EngineError:
            raise
        except SearchAppError as error:
            self.outcome = error

    def close(self) -> None:
        """End the search, wherever it has stopped."""
        self._coroutine.close()


async def search_together(
    calls: SearchCalls, searches: Sequence[PreparedSearch]
) -> list[SearchResult | SearchAppError]:
    """Return the result of each search, or its error; see search.search().

    Raises EngineError if an engine does not work, or Starting if it starts.
    """
    sharing = _SharingCalls(calls)
    runs = [
        _Run(
            search(
                sharing, each.parts, each.options, one_prompt=each.one_prompt,
                examples=each.examples,
            )
        )
        for each in searches
    ]  # fmt: skip
    try:
        while any(run.outcome is None for run in runs):
            for run in runs:
                if run.can_advance:
                    await run.advance()
            # The first search can calibrate good matches, which the others need to judge hits.
            if not await _answer_embeddings(calls, runs):
                await _answer_questions(calls, runs)
    finally:
        for run in runs:
            run.close()
    return [run.outcome for run in runs if run.outcome is not None]


async def _answer_embeddings(calls: SearchCalls, runs: Sequence[_Run]) -> bool:
    """Embed the inputs of all searches that wait for vectors, with one call for each model.

    Return whether there are any. A text that several searches have is embedded once.
    """
    all_waiting = waiting = [(run, run.call) for run in runs if isinstance(run.call, _Embedding)]
    while waiting:
        spec = waiting[0][1].spec
        same = [(run, call) for run, call in waiting if call.spec == spec]
        inputs = {_get_key(item): item for _, call in same for item in call.inputs}
        outputs = await calls.embed_inputs(spec, list(inputs.values()))
        output_by_key = dict(zip(inputs, outputs, strict=True))
        for run, call in same:
            run.set_answer([output_by_key[_get_key(item)] for item in call.inputs])
        waiting = [(run, call) for run, call in waiting if call.spec != spec]
    return bool(all_waiting)


def _get_key(item: EngineInput) -> Hashable:
    """Return a key that is the same for inputs with the same text and no picture."""
    return item.prompt if item.image is None else id(item)


async def _answer_questions(calls: SearchCalls, runs: Sequence[_Run]) -> None:
    """Find the nearest images of all searches that wait for them, with one call."""
    waiting = [(run, run.call) for run in runs if isinstance(run.call, NearestQuestion)]
    questions = [question for _, question in waiting]
    if not questions:
        return
    outcomes = await calls.read_library(lambda reader: reader.find_nearest_together(questions))
    for (run, _), outcome in zip(waiting, outcomes, strict=True):
        run.set_answer(outcome)


async def answer_together(
    calls: SearchCalls, questions: Sequence[SearchQuestion]
) -> list[SearchResult | SearchAppError]:
    """Return the sorted result of each question, or its error: see search_together()."""
    prepared = dict[int, PreparedSearch]()
    outcomes = dict[int, SearchResult | SearchAppError]()
    for number, question in enumerate(questions):
        try:
            parts = [QueryPart.from_term(term) for term in question.list_terms()]
        except QueryError as error:
            outcomes[number] = error
            continue
        prepared[number] = PreparedSearch(
            parts, list(question.examples), question.options, one_prompt=True
        )
    found = await search_together(calls, list(prepared.values()))
    for (number, asked), outcome in zip(prepared.items(), found, strict=True):
        outcomes[number] = (
            outcome if isinstance(outcome, SearchAppError) else sort_result(outcome, asked)
        )
    return [outcomes[number] for number in range(len(questions))]


def sort_result(result: SearchResult, asked: PreparedSearch) -> SearchResult:
    """Return a result with its hits in the order that the search asks for."""
    order = asked.options.sort if asked.parts or asked.examples else "date"
    return replace(result, hits=tuple(sort_hits(result.hits, order)))
