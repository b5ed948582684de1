"""Cut the files of an index run into batches for engines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from searchapp.catalog import FileTask
from searchapp.files.scan import is_video
from searchapp.pictures import video

# The size of a worker's first batch, which may wait for its engine, and of the last batches.
MIN_BATCH_FILES = 16


def count_max_pictures(task: FileTask) -> int:
    """Return the maximum number of pictures in a file: the frames of a video, else 1."""
    return video.MAX_FRAMES if is_video(task.path) else 1


def take_batch(tasks: Iterator[FileTask], size: int) -> list[FileTask]:
    """Take the next files for a batch of at least `size` pictures; a final video may exceed it."""
    batch, total = list[FileTask](), 0
    while total < size and (task := next(tasks, None)) is not None:
        batch.append(task)
        total += count_max_pictures(task)
    return batch


class WorkQueue:
    """The files that no worker has yet; the last ones are shared evenly among the workers.

    It reads a bounded number of files ahead, so that its memory does not grow with their number.
    """

    def __init__(self, tasks: Iterable[FileTask], size: int, workers: int) -> None:
        """Queue files. size: of a full batch, in pictures; batches shrink when few files remain."""
        self._remaining_tasks, self._size, self._workers = iter(tasks), size, workers
        self._lookahead: deque[FileTask] = deque()

    def __bool__(self) -> bool:
        """Return whether any file remains."""
        self._fill_lookahead()
        return bool(self._lookahead)

    def take_batch(self, max_pictures: int) -> list[FileTask]:
        """Remove and return a batch of about `max_pictures` at most; empty if no file remains."""
        self._fill_lookahead()
        share = max(MIN_BATCH_FILES, len(self._lookahead) // (2 * self._workers))
        return take_batch(iter(self._pop_task, None), min(self._size, share, max_pictures))

    def put_back_batch(self, batch: list[FileTask]) -> None:
        """Put a batch back at the front of the queue."""
        self._lookahead.extendleft(reversed(batch))

    def _pop_task(self) -> FileTask | None:
        return self._lookahead.popleft() if self._lookahead else None

    def _fill_lookahead(self) -> None:
        missing_count = 2 * self._workers * self._size - len(self._lookahead)
        self._lookahead.extend(islice(self._remaining_tasks, max(0, missing_count)))
