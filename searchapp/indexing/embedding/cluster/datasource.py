"""Let Ray Data read a Spool page by page. A Spool lists the files of an index run."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import pyarrow
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from searchapp.indexing.embedding.cluster.spool import SpoolPage, read_lines


class SpoolDatasource(Datasource):  # type: ignore[misc]
    """A Ray Data source that reads each page of a Spool only when engines need the page."""

    def __init__(self, pages: Iterable[SpoolPage]) -> None:
        """Store the pages of a spool; read no page yet."""
        super().__init__()
        self._pages = list(pages)

    @property
    def supports_distributed_reads(self) -> bool:
        """Return False: only the driver's node has the spool."""
        return False

    def estimate_inmemory_data_size(self) -> int | None:
        """Return None: the size of the data in memory is unknown."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """Return one read task for each page; Ray splits the result into `parallelism` blocks."""
        return [_make_read_task(page) for page in self._pages]


def _read_page(page: SpoolPage) -> list[Any]:
    return [pyarrow.table({"line": read_lines(page)})]


def _make_read_task(page: SpoolPage) -> ReadTask:
    count = page[2].count(1)
    block_metadata = BlockMetadata(
        num_rows=count, size_bytes=None, input_files=None, exec_stats=None
    )
    return ReadTask(partial(_read_page, page), block_metadata)
