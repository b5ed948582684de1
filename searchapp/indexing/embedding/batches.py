"""Cut the files of an index run into batches for engines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from searchapp.catalog import FileTask
from searchapp.files.scan import is_video
from searchapp.models import ModelSpec, has_gpu
from searchapp.pictures import video

# Files in a worker's first batch, which may wait for the engine's start, and in the last batches.
MIN_BATCH_FILES = 16
# Pictures in a batch. vLLM computes a batch in several steps; while one runs, it prepares the next.
# With 128 pictures, four engines of Qwen3-VL-2B embedded 230 per second on an H200, 210 with 32.
# After each batch, its vectors are saved; so a model with many tokens gets fewer pictures.
MIN_BATCH, MAX_BATCH, BATCH_TOKENS = 16, 128, 65536
ASSUMED_IMAGE_TOKENS = 2048  # of a picture, if the model does not say how many it has


def choose_batch_size(spec: ModelSpec) -> int:
    """Return the number of pictures in a batch that keeps the GPU or the CPU busy."""
    if not has_gpu():
        return MIN_BATCH
    if spec.pooling is None:
        return MAX_BATCH
    tokens = spec.image_tokens or ASSUMED_IMAGE_TOKENS
    return max(MIN_BATCH, min(MAX_BATCH, BATCH_TOKENS // tokens))


def count_max_pictures(task: FileTask) -> int:
    """Return the maximum number of pictures in a file: the frames of a video, else 1."""
    return video.MAX_FRAMES if is_video(task.path) else 1


def take_batch(tasks: Iterator[FileTask], size: int) -> list[FileTask]:
    """Take files from an iterator until they contain `size` pictures, or until no file remains.

    If the last file is a video, the batch can contain more pictures.
    """
    batch, total = list[FileTask](), 0
    while total < size and (task := next(tasks, None)) is not None:
        batch.append(task)
        total += count_max_pictures(task)
    return batch


class WorkQueue:
    """Queue of the files that no worker has yet; the workers share the last files evenly.

    The queue reads a bounded number of files ahead, so that its memory does not grow with the
    number of files.
    """

    def __init__(self, tasks: Iterable[FileTask], size: int, worker_count: int) -> None:
        """Create a queue of files. size: pictures in a full batch; the last batches are smaller."""
        self._remaining_tasks, self._size, self._worker_count = iter(tasks), size, worker_count
        self._lookahead: deque[FileTask] = deque()

    def __bool__(self) -> bool:
        """Return whether the queue has any file."""
        self._fill_lookahead()
        return bool(self._lookahead)

    def take_batch(self, max_pictures: int) -> list[FileTask]:
        """Remove and return the next batch of files; it is empty if the queue is empty.

        max_pictures: limit for the batch, which only a video at its end can exceed.
        """
        self._fill_lookahead()
        share = max(MIN_BATCH_FILES, len(self._lookahead) // (2 * self._worker_count))
        return take_batch(iter(self._pop_task, None), min(self._size, share, max_pictures))

    def put_back_batch(self, batch: list[FileTask]) -> None:
        """Put a batch back at the front of the queue."""
        self._lookahead.extendleft(reversed(batch))

    def _pop_task(self) -> FileTask | None:
        return self._lookahead.popleft() if self._lookahead else None

    def _fill_lookahead(self) -> None:
        missing_count = 2 * self._worker_count * self._size - len(self._lookahead)
        self._lookahead.extend(islice(self._remaining_tasks, max(0, missing_count)))
