"""Attacks on the server: slow clients, malformed bodies, DNS rebinding."""

import http.server
import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from searchapp.errors import PictureError
from searchapp.server import fetch_public_url as public_fetch
from searchapp.server.fetch_public_url import fetch_public_url

SLOW_CLIENTS = 200


def test_slow_clients_do_not_delay_others(client: Any) -> None:
    """200 clients send heads and bodies byte by byte; other requests do not wait for their end."""
    host, port = client.base_url.host, client.base_url.port
    head = f"POST /api/search HTTP/1.1\r\nHost: {host}:{port}\r\n"
    slow = []
    try:
        for number in range(SLOW_CLIENTS):
            raw = socket.create_connection((host, port), timeout=60)
            start = f"{head}Content-Length: 100000\r\n\r\n{{" if number % 2 else f"{head}X-Slow: "
            raw.sendall(start.encode())
            slow.append(raw)
        for _ in range(20):
            assert client.post("/api/search", json={"text": "red"}).status_code == 200
            assert not select.select(slow, [], [], 0)[0]  # None was answered or closed.
            for raw in slow:
                raw.sendall(b"x")
    finally:
        for raw in slow:
            raw.close()
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\nxx",
        b"--b\r\n" * 5000,
        b"--b\r\n" + b"X-Header: 1\r\n" * 5000 + b"\r\nx\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=\"" + b"n" * 99_999 + b"\"\r\n\r\n1\r\n--b",
        b"".join(
            b"--b\r\nContent-Disposition: form-data; name=\"f%d\"\r\n\r\n1\r\n" % n
            for n in range(5000)
        )
        + b"--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n\xff\xfe\x00\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: attachment\r\n\r\n1\r\n--b--\r\n",
        b"\r\n\r\n--other--\r\n",
    ],
)  # fmt: skip
def test_malformed_multipart_is_the_clients_fault(client: Any, body: bytes) -> None:
    """Truncated bodies, thousands of parts or headers, invalid text: status 4xx."""
    answer = client.post(
        "/api/search", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code in (400, 422), answer.text


def test_deep_json_is_refused(client: Any) -> None:
    """JSON with 50,000 or more nested brackets gets a status of 4xx, and the server survives."""
    for body in (b"[" * 100_000, b'{"text":' * 50_000, json.dumps({"text": "x" * 10**6}).encode()):
        answer = client.post(
            "/api/search", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code in (400, 413, 422), answer.text[:200]
    terms = {"terms": "[" * 100_000}
    assert client.post("/api/search", files={"x": b"1"}, data=terms).status_code == 422
    assert client.get("/healthz").status_code == 200


class Secret(http.server.BaseHTTPRequestHandler):
    """Private server that answers each request with a secret, and counts requests."""

    request_count = 0

    def do_GET(self) -> None:
        type(self).request_count += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"secret")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def secret() -> Iterator[int]:
    """Port of a private server that no fetched URL may reach."""
    Secret.request_count = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Secret) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_dns_rebinding_reaches_no_private_address(
    secret: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is resolved once, and the connection goes to the checked address."""
    answers = iter(["192.0.2.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"])
    connected_hosts: list[str] = []
    real_getaddrinfo = socket.getaddrinfo

    def resolve_differently(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name == "rebind.example":
            return real_getaddrinfo(next(answers), port, *args, **kwargs)
        return real_getaddrinfo(host, port, *args, **kwargs)

    def connect(address: Any, *args: Any, **kwargs: Any) -> Any:
        connected_hosts.append(address[0])
        raise OSError("unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", resolve_differently)
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(
        public_fetch.ipaddress.IPv4Address, "is_global", property(lambda ip: str(ip) == "192.0.2.1")
    )
    with pytest.raises(PictureError, match="cannot be fetched"):
        fetch_public_url(f"http://rebind.example:{secret}/x.jpg")
    assert set(connected_hosts) == {"192.0.2.1"}
    with pytest.raises(PictureError, match="is not a public address"):
        fetch_public_url(f"http://rebind.example:{secret}/x.jpg")
    assert Secret.request_count == 0


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with several addresses is refused if any of them is private."""
    entries = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))
        for address in ("8.8.8.8", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    with pytest.raises(PictureError, match="is not a public address"):
        fetch_public_url("http://both.example/x.jpg")


def test_secret_server_is_reachable_directly(secret: int) -> None:
    """The private server runs, so the tests above prove that the address is blocked."""
    with closing(httpx.Client()) as client:
        assert client.get(f"http://127.0.0.1:{secret}/x").text == "secret"
    assert Secret.request_count == 1
