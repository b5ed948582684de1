"""Read one file for the engine: hash it, look it up, decode it, and prepare it for the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BufferedReader
from typing import TYPE_CHECKING, Protocol

from searchapp.catalog import FileTask
from searchapp.engines.base import Engine
from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.hash_file import hash_file
from searchapp.indexing.embedding.outcomes import KnownPicture
from searchapp.indexing.embedding.prefetch import Content
from searchapp.indexing.embedding.stage_timer import StageTimer
from searchapp.models import EngineInput, ModelSpec, make_document_prompt
from searchapp.pictures import decode, metadata, video
from searchapp.pictures.decoder_threads import ReaderTask
from searchapp.pictures.jpeg_decoder import JpegDecoder
from searchapp.types import Failure, PictureInfo

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

VIDEO_TIMEOUT_FACTOR = 4  # A video may take this many times as long to decode as a picture.


class ContentLookup(Protocol):
    """Finds images that the collection has embedded, by the SHA-256 of their files.

    It reads the catalog, or asks another process that reads the catalog.
    """

    def find_embedded_image(self, sha256: str) -> int | None:
        """Return the id of the embedded image with this content, or None."""

    def close(self) -> None:
        """Close the catalog if this lookup has opened it."""


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A decoded picture, or the decoded frames of a video, ready for the engine."""

    sha256: str
    info: PictureInfo
    engine_inputs: tuple[EngineInput, ...]
    frame_times_s: tuple[float | None, ...] = (None,)  # one for each engine input


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The result of reading one file; state: of the file as it was read."""

    task: FileTask
    result: DecodedPicture | KnownPicture | Failure
    state: storage.FileState


class FileReader:
    """Reads and decodes files; several threads use it at once."""

    def __init__(
        self,
        spec: ModelSpec,
        lookup: ContentLookup | None,
        timer: StageTimer,
        get_engine: Callable[[], Engine | None],
        max_megapixels: float,
    ) -> None:
        """Store the parts that reading needs.

        lookup: finds images that need no embedding; None: embed every file. get_engine: returns
        the running engine. While it returns None, pictures are decoded but not prepared.
        """
        self._spec, self._lookup, self._timer = spec, lookup, timer
        self._get_engine, self._max_megapixels = get_engine, max_megapixels
        self.jpegs: JpegDecoder | None = None  # decodes JPEGs in place of Pillow, if it is set
        self._prompt = make_document_prompt(spec)

    def read(
        self,
        task: FileTask,
        get_content: Callable[[], Content] | None,
        is_cpu_only: bool,
        reading: ReaderTask[ReadResult],
    ) -> ReadResult:
        """Read, hash and decode a file; a file that cannot be read or decoded is a Failure.

        get_content: returns the file's bytes; None for a video, which is read in parts.
        is_cpu_only: do not use the decoder `jpegs`, because it may have ended a process.
        reading: the thread's task, which limits the time of decoding.
        """
        state = task.state
        result: DecodedPicture | KnownPicture | Failure
        try:
            if get_content is None:
                with storage.open_file(task.path) as (file, state):
                    with self._timer.measure("read"):
                        sha256 = hash_file(file, state)
                    result = self._find_known(sha256) or self._decode_video(
                        sha256, file, state.mtime_ns, reading
                    )
            else:
                with self._timer.measure("read"):
                    data, state = get_content()
                    sha256 = decode.hash_bytes(data)
                result = self._find_known(sha256) or self._decode_picture(
                    sha256, data, state.mtime_ns, None if is_cpu_only else self.jpegs, reading
                )
        except PictureError as error:
            remedy = f"; {error.index_remedy}" if error.index_remedy else ""
            result = Failure(task.path, error.stage, f"{error}{remedy}")
        return ReadResult(task, result, state)

    def _find_known(self, sha256: str) -> KnownPicture | None:
        image_id = self._lookup.find_embedded_image(sha256) if self._lookup else None
        return None if image_id is None else KnownPicture(image_id)

    def _decode_picture(
        self,
        sha256: str,
        data: bytes,
        mtime_ns: int,
        jpegs: JpegDecoder | None,
        reading: ReaderTask[ReadResult],
    ) -> DecodedPicture:
        with self._timer.measure("decode"), reading.limit_time():
            prepared = decode.prepare_picture(data, self._spec.image, self._max_megapixels, jpegs)
        info = metadata.fill_date_from_mtime(prepared.info, mtime_ns)
        return DecodedPicture(sha256, info, (self._make_engine_input(prepared.image),))

    def _decode_video(
        self, sha256: str, file: BufferedReader, mtime_ns: int, reading: ReaderTask[ReadResult]
    ) -> DecodedPicture:
        with self._timer.measure("decode"), reading.limit_time(VIDEO_TIMEOUT_FACTOR):
            info, frames = video.sample_frames(file, self._spec.image, self._max_megapixels)
        inputs = tuple(self._make_engine_input(frame.image) for frame in frames)
        info = metadata.fill_date_from_mtime(
            replace(info, reader=metadata.METADATA_READER_VERSION, colors_since=0), mtime_ns
        )
        return DecodedPicture(sha256, info, inputs, tuple(frame.seconds for frame in frames))

    def _make_engine_input(self, image: Picture) -> EngineInput:
        engine_input = EngineInput(self._prompt, image)
        if (engine := self._get_engine()) is not None:
            with self._timer.measure("prepare"):
                engine_input = engine.prepare(engine_input)
        return engine_input
