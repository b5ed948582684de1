"""Files that may have ended a worker: each is embedded alone, and is blamed if it does so again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from searchapp.catalog import FileTask
from searchapp.indexing.embedding.outcomes import Outcome
from searchapp.types import Failure

MAX_DEATHS_PER_FILE = 2  # A file is a failure after it has ended this many workers alone.


def blame_file(task: FileTask, details: str = "") -> Outcome:
    """Return the failure of a file that has ended too many processes of engines.

    details: how the last process ended, or nothing if this is unknown.
    """
    message = (
        f"the engine's process ended {MAX_DEATHS_PER_FILE} times while it processed this file"
        f"{details}"
    )
    return Outcome(task, Failure(task.path, "embed", message), task.state)


class SuspectFiles:
    """Queue of the files that wait for a worker without other files."""

    def __init__(self) -> None:
        """Create an empty queue."""
        self._waiting: deque[FileTask] = deque()
        self._deaths_by_path: Counter[str] = Counter()  # of workers that had only this file

    def __bool__(self) -> bool:
        """Return whether a file waits."""
        return bool(self._waiting)

    def add_files(self, tasks: Iterable[FileTask]) -> None:
        """Let files wait, at the end of the queue."""
        self._waiting.extend(tasks)

    def take_file(self) -> FileTask:
        """Return the first waiting file, and remove it from the queue."""
        return self._waiting.popleft()

    def record_death(self, task: FileTask, reason: str) -> Outcome | None:
        """Count the end of a worker that had only this file.

        Return a failure if the file has ended too many workers; else the file waits again.
        """
        self._deaths_by_path[task.path] += 1
        if self._deaths_by_path[task.path] < MAX_DEATHS_PER_FILE:
            self._waiting.append(task)
            return None
        return blame_file(task, f" ({reason})")
