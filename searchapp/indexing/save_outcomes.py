"""Save the outcome of each file in the catalog, batch by batch, and count the outcomes."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field

from searchapp.catalog import Catalog, FileTask, make_frame_key
from searchapp.engines import Refusal
from searchapp.indexing.embedding.outcomes import EmbeddedPicture, KnownPicture, Outcome
from searchapp.types import Collection, Failure, PictureInfo

logger = logging.getLogger(__name__)


@dataclass
class OutcomeWriter:
    """Writes batches of file outcomes to the catalog; its counts are totals of all batches."""

    catalog: Catalog
    added_count: int = 0  # files that have an image now
    unchanged_count: int = 0  # files that were read, but only their change time is new
    failed_count: int = 0
    embedded_count: int = 0  # vectors, including those of video frames
    # The number of new paths of each image that the collection has already, by image id.
    path_count_by_known_image: Counter[int] = field(default_factory=Counter)
    writing_s: float = 0.0

    def save_batch(
        self, batch: list[Outcome], collection: Collection, run_id: int
    ) -> list[Failure]:
        """Write the outcomes of a batch in one transaction; return the failures among them."""
        if not batch:
            return []
        started_at = time.monotonic()
        vectors, infos, frames = _collect_images(batch)
        files: list[tuple[FileTask, int]] = []
        failures: list[tuple[FileTask, Failure]] = []
        writer, unchanged_count = self.catalog.writer, 0
        with self.catalog.write_transaction():
            ids = writer.save_images(infos)
            writer.save_frames(
                (ids[frame_key], ids[video_sha256], seconds)
                for frame_key, video_sha256, seconds in frames
            )
            for outcome in batch:
                read = outcome.state
                state = FileTask(outcome.task.path, read.size, read.mtime_ns, None, read.ctime_ns)
                match outcome.result:
                    case Failure() as failure:
                        failures.append((state, failure))
                    case KnownPicture(image_id):
                        if writer.has_file(state, image_id):
                            unchanged_count += 1
                        else:
                            self.path_count_by_known_image[image_id] += 1
                        files.append((state, image_id))
                        logger.debug(
                            "Did not embed the file %s: its content is embedded already", state.path
                        )
                    case EmbeddedPicture(sha256=sha256, vector=vector):
                        files.append((state, ids[sha256]))
                        if isinstance(vector, Refusal):
                            failure = Failure(state.path, "embed", vector.reason)
                            failures.append((state, failure))
            writer.save_files(run_id, files)
            writer.save_embeddings(
                collection, {ids[sha256]: vector for sha256, vector in vectors.items()}
            )
            failed_paths = {state.path for state, _ in failures}
            writer.delete_failures(
                collection, [state.path for state, _ in files if state.path not in failed_paths]
            )
            for state, failure in failures:
                writer.save_failure(collection, run_id, state, failure)
        for _, failure in failures:
            logger.info(
                "Skipped the file %s in the stage %s: %s",
                failure.path,
                failure.stage,
                failure.message,
            )
        self.embedded_count += len(vectors)
        self.failed_count += len(failures)
        self.unchanged_count += unchanged_count
        self.added_count += len(batch) - len(failures) - unchanged_count
        self.writing_s += time.monotonic() - started_at
        return [failure for _, failure in failures]


def _collect_images(
    batch: list[Outcome],
) -> tuple[dict[str, bytes], dict[str, PictureInfo], list[tuple[str, str, float]]]:
    """Return a batch's vectors and its metadata, both by image key, and its video frames.

    An image key is the SHA-256 of a file or the key of a frame. Each frame is a tuple: its image
    key, the SHA-256 of its video, and its time in seconds from the start.
    """
    embedded = {o.result.sha256: o.result for o in batch if isinstance(o.result, EmbeddedPicture)}
    vectors: dict[str, bytes] = {}
    infos: dict[str, PictureInfo] = {}
    frames: list[tuple[str, str, float]] = []
    for sha256, result in embedded.items():
        infos[sha256] = result.info
        if not isinstance(result.vector, Refusal):
            vectors[sha256] = result.vector
        if result.seconds is not None:
            frames.append((sha256, sha256, result.seconds))
        for frame in result.frames:
            frame_key = make_frame_key(sha256, frame.seconds)
            infos[frame_key], vectors[frame_key] = result.info, frame.vector
            frames.append((frame_key, sha256, frame.seconds))
    return vectors, infos, frames
