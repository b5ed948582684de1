"""Read what `searchapp browse` shows, on threads that do not block the screen."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from searchapp.engines.unclosed import UnclosedEngine
from searchapp.errors import PictureError
from searchapp.files.display_path import display_path
from searchapp.library import Library
from searchapp.search.hit_list import make_hit
from searchapp.server.answer_query import answer_query
from searchapp.server.shown_files import THUMBNAIL_SIDES_PX, load_thumbnail
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import Example, Hit, Query, SearchOptions, SearchResult

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from searchapp.catalog import LocatedImage
    from searchapp.engines import Engine
    from searchapp.models import ModelSpec

Result = TypeVar("Result")
NO_MATCH = "no picture matches the filters"
PICTURE_THREADS = 4  # Decoding is in C, so that the threads run at the same time.


class OutdatedSearchError(Exception):
    """A newer search waits, so that this search was not run."""


@dataclass(frozen=True, slots=True)
class BrowsedImage:
    """Image with its files, and as a hit: of a search, or without a score."""

    located: LocatedImage
    hit: Hit | None  # None: no file of the image exists, or its drive is not connected.

    @property
    def path(self) -> str:
        """Return the path to show."""
        return self.located.paths[0] if self.hit is None else self.hit.path


class PictureSource:
    """The pictures of a library: newest first, by a question, and as thumbnails.

    The coroutines share one event loop. A search can take minutes, because it may start a model. So
    searches run one after another on daemon threads, which do not keep the process from its exit.
    """

    def __init__(
        self,
        config: ResidentConfig,
        start: Callable[[ModelSpec], Engine],
        *,
        use_resident: bool,
        collection: str | None = None,
    ) -> None:
        """Open the library. Raises LibraryError if that fails."""
        self._config, self._use_resident = config, use_resident
        self._folder, self._collection = config.library_folder, collection
        self._start = start
        self._engines: dict[tuple[str, str], Engine] = {}
        self._search_lock, self._last_search = threading.Lock(), 0
        self._library_thread = ThreadPoolExecutor(1, thread_name_prefix="library")
        self._picture_threads = ThreadPoolExecutor(
            min(PICTURE_THREADS, os.cpu_count() or 1), "pictures"
        )
        # An SQLite connection can be used only on the thread that created it.
        self._library = self._library_thread.submit(Library.open, self._folder).result()

    def close(self) -> None:
        """Close the library; drop the searches and pictures that no thread has begun."""
        self._last_search += 1
        self._picture_threads.shutdown(wait=False, cancel_futures=True)
        self._library_thread.submit(self._library.close)
        self._library_thread.shutdown()

    async def list_newest(self, options: SearchOptions) -> tuple[Sequence[int], tuple[str, ...]]:
        """Return the ids of the images that match a filter, newest first, and warnings.

        An empty result has a warning.
        Raises QueryError if the filter is invalid, LibraryError if there is no such collection.
        """

        def read(library: Library) -> tuple[Sequence[int], tuple[str, ...]]:
            chosen = options.base_filter
            ids = library.reader.list_timeline(chosen, self._collection).image_ids
            if ids:
                return ids, ()
            if not chosen.has_conditions:
                return ids, ("the library holds no pictures yet; run `searchapp index FOLDER`",)
            return ids, library.reader.list_warnings(chosen) or (NO_MATCH,)

        return await self._read(read)

    async def search(
        self,
        text: str,
        examples: Sequence[Example],
        options: SearchOptions,
        notify: Callable[[str], None],
    ) -> SearchResult:
        """Search as `searchapp query` does: in the resident process, which keeps the model loaded.

        notify: called with a line of text before each slow step. Raises the errors of
        answer_query(), and OutdatedSearchError.
        """
        self._last_search += 1
        number, loop = self._last_search, asyncio.get_running_loop()

        def notify_from_thread(line: str) -> None:
            with suppress(RuntimeError):  # The event loop is closed: the user has left.
                loop.call_soon_threadsafe(notify, line)

        def run() -> SearchResult:
            with self._search_lock:
                if number != self._last_search:
                    raise OutdatedSearchError
                return answer_query(
                    Query(text) if text else [], options, self._config, self._start_once,
                    use_resident=self._use_resident, notify=notify_from_thread, examples=examples,
                )  # fmt: skip

        return await _run_on_daemon_thread(run)

    def _start_once(self, spec: ModelSpec) -> Engine:
        """Start an engine at its first use; later searches of this process use it again.

        Each search opens and closes the library, which would close the engine.
        """
        key = (spec.name, spec.revision)
        if key not in self._engines:
            self._engines[key] = UnclosedEngine(self._start(spec))
        return self._engines[key]

    async def read_images(
        self, image_ids: Sequence[int], hits: Mapping[int, Hit]
    ) -> dict[int, BrowsedImage]:
        """Return images by image id; leave out images that the library does not have any more.

        hits: the hits of a search by image id; another image gets a hit without a score.
        """

        def read(library: Library) -> dict[int, BrowsedImage]:
            located = library.reader.locate_images_by_id(image_ids)
            return {
                image_id: BrowsedImage(image, hits.get(image_id) or make_hit(image, 0.0))
                for image_id, image in located.items()
            }

        return await self._read(read)

    async def read_text(self, image_id: int) -> str:
        """Return the recognized text of an image; it is empty if none is known."""
        lines = await self._read(lambda library: library.reader.read_text(image_id))
        return "\n".join(display_path(line.text) for line in lines or ())

    async def render(
        self, located: LocatedImage, side: int, draw: Callable[[Picture], Result]
    ) -> Result:
        """Return draw(thumbnail of an image) from a thread for pictures.

        side: the longest side that the drawing needs, in pixels. The thumbnails are those of the
        web page. If the caller is cancelled before a thread is free, the picture is not read.
        Raises PictureError if no file of the image can be used.
        """

        def work() -> Result:
            from PIL import Image

            size = next((each for each in THUMBNAIL_SIDES_PX if each >= side), 0)
            data = load_thumbnail(self._folder, located, size or THUMBNAIL_SIDES_PX[-1])
            try:
                with Image.open(io.BytesIO(data)) as thumbnail:
                    return draw(thumbnail)
            except (OSError, ValueError) as error:
                raise PictureError(f"the thumbnail cannot be drawn: {error}", "decode") from error

        return await asyncio.get_running_loop().run_in_executor(self._picture_threads, work)

    async def run_blocking(self, work: Callable[[], Result]) -> Result:
        """Run a function that may block on a thread for pictures."""
        return await asyncio.get_running_loop().run_in_executor(self._picture_threads, work)

    async def _read(self, read: Callable[[Library], Result]) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._library_thread, read, self._library)


async def _run_on_daemon_thread(work: Callable[[], Result]) -> Result:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if future.done():  # The caller was cancelled.
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # The event loop is closed, as above.
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="search", daemon=True).start()
    return await future
