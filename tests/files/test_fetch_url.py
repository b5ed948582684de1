"""Pictures by URL: every fault of a URL and of a server becomes one PictureError."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from searchapp.errors import PictureError
from searchapp.files import fetch_url
from searchapp.files.fetch_url import download, read_query_image

BAD_URLS = (
    "http://[", "http://[::zz]/", "http://host:99999/x.jpg", "http://host:0/", "http://host:x/",
    "http://", "http:///x.jpg", f"http://{'ü' * 80}.example/", "http://-ü-.example/",
    "http://host/\udcff.jpg", "http://a\x00b/", "http://1.2.3.400/", "http://a b.invalid/",
    f"http://{'a' * 300}.invalid/", "http://..invalid/", "https://[fe80::1%25nosuch]/",
    "http://host/" + "x" * 70_000,
)  # fmt: skip


class Redirects(http.server.BaseHTTPRequestHandler):
    """Answers 302 with the Location that the path names; none for the path /."""

    def do_GET(self) -> None:
        """Redirect to the rest of the path."""
        if self.path == "/picture":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"picture")
            return
        self.send_response(302)
        if self.path != "/":
            self.send_header("Location", self.path[1:])
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """Run a server of redirects; return its URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirects) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_url_is_one_error(url: str) -> None:
    """A URL that is not valid, or has no server, is a PictureError that says what to do."""
    with pytest.raises(PictureError, match=r"cannot be fetched: .*\. Check the URL"):
        read_query_image(url)


@pytest.mark.parametrize("location", ["", "http://[", "http://host:99999/", "ftp://host/"])
def test_bad_redirect_is_one_error(server: str, location: str) -> None:
    """A redirect without a target, or to a URL that is not valid, is a PictureError."""
    with pytest.raises(PictureError, match=r"cannot be fetched: .*\. Check the URL"):
        download(f"{server}/{location}")


def test_redirect_is_followed_but_not_for_ever(server: str) -> None:
    """Redirects are followed, relative ones too; a loop of them ends."""
    assert download(f"{server}//picture") == b"picture"
    assert download(f"{server}/{server}//picture") == b"picture"
    with pytest.raises(PictureError, match=f"more than {fetch_url.MAX_REDIRECTS} redirects"):
        download(f"{server}//loop")


def test_checked_address_receives_the_idna_name(server: str) -> None:
    """The request goes to the resolved address, and its Host header is plain ASCII."""
    port, asked = int(server.rpartition(":")[2]), list[tuple[str, int]]()

    def resolve(host: str, port: int) -> str:
        asked.append((host, port))
        return "127.0.0.1"

    assert download(f"http://user:secret@müller.example:{port}/picture", resolve) == b"picture"
    assert asked == [("xn--mller-kva.example", port)]
