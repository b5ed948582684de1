"""What the API answers: the library on a thread, the engine on another, pictures on more."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from searchapp.catalog import Located
from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.errors import EngineError, PictureError, QueryError
from searchapp.files import storage
from searchapp.files.storage import State
from searchapp.library import Library
from searchapp.models import ModelSpec
from searchapp.pictures import decode, thumbnails
from searchapp.search import query_vector
from searchapp.search.good_match import kind_of
from searchapp.server.batcher import Batcher
from searchapp.types import AUTO, Answer, Collection, Facets, Filter, Query, SearchOptions, Term

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Result = TypeVar("Result")
SIZES = (320, 640)  # of thumbnails: pixels of the long side
SHOWN = frozenset({"JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP"})  # what browsers show
LARGEST = 2560  # pixels of the long side of a picture that has to be converted for browsers


class Starting(EngineError):
    """The engine is on its way; ask again."""


@dataclass(frozen=True, slots=True)
class Part:
    """One term of a question: a text, a picture (its bytes), both, or one of the library's."""

    query: Query
    data: bytes | None = None
    image_id: int | None = None
    weight: float = 1.0


class Service:
    """Everything that a request may ask for. All coroutines belong to one event loop."""

    def __init__(self, folder: Path, start: Callable[[ModelSpec], Engine]) -> None:
        """Open the library; no engine is started yet."""
        self.folder = folder
        self.begun = self.last_used = time.monotonic()
        self.busy = 0
        self._batcher = Batcher(start)
        self._one = ThreadPoolExecutor(1, thread_name_prefix="library")
        self._many = ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1)), "pictures")
        self._starting: dict[tuple[str, str], Future[Any]] = {}
        # Counting reads all of a large catalogue: on a thread and a connection of its own.
        self._counting = ThreadPoolExecutor(1, thread_name_prefix="counting")
        self._counted: Library | None = None
        # SQLite's connection belongs to the thread that made it.
        self._library = self._one.submit(Library.open, folder).result()

    async def rest(self) -> None:
        """Let go of files that one process alone can have, until the next search."""
        await asyncio.wrap_future(self._one.submit(self._library.rest))

    def close(self) -> None:
        """Close the library; threads that still work are not waited for."""
        self._batcher.close()
        self._one.submit(self._library.close).result()
        if self._counted is not None:
            self._counting.submit(self._counted.close)

    async def search(
        self, parts: Sequence[Part], options: SearchOptions, one_prompt: bool
    ) -> Answer:
        """Search by the sum of some parts: texts, pictures, or both as one question.

        Where the model cannot take both as one prompt, their vectors are added up, unless
        one_prompt forbids that.
        Errors: those of Library.search, and Starting.
        """
        collection, spec = await self._with_library(lambda it: it.target(options))
        asked: list[Part] = []
        for part in parts:
            both = part.query.modality == "text+image"
            if both and "text+image" not in spec.modalities and not one_prompt:
                asked.append(replace(part, query=replace(part.query, image=None), data=None))
                asked.append(replace(part, query=replace(part.query, text=None)))
            else:
                asked.append(part)
        told = [part for part in asked if part.image_id is None]
        items = [await self._prepared(spec, part) for part in told]
        if told:
            await self._ready(spec)
        for number, part in enumerate(told):
            short = await self._shortened(spec, part.query, options.truncate)
            if short is not part.query:
                items[number] = await self._prepared(spec, replace(part, query=short))
        outputs = await asyncio.wrap_future(self._batcher.embed(spec, items))
        embedded = iter(_accepted(outputs))

        def vector_of(library: Library, part: Part) -> Vector:
            if part.image_id is None:
                return next(embedded)
            return library.vector(collection, part.image_id)

        vectors = await self._with_library(lambda it: [vector_of(it, part) for part in asked])
        vector = query_vector.add_up(vectors, [part.weight for part in asked])
        kind = kind_of(Term(part.query, part.weight) for part in asked)
        if options.min_score == AUTO and kind == "text":
            await self._calibrate(collection, spec)
        return await self._with_library(lambda it: it.nearest(collection, vector, options, kind))

    async def _calibrate(self, collection: Collection, spec: ModelSpec) -> None:
        sentences = await self._with_library(lambda it: it.unrelated(collection))
        if sentences:
            inputs = [query_vector.engine_input(spec, Query(text)) for text in sentences]
            outputs = await asyncio.wrap_future(self._batcher.embed(spec, inputs))
            vectors = [output for output in outputs if not isinstance(output, Refusal)]
            await self._with_library(lambda it: it.calibrate(collection, vectors))

    async def embed(
        self,
        model: str,
        revision: str,
        space: Mapping[str, Any],
        inputs: Sequence[tuple[str, bytes | None]],
    ) -> list[Vector | Refusal]:
        """Embed prompts, each with the picture that it speaks of (PNG, prepared already), if any.

        Errors: LibraryError where no collection is of such a model, and Starting.
        """
        spec = await self._with_library(lambda it: it.model(model, revision, space))
        await self._ready(spec)
        items = await self._with_pictures(lambda: [_input(*each) for each in inputs])
        return await asyncio.wrap_future(self._batcher.embed(spec, items))

    async def count(self, model: str, revision: str, space: Mapping[str, Any], prompt: str) -> int:
        """Return how many tokens a prompt has; errors as in embed."""
        spec = await self._with_library(lambda it: it.model(model, revision, space))
        await self._ready(spec)
        asked = self._batcher.ask(spec, lambda engine: engine.count_tokens(prompt))
        return int(await asyncio.wrap_future(asked))

    async def similar(self, image_id: int, options: SearchOptions) -> Answer:
        """Find the images nearest to one of the library's."""
        return await self._with_library(lambda it: it.find_similar(image_id, options))

    async def image(self, image_id: int) -> tuple[bytes, str] | None:
        """Return a picture's bytes in a format that browsers show, and its media type."""
        located = await self._with_library(lambda it: it.image(image_id))
        return None if located is None else await self._with_pictures(lambda: _shown(located))

    async def thumbnail(self, image_id: int, size: int) -> tuple[bytes, str] | None:
        """Return a picture's thumbnail (WebP, upright) and what names its content."""
        located = await self._with_library(lambda it: it.image(image_id))
        if located is None:
            return None
        return await self._with_pictures(lambda: self._thumbnail(located, size)), located.key

    async def film(self, image_id: int) -> tuple[str, State] | None:
        """Return where the video is that an image is of; PictureError where it is none."""
        located = await self._with_library(lambda it: it.image(image_id))
        return None if located is None else await self._with_pictures(lambda: _film(located))

    async def info(self) -> dict[str, Any]:
        """Return what the web page wants to know of the library."""

        def ask(library: Library) -> dict[str, Any]:
            info, overview = library.info(), library.overview()
            model: dict[str, Any] = {"model": None, "modalities": []}
            if info.collections:
                _, spec = library.target(SearchOptions())
                model = {"model": Path(spec.name).name, "modalities": list(spec.modalities)}
            return {
                "library": str(info.path),
                "images": info.images,
                "files": info.files,
                **model,
                "collections": [
                    {"name": c.name, "model": c.model, "images": c.images} for c in info.collections
                ],
                "folders": [{"path": path, "images": count} for path, count in overview.folders],
                "first_date": overview.first_date,
                "last_date": overview.last_date,
            }

        return await self._with_counts(ask)

    async def facets(self, wanted: Filter, collection: str | None) -> Facets:
        """Count what pictures can be filtered by."""
        return await self._with_counts(lambda it: it.facets(wanted, collection))

    async def fetched(self, fetch: Callable[[], bytes]) -> bytes:
        """Fetch a picture on a thread that may wait."""
        return await self._with_pictures(fetch)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Note that somebody is being served: the process stays."""
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1
            self.last_used = time.monotonic()

    async def _ready(self, spec: ModelSpec) -> None:
        """Raise Starting while the model's engine is on its way, or what kept it from starting."""
        if self._batcher.is_ready(spec):
            return
        key = (spec.name, spec.revision)
        starting = self._starting.get(key)
        if starting is None:
            starting = self._starting[key] = self._batcher.ask(spec, lambda engine: None)
        if not starting.done():
            raise Starting(f"starting vLLM with {Path(spec.name).name} ...")
        del self._starting[key]
        starting.result()

    async def _shortened(self, spec: ModelSpec, query: Query, truncate: bool) -> Query:
        if not query.text:
            return query
        question = self._batcher.ask(
            spec, lambda engine: query_vector.shortened(engine, query, truncate)
        )
        shortened: Query = await asyncio.wrap_future(question)
        return shortened

    async def _prepared(self, spec: ModelSpec, part: Part) -> EngineInput:
        return await self._with_pictures(
            lambda: query_vector.engine_input(spec, part.query, part.data)
        )

    async def _with_library(self, ask: Callable[[Library], Result]) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._one, ask, self._library)

    async def _with_counts(self, ask: Callable[[Library], Result]) -> Result:
        def asked() -> Result:
            if self._counted is None:
                self._counted = Library.open(self.folder)
            return ask(self._counted)

        return await asyncio.get_running_loop().run_in_executor(self._counting, asked)

    async def _with_pictures(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._many, work)

    def _thumbnail(self, located: Located, size: int) -> bytes:
        """Return a thumbnail from the cache on disk, or make it there."""
        folder = self.folder / "thumbnails" / located.key[:2]
        file = folder / f"{located.key}-{size}.webp"
        with suppress(OSError):
            return file.read_bytes()
        buffer = io.BytesIO()
        _picture(located, size).save(buffer, "WEBP", quality=80)
        with suppress(OSError):  # a full or read-only disk costs the cache, not the picture
            folder.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}.tmp")
            temporary.write_bytes(buffer.getvalue())
            temporary.rename(file)
        return buffer.getvalue()


