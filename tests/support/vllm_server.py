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
from searchapp.engines.reranker import RerankQuestion
from searchapp.models import ModelSpec
from searchapp.models.qwen3_vl_reranker import make_rerank_prompt
from support.fake_engine import FakeEngine
from support.fake_reranker import FakeReranker

BROKEN_PROMPT = "no vector comes of it"


FaultHandler = Callable[["FakeVllmHandler"], None]


class FakeVllmServer(ThreadingHTTPServer):
    """Answers as `vllm serve`, with vectors of FakeEngine; faults replace the first answers."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(("127.0.0.1", 0), FakeVllmHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.fake_engine = FakeEngine(spec)
        self.fake_reranker = FakeReranker()
        self.models = [{"id": Path(spec.source).name, "root": spec.source, "parent": None}]
        self.faults: deque[FaultHandler] = deque()
        self.permanent_fault: FaultHandler | None = None
        self.change_answer: Callable[[dict[str, Any]], Any] = lambda answer: answer
        self.api_key: str | None = None
        self.max_delay_s = 0.0
        self.tokens_per_prompt = 32
        self.has_rerank_template = True
        self.request_bodies: list[dict[str, Any]] = []
        self.request_times: list[float] = []
        self.active_requests = self.max_active_requests = 0
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close the connection, which tests do on purpose."""


class FakeVllmHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # Otherwise each answer waits 40 ms.
    server: FakeVllmServer

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def send_answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._handle_request({})

    def do_POST(self) -> None:
        self._handle_request(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _handle_request(self, body: dict[str, Any]) -> None:
        server = self.server
        if server.permanent_fault is not None:
            return server.permanent_fault(self)
        if server.api_key and self.headers["Authorization"] != f"Bearer {server.api_key}":
            return self.send_answer(401, {"error": "Unauthorized"})
        if self.path == "/v1/models":
            return self.send_answer(200, {"object": "list", "data": server.models})
        if self.path == "/tokenize":
            return self.send_answer(200, {"count": len(body["prompt"].split()) + 2})
        if self.path == "/score":
            return self._answer_scores(body)
        assert self.path == "/v1/embeddings"
        with server.lock:
            server.request_bodies.append(body)
            server.request_times.append(time.monotonic())
            fault = server.faults.popleft() if server.faults else None
            server.active_requests += 1
            server.max_active_requests = max(server.max_active_requests, server.active_requests)
        try:
            time.sleep(random.uniform(0, server.max_delay_s))
            self._answer_embeddings(body) if fault is None else fault(self)
        finally:
            with server.lock:
                server.active_requests -= 1

    def _answer_embeddings(self, body: dict[str, Any]) -> None:
        inputs = parse_inputs(body)
        if any(BROKEN_PROMPT in item.prompt for item in inputs):
            return self.send_answer(500, {"error": {"message": "an assertion", "code": 500}})
        try:
            vectors = self.server.fake_engine._embed_batch(inputs)
        except ValueError as error:  # One bad input fails the complete request.
            return self.send_answer(400, {"error": {"message": str(error), "code": 400}})
        data = [
            {"index": number, "embedding": base64.b64encode(vector.tobytes()).decode()}
            for number, vector in enumerate(vectors)
            if not isinstance(vector, Refusal)
        ]
        data.reverse()  # The protocol allows any order.
        usage = {"prompt_tokens": self.server.tokens_per_prompt * len(inputs)}
        return self.send_answer(200, self.server.change_answer({"data": data, "usage": usage}))

    def _answer_scores(self, body: dict[str, Any]) -> None:
        """Score pictures with FakeReranker, and texts with 0.5."""
        self.server.request_bodies.append(body)
        question, documents = body["queries"], body["documents"]
        if isinstance(question, str):
            words = [question, *documents]
            if self.server.has_rerank_template:
                (document,) = documents
                words = [make_rerank_prompt(question, has_picture=False, document=document)]
            usage = {"prompt_tokens": len(" ".join(words).split()) + 2}
            return self.send_answer(200, {"data": [{"index": 0, "score": 0.5}], "usage": usage})
        text, image = _parse_content(question["content"])
        pictures = [_parse_content(document["content"])[1] for document in documents]
        scores = self.server.fake_reranker.score(RerankQuestion(text, image), pictures)
        if any(isinstance(score, Refusal) for score in scores):
            return self.send_answer(400, {"error": {"message": "a bad picture", "code": 400}})
        data = [{"index": number, "score": score} for number, score in enumerate(scores)]
        return self.send_answer(200, {"data": data[::-1], "usage": {"prompt_tokens": 1}})


def _parse_content(content: list[dict[str, Any]]) -> tuple[str | None, Any]:
    """Return the text and the picture of a message's parts; None: there is none."""
    text, image = None, None
    for part in content:
        if part["type"] == "text":
            text = part["text"]
        else:
            data = part["image_url"]["url"].removeprefix("data:image/png;base64,")
            image = Image.open(io.BytesIO(base64.b64decode(data)))
    return text, image


def parse_inputs(body: dict[str, Any]) -> list[EngineInput]:
    """Return the inputs of a request, read as vLLM 0.32 does."""
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


def make_status_fault(code: int, headers: dict[str, str] | None = None) -> FaultHandler:
    return lambda handler: handler.send_answer(code, {"error": {"message": "too busy"}}, headers)


def drop_connection(handler: FakeVllmHandler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def hang_request(handler: FakeVllmHandler) -> None:
    """Send no answer until the client closes the connection."""
    with suppress(OSError):
        handler.connection.recv(1)  # It returns when the client closes the connection.
    handler.close_connection = True
