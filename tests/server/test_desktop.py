"""The folder of a picture is opened on the desktop, only for a client on this computer."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from support.library import FakeEngines
from support.live_server import serve_library

from searchapp.server.app_state import AppState
from searchapp.server.desktop import can_open_folders, open_parent_folder
from searchapp.server.guard import AccessRules
from searchapp.server.service import Service

ADDRESS = "/api/open-folder"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File in which a fake xdg-open writes its arguments; the computer has a desktop."""
    log, command = tmp_path / "opened.txt", tmp_path / "bin" / "xdg-open"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$#" "$@" >> "{log}"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":0")
    return log


@pytest.fixture
def desk(library: Path, fake_engines: FakeEngines, opened: Path) -> Iterator[Any]:
    """HTTP client of a server on a computer with a desktop."""
    with serve_library(library, fake_engines) as url, httpx.Client(base_url=url) as client:
        yield client


def test_folder_of_a_picture_is_opened(desk: Any, opened: Path, photos: Path) -> None:
    assert desk.get("/api/info").json()["can_open_folders"] is True
    answer = desk.get("/api/pictures", params={"id": [1, 2, 3]}).json()
    ids = {picture["name"]: picture["id"] for picture in answer["pictures"]}
    assert desk.post(ADDRESS, json={"image_id": ids["red.jpg"]}).status_code == 204
    assert desk.post(ADDRESS, json={"image_id": ids["blue.jpg"]}).status_code == 204
    assert opened.read_text() == f"1\n{photos}\n1\n{photos / 'below'}\n"


def test_vanished_picture_opens_nothing(desk: Any, opened: Path, photos: Path) -> None:
    shutil.rmtree(photos)
    answer = desk.post(ADDRESS, json={"image_id": 1})
    assert answer.status_code == 400
    assert "no file of this image" in answer.json()["detail"]
    assert not opened.exists()


def test_hostile_folder_name_is_one_argument(tmp_path: Path, opened: Path) -> None:
    """No shell reads the name, and the program takes no option from it."""
    folder = tmp_path / "-x; touch pwned $(touch pwned) \udcff"
    folder.mkdir()
    (folder / "a.jpg").touch()
    open_parent_folder(("s3://bucket/a.jpg", "relative.jpg", str(folder / "a.jpg")))
    assert os.fsdecode(opened.read_bytes()) == f"1\n{folder}\n"
    assert not list(tmp_path.rglob("pwned"))


def test_client_cannot_name_a_path(desk: Any, opened: Path) -> None:
    for body in ({"image_id": "/etc"}, {"image_id": 1, "path": "/etc"}, {"path": "/etc"}, {}):
        assert desk.post(ADDRESS, json=body).status_code == 422
    assert desk.post(ADDRESS, json={"image_id": 10**6}).status_code == 404
    assert not opened.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
    ids=str,
)
def test_foreign_clients_are_refused(desk: Any, opened: Path, headers: dict[str, str]) -> None:
    """Pages of other sites, other host names, and clients of a proxy cannot open a folder."""
    answer = desk.post(ADDRESS, json={"image_id": 1}, headers=headers)
    assert answer.status_code in (403, 421)
    assert not opened.exists()


def test_only_post_opens_a_folder(desk: Any, opened: Path) -> None:
    """A link or an image of another site sends GET."""
    for method in ("GET", "HEAD", "PUT", "OPTIONS"):
        assert desk.request(method, ADDRESS, params={"image_id": 1}).status_code in (404, 405)
    assert not opened.exists()


def test_server_with_a_token_opens_no_folder(
    library: Path, fake_engines: FakeEngines, opened: Path
) -> None:
    """Clients on other computers can use a server with a token."""
    headers = {"Authorization": "Bearer secret"}
    with (
        serve_library(library, fake_engines, AccessRules("secret")) as url,
        httpx.Client(base_url=url, headers=headers) as client,
    ):
        assert client.get("/api/info").json()["can_open_folders"] is False
        answer = client.post(ADDRESS, json={"image_id": 1})
        assert answer.status_code == 403
        assert "only on the computer that serves" in answer.json()["detail"]
    assert not opened.exists()


def test_computer_without_a_desktop(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert desk.get("/api/info").json()["can_open_folders"] is False
    assert desk.post(ADDRESS, json={"image_id": 1}).status_code == 403


def test_file_manager_that_fails(desk: Any, opened: Path) -> None:
    command = opened.parent / "bin" / "xdg-open"
    command.write_text("#!/bin/sh\nexit 3\n")
    answer = desk.post(ADDRESS, json={"image_id": 1})
    assert answer.status_code == 500
    assert "xdg-open ended with status 3" in answer.json()["detail"]


def test_file_manager_that_keeps_running(
    desk: Any, opened: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer does not wait until the user closes the window."""
    monkeypatch.setattr("searchapp.server.desktop.START_TIMEOUT_S", 0.01)
    command, pipe = opened.parent / "bin" / "xdg-open", opened.parent / "pipe"
    os.mkfifo(pipe)
    command.write_text(f'#!/bin/sh\ncat "{pipe}" > "{opened}"\n')
    assert desk.post(ADDRESS, json={"image_id": 1}).status_code == 204
    assert not opened.exists() or not opened.read_text()
    pipe.write_text("closed")  # the file manager ends
    while opened.read_text() != "closed":
        time.sleep(0.01)


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("192.168.1.5", False),
     ("203.0.113.7", False), ("::ffff:192.168.1.5", False), ("testclient", False)],
)  # fmt: skip
def test_only_loopback_addresses_are_allowed(
    library: Path, fake_engines: FakeEngines, address: str, is_allowed: bool
) -> None:
    service = Service(library, fake_engines)
    scope = {"type": "http", "headers": [], "client": (address, 5), "searchapp.local": False}
    state = AppState(service, False, lambda: None)
    assert can_open_folders(Request(scope), state) is is_allowed
    service.close()
