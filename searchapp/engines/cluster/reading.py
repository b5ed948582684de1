"""What Ray Data reads: the files of a run, on the driver's node, one part after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from searchapp.engines.cluster.files import Page, Spool, lines, parts


class Files(Datasource):  # type: ignore[misc]
    """The files that are left, in parts of a size; each is read when an engine is to have it."""

    def __init__(self, spool: Spool, size: int) -> None:
        """Find the parts."""
        super().__init__()
        self._tasks = [
            (partial(_read, page, begin, end), sum(page[2][begin:end]))
            for page in spool.pages()
            for begin, end in parts(page, size)
        ]

    @property
    def parts(self) -> int:
        """Return how many there are."""
        return len(self._tasks)

    @property
    def supports_distributed_reads(self) -> bool:
        """Say that only this node has them."""
        return False

    def estimate_inmemory_data_size(self) -> int | None:
        """Say that nobody knows."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """Return the parts; they are as many as they are, whatever is asked for."""
        return [_task(read, count) for read, count in self._tasks]


def _read(page: Page, begin: int, end: int) -> list[Any]:
    return [pyarrow.table({"line": lines(page, begin, end)})]


def _task(read: Callable[[], list[Any]], count: int) -> ReadTask:
    known = BlockMetadata(num_rows=count, size_bytes=None, input_files=None, exec_stats=None)
    return ReadTask(read, known)
