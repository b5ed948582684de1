"""What the API answers: the library on a thread, the engine on another, pictures on more."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from searchapp.catalog import LocatedImage
from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.storage import FileState
from searchapp.library import Library
from searchapp.models import ModelSpec
from searchapp.pictures import decode, thumbnails
from searchapp.search.search import QueryPart, search
from searchapp.server.threaded_calls import ThreadedCalls
from searchapp.types import Facets, Filter, SearchOptions, SearchResult

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Result = TypeVar("Result")
THUMBNAIL_SIDES_PX = (320, 640)  # of thumbnails: pixels of the long side
BROWSER_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP"})  # what browsers show
MAX_CONVERTED_SIDE_PX = (
    2560  # pixels of the long side of a picture that has to be converted for browsers
)


class Service:
    """Everything that a request may ask for. All coroutines belong to one event loop."""

    def __init__(self, folder: Path, start: Callable[[ModelSpec], Engine]) -> None:
        """Open the library; no engine is started yet."""
        self.folder = folder
        self.started_at = self.last_used_at = time.monotonic()
        self.active_requests = 0
        self._calls = ThreadedCalls(folder, start)
        # Counting reads all of a large catalogue: on a thread and a connection of its own.
        self._counting_thread = ThreadPoolExecutor(1, thread_name_prefix="counting")
        self._counting_library: Library | None = None

    async def release_files(self) -> None:
        """Close files that only one process can open at a time, until the next search."""
        await self._calls.read_library(lambda it: it.close_exclusive_files())

    def close(self) -> None:
        """Close the library; threads that still work are not waited for."""
        self._calls.close()
        if self._counting_library is not None:
            self._counting_thread.submit(self._counting_library.close)

    async def search(
        self, parts: Sequence[QueryPart], options: SearchOptions, one_prompt: bool
    ) -> SearchResult:
        """Search by the weighted sum of parts: see search.search; errors: Starting, too."""
        return await search(self._calls, parts, options, one_prompt=one_prompt)

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
        spec = await self._calls.read_library(lambda it: it.choose_model(model, revision, space))
        await self._calls.start_engine(spec)
        items = await self._calls.work_on_pictures(
            lambda: [_decode_input(*each) for each in inputs]
        )
        return await self._calls.embed_inputs(spec, items)

    async def count_tokens(
        self, model: str, revision: str, space: Mapping[str, Any], prompt: str
    ) -> int:
        """Return how many tokens a prompt has; errors as in embed."""
        spec = await self._calls.read_library(lambda it: it.choose_model(model, revision, space))
        await self._calls.start_engine(spec)
        return await self._calls.ask_engine(spec, lambda engine: engine.count_tokens(prompt))

    async def similar(self, image_id: int, options: SearchOptions) -> SearchResult:
        """Find the images nearest to one of the library's."""
        return await self._calls.ask_library(lambda it: it.find_similar(image_id, options))

    async def load_image(self, image_id: int) -> tuple[bytes, str] | None:
        """Return a picture's bytes in a format that browsers show, and its media type."""
        located = await self._calls.read_library(lambda it: it.locate_image(image_id))
        if located is None:
            return None
        return await self._calls.work_on_pictures(lambda: _encode_for_browser(located))

    async def load_thumbnail(self, image_id: int, size: int) -> tuple[bytes, str] | None:
        """Return a picture's thumbnail (WebP, upright) and what names its content."""
        located = await self._calls.read_library(lambda it: it.locate_image(image_id))
        if located is None:
            return None
        data = await self._calls.work_on_pictures(lambda: self._cached_thumbnail(located, size))
        return data, located.key

    async def find_video(self, image_id: int) -> tuple[str, FileState] | None:
        """Return where the video is that an image is of; PictureError where it is none."""
        located = await self._calls.read_library(lambda it: it.locate_image(image_id))
        if located is None:
            return None
        return await self._calls.work_on_pictures(lambda: _locate_video(located))

    async def describe_library(self) -> dict[str, Any]:
        """Return what the web page wants to know of the library."""

        def ask(library: Library) -> dict[str, Any]:
            info, overview = library.info(), library.load_overview()
            model: dict[str, Any] = {"model": None, "modalities": []}
            if info.collections:
                _, spec = library.reader.choose_collection(SearchOptions())
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

        return await self._call_counting_library(ask)

    async def count_facets(self, image_filter: Filter, collection: str | None) -> Facets:
        """Count what pictures can be filtered by."""
        return await self._call_counting_library(
            lambda it: it.count_facets(image_filter, collection)
        )

    async def run_fetch(self, fetch: Callable[[], bytes]) -> bytes:
        """Fetch a picture on a thread that may wait."""
        return await self._calls.work_on_pictures(fetch)

    @contextmanager
    def track_request(self) -> Iterator[None]:
        """Note that somebody is being served: the process stays."""
        self.active_requests += 1
        try:
            yield
        finally:
            self.active_requests -= 1
            self.last_used_at = time.monotonic()

    async def _call_counting_library(self, ask: Callable[[Library], Result]) -> Result:
        def asked() -> Result:
            if self._counting_library is None:
                self._counting_library = Library.open(self.folder)
            return ask(self._counting_library)

        return await asyncio.get_running_loop().run_in_executor(self._counting_thread, asked)

    def _cached_thumbnail(self, located: LocatedImage, size: int) -> bytes:
        """Return a thumbnail from the cache on disk, or make it there."""
        folder = self.folder / "thumbnails" / located.key[:2]
        file = folder / f"{located.key}-{size}.webp"
        with suppress(OSError):
            return file.read_bytes()
        buffer = io.BytesIO()
        _make_thumbnail(located, size).save(buffer, "WEBP", quality=80)
        with suppress(OSError):  # a full or read-only disk costs the cache, not the picture
            folder.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}.tmp")
            temporary.write_bytes(buffer.getvalue())
            temporary.rename(file)
        return buffer.getvalue()


def _decode_input(prompt: str, data: bytes | None) -> EngineInput:
    if data is None:
        return EngineInput(prompt)
    return EngineInput(
        prompt, decode.decode_picture(data, lambda width, height: (width, height))[0]
    )


def _read_first_available(located: LocatedImage, read: Callable[[str], Result]) -> Result:
    """Return what is read of the first of an image's files that can be read."""
    problem = PictureError("none of its files is there", stage="read")
    for path in located.paths:
        try:
            return read(path)
        except PictureError as error:
            problem = error
    raise problem


def _make_thumbnail(located: LocatedImage, side: int) -> Picture:
    return _read_first_available(
        located, lambda path: thumbnails.make_thumbnail(path, side, located.seconds)
    )


def _encode_for_browser(located: LocatedImage) -> tuple[bytes, str]:
    if located.seconds is None and located.info.format in BROWSER_FORMATS:
        data = _read_first_available(located, lambda path: storage.read_file(path)[0])
        return data, f"image/{located.info.format.lower()}"
    buffer = io.BytesIO()
    _make_thumbnail(located, MAX_CONVERTED_SIDE_PX).save(buffer, "JPEG", quality=90)
    return buffer.getvalue(), "image/jpeg"


def _locate_video(located: LocatedImage) -> tuple[str, FileState]:
    """Return where a video is; PictureError where it is none, or away."""
    if located.seconds is None:
        raise PictureError("that is no video", stage="read")

    return _read_first_available(located, lambda path: (path, storage.read_state(path)))
