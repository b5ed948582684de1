"""Create, fill, compare and search Milvus collections."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from searchapp.errors import VectorStoreError
from searchapp.vectors.address import MilvusAddress
from searchapp.vectors.milvus_store.connection import (
    MilvusUnreachableError,
    call_milvus,
    connect,
    disconnect,
)
from searchapp.vectors.packing import Ids, Vectors

MAX_RESULT_ROWS = (
    16_384  # the row limit of a Milvus response: https://milvus.io/docs/limitations.md
)
MAX_TRIES = 3
RETRY_DELAY_S = 1.0
WRITE_TIMEOUT_FACTOR = 4  # times the timeout of a search: a write can wait for earlier writes
MAX_TEXT_BYTES = 300  # of a text field
UNLOADED_PHRASES = ("not loaded", "'released'")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class MilvusConnection:
    """A connection to Milvus. Thread-safe. Call close() after use."""

    def __init__(self, address: MilvusAddress) -> None:
        """Connect to a Milvus server or file.

        Raises MilvusUnreachableError if Milvus does not answer; VectorStoreError for other
        errors.
        """
        self.address = address
        self._client = connect(address)
        self._loaded = set[str]()

    def close(self) -> None:
        """Close the connection, so that other processes can open a Milvus Lite file."""
        disconnect(self.address)

    # Collections

    def has_collection(self, name: str) -> bool:
        """Return whether a Milvus collection exists."""
        return bool(self._call(lambda: self._client.has_collection(name, timeout=self._timeout_s)))

    def create_collection(
        self, name: str, dimensions: int, fields: dict[str, bool], title: str
    ) -> None:
        """Create a Milvus collection with an index.

        fields: maps each field name to True for a text, or to False for an integer.
        """
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(
            auto_id=False, enable_dynamic_field=False, description=title
        )
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
        for field, is_text in fields.items():
            kind = {"datatype": DataType.VARCHAR, "max_length": MAX_TEXT_BYTES}
            schema.add_field(field, **(kind if is_text else {"datatype": DataType.INT64}))
        index = MilvusClient.prepare_index_params()
        index.add_index(
            "vector", index_type=self.address.index_kind, metric_type="COSINE",
            params=self.address.index_parameters,
        )  # fmt: skip
        shards = {"shards_num": self.address.shard_count} if self.address.shard_count else {}
        self._call(
            lambda: self._client.create_collection(
                name,
                schema=schema,
                index_params=index,
                timeout=self._timeout_s,
                consistency_level=self.address.consistency_level,
                **shards,
            )
        )

    def drop_collection(self, name: str) -> None:
        """Drop a Milvus collection if it exists."""
        self._call(lambda: self._client.drop_collection(name, timeout=self._timeout_s))

    def flush_collection(self, name: str) -> None:
        """Flush a Milvus Lite collection: searches are slow before a flush.

        A Milvus server is not flushed: it flushes by itself, and limits the rate of flush requests.
        """
        if self.address.is_lite:
            self._call(lambda: self._client.flush(name))

    # Rows

    def count_rows(self, name: str, first: int = 0, last: int | None = None) -> int:
        """Return the number of rows in a collection with first < id <= last (None: no limit)."""
        return self.count_matching_rows(
            name, f"id > {first} and id <= {last}" if last is not None else ""
        )

    def count_matching_rows(self, name: str, expression: str) -> int:
        """Return the number of rows in a collection that match a filter expression."""
        (row,) = self._query_rows(name, expression, ["count(*)"])
        return int(row["count(*)"])

    def list_ids(self, name: str, first: int, last: int) -> Ids:
        """Return the sorted row ids with first < id <= last. Limit: MAX_RESULT_ROWS."""
        rows = self._query_rows(name, f"id > {first} and id <= {last}", ["id"])
        found = np.fromiter((row["id"] for row in rows), np.int64)
        found.sort()
        return found

    def write_rows(self, name: str, rows: list[dict[str, Any]], *, replace: bool = False) -> None:
        """Insert rows into a collection (upsert if replace); retry if Milvus does not answer."""
        for tries_left in reversed(range(MAX_TRIES)):
            try:
                send = self._client.upsert if replace else self._client.insert
                timeout_s = WRITE_TIMEOUT_FACTOR * self._timeout_s
                self._call(partial(send, name, rows, timeout=timeout_s))
                return
            except MilvusUnreachableError as error:
                if not tries_left:
                    raise
                logger.info(
                    "Sending %d rows to Milvus again, because a request failed: %s",
                    len(rows),
                    error,
                )
                replace = True  # Milvus may have stored the rows without an answer.
                time.sleep(RETRY_DELAY_S)

    def delete_rows(self, name: str, ids: Sequence[int]) -> None:
        """Delete rows of a collection by id; unknown ids are ignored."""
        self._call(lambda: self._client.delete(name, ids=list(ids), timeout=self._timeout_s))

    def delete_rows_after(self, name: str, last: int) -> None:
        """Delete the rows of a collection with id > last."""
        self._call(
            lambda: self._client.delete(name, filter=f"id > {last}", timeout=self._timeout_s)
        )

    def search_nearest(
        self, name: str, query: Vectors, count: int, expression: str
    ) -> tuple[Ids, Vectors]:
        """Return the ids and cosines of the count rows nearest to a query, [dimensions]."""
        (hits,) = self._call_loaded(
            name,
            lambda: self._client.search(
                name, data=[query.tolist()], limit=count, filter=expression,
                search_params={
                    "metric_type": "COSINE", "params": self.address.build_search_parameters(count)
                },
                consistency_level=self.address.consistency_level, timeout=self._timeout_s,
            ),
        )  # fmt: skip
        ids = np.array([hit["id"] for hit in hits], np.int64)
        return ids, np.array([hit["distance"] for hit in hits], np.float32)

    def _query_rows(self, name: str, expression: str, fields: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._call_loaded(
            name,
            lambda: self._client.query(
                name, filter=expression, output_fields=fields, timeout=self._timeout_s,
                consistency_level="Strong",
            ),
        )  # fmt: skip
        return rows

    def _call_loaded(self, name: str, request: Callable[[], Result]) -> Result:
        """Run a request; if the server has released the collection, load it and retry."""
        try:
            self._load_collection(name)
            return self._call(request)
        except VectorStoreError as error:
            if not any(word in str(error) for word in UNLOADED_PHRASES):
                raise
            logger.info("Milvus has released the collection %s; loading it again", name)
            self._loaded.discard(name)
            self._load_collection(name)
            return self._call(request)

    def _load_collection(self, name: str) -> None:
        if name in self._loaded:
            return
        count = self.address.replica_count
        options = {"replica_number": count} if count > 1 else {}
        self._call(
            lambda: self._client.load_collection(name, timeout=10 * self._timeout_s, **options)
        )
        self._loaded.add(name)

    @property
    def _timeout_s(self) -> float:
        return self.address.timeout_s

    def _call(self, request: Callable[[], Result]) -> Result:
        return call_milvus(self.address, request)
