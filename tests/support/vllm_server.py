"""A vLLM server on loopback that fails on demand."""

from __future__ import annotations

import base64
import io
import json
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

from searchapp.engines import EngineInput, Refusal
from searchapp.models import ModelSpec
from support.fakes import FakeEngine

BROKEN = "no vector comes of it"


Trouble = Callable[["Handler"], None]


class Server(ThreadingHTTPServer):
    """Plays `vllm serve` with FakeEngine's vectors; `troubles` come first, one a request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.fake = FakeEngine(spec)
        self.models = [{"id": Path(spec.source).name, "root": spec.source, "parent": None}]
        self.troubles: deque[Trouble] = deque()
        self.always: Trouble | None = None
        self.change: Callable[[dict[str, Any]], Any] = lambda answer: answer
        self.key: str | None = None
        self.delay = 0.0
        self.padded = 32
        self.seen: list[dict[str, Any]] = []
        self.moments: list[float] = []
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms
    server: Server

    def log_message(self, *_: Any) -> None:
        """Be quiet."""

    def answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _serve(self, body: dict[str, Any]) -> None:
        server = self.server
        if server.always is not None:
            return server.always(self)
        if server.key and self.headers["Authorization"] != f"Bearer {server.key}":
            return self.answer(401, {"error": "Unauthorized"})
        if self.path == "/v1/models":
            return self.answer(200, {"object": "list", "data": server.models})
        if self.path == "/tokenize":
            return self.answer(200, {"count": len(body["prompt"].split()) + 2})
        assert self.path == "/v1/embeddings"
        with server.lock:
            server.seen.append(body)
            server.moments.append(time.monotonic())
            trouble = server.troubles.popleft() if server.troubles else None
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
        try:
            time.sleep(random.uniform(0, server.delay))
            self._embed(body) if trouble is None else trouble(self)
        finally:
            with server.lock:
                server.in_flight -= 1

    def _embed(self, body: dict[str, Any]) -> None:
        inputs = inputs_of(body)
        if any(BROKEN in item.prompt for item in inputs):
            return self.answer(500, {"error": {"message": "an assertion", "code": 500}})
        try:
            vectors = self.server.fake._embed(inputs)
        except ValueError as error:  # one bad item fails the whole request
            return self.answer(400, {"error": {"message": str(error), "code": 400}})
        data = [
            {"index": number, "embedding": base64.b64encode(vector.tobytes()).decode()}
            for number, vector in enumerate(vectors)
            if not isinstance(vector, Refusal)
        ]
        data.reverse()  # in any order, as the protocol allows
        usage = {"prompt_tokens": self.server.padded * len(inputs)}
        return self.answer(200, self.server.change({"data": data, "usage": usage}))


def inputs_of(body: dict[str, Any]) -> list[EngineInput]:
    """Read what was asked, as vLLM 0.32 reads it."""
    if "input" in body:
        return [EngineInput(text) for text in body["input"]]
    conversations = body["messages"]
    if isinstance(conversations[0], dict):
        conversations = [conversations]
    inputs = []
    for (message,) in conversations:
        (url,) = [p["image_url"]["url"] for p in message["content"] if p["type"] == "image_url"]
        texts = [part["text"] for part in message["content"] if part["type"] == "text"]
        data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
        inputs.append(EngineInput("".join(texts), Image.open(io.BytesIO(data))))
    return inputs


def status(code: int, headers: dict[str, str] | None = None) -> Trouble:
    return lambda handler: handler.answer(code, {"error": {"message": "too busy"}}, headers)


def drop(handler: Handler) -> None:
    """Break the connection with no answer."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def hang(handler: Handler) -> None:
    """Answer nothing for as long as the client waits."""
    with suppress(OSError):
        handler.connection.recv(1)  # which ends when the client closes
    handler.close_connection = True
