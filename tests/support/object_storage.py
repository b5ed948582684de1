"""Serve buckets over HTTP with moto's S3, and folders with a web server."""

from __future__ import annotations

import functools
import http.server
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from searchapp.files import storage

BUCKET_NUMBERS = itertools.count(1)
MOTO_SERVER_CODE = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # It ends when the process that started it closes the pipe.
server.stop()
"""


class Bucket:
    """Accesses a bucket with boto3, Amazon's client."""

    def __init__(self, name: str) -> None:
        import boto3

        self.name, self._client = name, boto3.client("s3")
        self._client.create_bucket(Bucket=name)

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def put_object(self, key: str, content: bytes | Path) -> str:
        """Write an object; return its URL."""
        body = content if isinstance(content, bytes) else content.read_bytes()
        self._client.put_object(Bucket=self.name, Key=key, Body=body)
        return f"{self.url}/{key}"

    def put_folder(self, folder: Path) -> None:
        """Write the files of a folder as objects."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put_object(str(file.relative_to(folder)), file)

    def remove_objects(self, *keys: str) -> None:
        for key in keys:
            self._client.delete_object(Bucket=self.name, Key=key)


@contextmanager
def run_s3_server(patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run moto's server, with environment variables that lead clients to it; yield its URL."""
    # It runs in a separate process: vLLM inspects all objects of its process, which breaks Flask's.
    server = subprocess.Popen(
        [sys.executable, "-c", MOTO_SERVER_CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None and server.stdout is not None
    port = int(server.stdout.readline())
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    patch.setenv("AWS_ACCESS_KEY_ID", "tester")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    storage.clear_store_cache()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stdin.close()
        server.wait()
        storage.clear_store_cache()


def new_bucket() -> Bucket:
    return Bucket(f"bucket-{next(BUCKET_NUMBERS)}")


class ListingHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and lists folders over HTTP."""

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP; yield its URL."""
    handler = functools.partial(ListingHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class FakeObjectListing:
    """Lists keys in small pages, as S3 and Google Cloud Storage do; a request can fail."""

    def __init__(self, keys: list[str], page: int = 3, failing_request: int | None = None) -> None:
        self._keys = sorted(keys, key=str.encode)
        self._page, self._failing_request = page, failing_request
        self.request_count = 0

    def call_s3(self, method: str, **asked: Any) -> dict[str, Any]:
        assert method == "list_objects_v2"
        after, token = asked.get("StartAfter"), asked.get("ContinuationToken")
        start = token if token is not None else f"{after}\0" if after is not None else ""
        page, prefixes, token = self._list_page(
            asked["Prefix"], start, asked.get("Delimiter"), asked["MaxKeys"]
        )
        when = datetime(2026, 1, 1, tzinfo=UTC)
        contents = [{"Key": k, "Size": 7, "LastModified": when, "ETag": '"a"'} for k in page]
        return {
            "CommonPrefixes": [{"Prefix": name} for name in prefixes],
            "Contents": contents,
            "IsTruncated": token is not None,
            "NextContinuationToken": token,
        }

    def call(self, method: str, path: str, bucket: str, **asked: Any) -> dict[str, Any]:
        assert (method, path, asked["json_out"]) == ("GET", "b/{}/o", True)
        page, prefixes, token = self._list_page(
            asked["prefix"],
            asked.get("pageToken") or asked.get("startOffset") or "",
            asked.get("delimiter"),
            asked["maxResults"],
        )
        when = "2026-01-01T00:00:00.123Z"
        items = [{"name": k, "size": "7", "updated": when, "etag": "a="} for k in page]
        answer = {"items": items, "prefixes": prefixes, "nextPageToken": token}
        # Google omits empty lists.
        return {name: value for name, value in answer.items() if value}

    def _list_page(
        self, prefix: str, start: str, delimiter: str | None, max_keys: int
    ) -> tuple[list[str], list[str], str | None]:
        """Return the keys of a page, its common prefixes, and the start of the next page."""
        self.request_count += 1
        if self._failing_request is not None and self.request_count >= self._failing_request:
            raise TimeoutError("the line is dead")
        keys = [k for k in self._keys if k.startswith(prefix) and k.encode() >= start.encode()]
        entries = dict[str, str]()  # Keys and folders by their first key.
        for key in keys:
            below, slash, _ = key[len(prefix) :].partition(delimiter or "\0")
            name = prefix + below + slash
            if name not in entries.values():
                entries[key] = name
        firsts, max_keys = [*entries], min(max_keys, self._page)
        page = [entries[first] for first in firsts[:max_keys]]
        folders = [name for name in page if delimiter and name[len(prefix) :].endswith(delimiter)]
        rest = firsts[max_keys] if len(firsts) > max_keys else None
        return [name for name in page if name not in folders], folders, rest