def _input(prompt: str, data: bytes | None) -> EngineInput:
    if data is None:
        return EngineInput(prompt)
    return EngineInput(prompt, decode.decode(data, lambda width, height: (width, height))[0])


def _accepted(outputs: Sequence[Vector | Refusal]) -> list[Vector]:
    for output in outputs:
        if isinstance(output, Refusal):
            raise QueryError(f"the model does not take this query: {output.reason}")
    return [output for output in outputs if not isinstance(output, Refusal)]


def _of_first(located: Located, read: Callable[[str], Result]) -> Result:
    """Return what is read of the first of an image's files that can be read."""
    problem = PictureError("none of its files is there", stage="read")
    for path in located.paths:
        try:
            return read(path)
        except PictureError as error:
            problem = error
    raise problem


def _picture(located: Located, side: int) -> Picture:
    return _of_first(located, lambda path: thumbnails.thumbnail(path, side, located.seconds))


def _shown(located: Located) -> tuple[bytes, str]:
    if located.seconds is None and located.info.format in SHOWN:
        data = _of_first(located, lambda path: storage.read(path)[0])
        return data, f"image/{located.info.format.lower()}"
    buffer = io.BytesIO()
    _picture(located, LARGEST).save(buffer, "JPEG", quality=90)
    return buffer.getvalue(), "image/jpeg"


def _film(located: Located) -> tuple[str, State]:
    """Return where a video is; PictureError where it is none, or away."""
    if located.seconds is None:
        raise PictureError("that is no video", stage="read")

    return _of_first(located, lambda path: (path, storage.state(path)))
