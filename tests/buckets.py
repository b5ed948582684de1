"""Buckets that tests make: in moto's S3, which is asked over HTTP as the real one is."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from searchapp import storage

NUMBERS = itertools.count(1)


class Bucket:
    """A bucket, through Amazon's own client."""

    def __init__(self, name: str) -> None:
        import boto3

        self.name, self._client = name, boto3.client("s3")
        self._client.create_bucket(Bucket=name)

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, content: bytes | Path) -> str:
        """Write an object; return its URL."""
        body = content if isinstance(content, bytes) else content.read_bytes()
        self._client.put_object(Bucket=self.name, Key=key, Body=body)
        return f"{self.url}/{key}"

    def put_folder(self, folder: Path) -> None:
        """Write what is in a folder."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(str(file.relative_to(folder)), file)

    def remove(self, *keys: str) -> None:
        for key in keys:
            self._client.delete_object(Bucket=self.name, Key=key)


@contextmanager
def s3(patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a server, and let everything in this process and its children find it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    patch.setenv("AWS_ACCESS_KEY_ID", "tester")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    storage.forget()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        storage.forget()


def new_bucket() -> Bucket:
    return Bucket(f"bucket-{next(NUMBERS)}")


class FakeKeys:
    """What answers list_objects_v2 from a list of keys, few at a time; any call may fail."""

    def __init__(self, keys: list[str], page: int = 3, fails_at: int | None = None) -> None:
        self._keys = sorted(keys, key=str.encode)
        self._page, self._fails_at = page, fails_at
        self.asked = 0

    def call_s3(self, method: str, **asked: Any) -> dict[str, Any]:
        from datetime import UTC, datetime

        assert method == "list_objects_v2"
        self.asked += 1
        if self._fails_at is not None and self.asked >= self._fails_at:
            raise TimeoutError("the line is dead")
        prefix, delimiter = asked["Prefix"], asked.get("Delimiter")
        after = asked.get("ContinuationToken") or asked.get("StartAfter") or ""
        entries: list[tuple[str, bool]] = []
        for key in self._keys:
            if not key.startswith(prefix) or key.encode() <= after.encode():
                continue
            rest = key[len(prefix) :]
            if delimiter and "/" in rest:
                common = prefix + rest.partition("/")[0] + "/"
                if not entries or entries[-1] != (common, True):
                    entries.append((common, True))
            else:
                entries.append((key, False))
        most = min(asked.get("MaxKeys", self._page), self._page)
        if delimiter:
            most = len(entries)
        page, more = entries[:most], len(entries) > most
        when = datetime(2026, 1, 1, tzinfo=UTC)
        return {
            "CommonPrefixes": [{"Prefix": name} for name, common in page if common],
            "Contents": [
                {"Key": name, "Size": 7, "LastModified": when, "ETag": '"a"'}
                for name, common in page
                if not common
            ],
            "IsTruncated": more,
            **({"NextContinuationToken": page[-1][0]} if more else {}),
        }
