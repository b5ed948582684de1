"""The collections of a Milvus: their rows, and what is nearest among them."""

from __future__ import annotations

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

MAX_RESULT_ROWS = 16_384  # rows that Milvus returns at once
MAX_TRIES = 3
RETRY_DELAY_S = 1.0  # seconds, before what was not answered is sent once more
WRITE_TIMEOUT_FACTOR = (
    4  # times as long as a search may writing take: it may wait for what was written before
)
MAX_TEXT_BYTES = 300  # bytes of the longest text
UNLOADED_PHRASES = ("not loaded", "'released'")
Result = TypeVar("Result")


class MilvusConnection:
    """A connection. Several threads may use it. Close it."""

    def __init__(self, address: MilvusAddress) -> None:
        """Connect; raise Unanswered, or VectorsError where that can never be."""
        self.address = address
        self._client = connect(address)
        self._loaded = set[str]()

    def close(self) -> None:
        """Close the connection; a file of Milvus Lite is free for others then."""
        disconnect(self.address)

    # Collections

    def has_collection(self, name: str) -> bool:
        """Tell whether a collection is there."""
        return bool(self._call(lambda: self._client.has_collection(name, timeout=self._timeout_s)))

    def create_collection(
        self, name: str, dimensions: int, fields: dict[str, bool], title: str
    ) -> None:
        """Make a collection. fields: whether each is a text, or else a whole number."""
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
        """Drop a collection, if it is there."""
        self._call(lambda: self._client.drop_collection(name, timeout=self._timeout_s))

    def flush_collection(self, name: str) -> None:
        """Let Milvus Lite write what it has got, which it searches slowly until then.

        A server does so when it is time, and takes it ill to be told.
        """
        if self.address.is_lite:
            self._call(lambda: self._client.flush(name))

    # Rows

    def count_rows(self, name: str, first: int = 0, last: int | None = None) -> int:
        """Count the rows, or those with first < id <= last."""
        return self.count_matching_rows(
            name, f"id > {first} and id <= {last}" if last is not None else ""
        )

    def count_matching_rows(self, name: str, expression: str) -> int:
        """Count the rows that fulfil an expression."""
        (row,) = self._query_rows(name, expression, ["count(*)"])
        return int(row["count(*)"])

    def list_ids(self, name: str, first: int, last: int) -> Ids:
        """Return the ids with first < id <= last, of which there are MOST at most, sorted."""
        rows = self._query_rows(name, f"id > {first} and id <= {last}", ["id"])
        found = np.fromiter((row["id"] for row in rows), np.int64)
        found.sort()
        return found

    def write_rows(self, name: str, rows: list[dict[str, Any]], *, replace: bool = False) -> None:
        """Add rows, or replace them where they may be there; tried again for some time."""
        for tries_left in reversed(range(MAX_TRIES)):
            try:
                send = self._client.upsert if replace else self._client.insert
                timeout_s = WRITE_TIMEOUT_FACTOR * self._timeout_s
                self._call(partial(send, name, rows, timeout=timeout_s))
                return
            except MilvusUnreachableError:
                if not tries_left:
                    raise
                replace = True  # what was not answered may have come all the same
                time.sleep(RETRY_DELAY_S)

    def delete_rows(self, name: str, ids: Sequence[int]) -> None:
        """Remove rows; ids that are not there do no harm."""
        self._call(lambda: self._client.delete(name, ids=list(ids), timeout=self._timeout_s))

    def delete_rows_after(self, name: str, last: int) -> None:
        """Remove rows whose id is higher than one."""
        self._call(
            lambda: self._client.delete(name, filter=f"id > {last}", timeout=self._timeout_s)
        )

    def search_nearest(
        self, name: str, query: Vectors, count: int, expression: str
    ) -> tuple[Ids, Vectors]:
        """Return the ids and cosines of the nearest to a query, [dimensions]."""
        (hits,) = self._call_loaded(
            name,
            lambda: self._client.search(
                name, data=[query.tolist()], limit=count, filter=expression,
                search_params={"metric_type": "COSINE", "params": self.address.build_search_parameters(count)},
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
        """Ask a collection in Milvus's memory; a server may have forgotten that it was loaded."""
        try:
            self._load_collection(name)
            return self._call(request)
        except VectorStoreError as error:
            if not any(word in str(error) for word in UNLOADED_PHRASES):
                raise
            self._loaded.discard(name)
            self._load_collection(name)
            return self._call(request)

    def _load_collection(self, name: str) -> None:
        copies = (
            {"replica_number": self.address.replica_count} if self.address.replica_count > 1 else {}
        )
        if name not in self._loaded:
            self._call(
                lambda: self._client.load_collection(name, timeout=10 * self._timeout_s, **copies)
            )
            self._loaded.add(name)

    @property
    def _timeout_s(self) -> float:
        return self.address.timeout_s

    def _call(self, request: Callable[[], Result]) -> Result:
        return call_milvus(self.address, request)
