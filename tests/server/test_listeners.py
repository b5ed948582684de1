"""Sockets of the resident process: who listens, who ends whom, and what is deleted."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchapp.errors import EngineError, SearchAppError
from searchapp.server import client, listeners
from searchapp.server.listeners import open_listeners
from searchapp.server.resident_lock import (
    LockHolder,
    ResidentUnavailableError,
    read_lock_holder,
    take_lock,
    write_holder,
)
from searchapp.server.socket_path import hold_lock, short_socket_path, socket_path
from searchapp.server.unix_http import is_listening


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of a library, without a catalog."""
    (tmp_path / "library").mkdir()
    return tmp_path / "library"


@pytest.fixture
def foreign_lock(folder: Path) -> Iterator[None]:
    """Lock of a background process that does not listen."""
    lock = take_lock(folder)
    assert lock
    with lock:
        write_holder(lock, None)
        yield


def test_socket_of_another_process_is_kept(folder: Path) -> None:
    """The process of a moved library does not delete the socket of a new library at its path."""
    with open_listeners(folder, None, 0, pytest.fail):
        folder.rename(folder.with_name("moved"))
        folder.mkdir()
        new = open_listeners(folder, None, 0, pytest.fail)
        new.__enter__()
    assert is_listening(folder)
    new.__exit__(None, None, None)
    assert not socket_path(folder).exists()


def test_second_server_is_refused(folder: Path) -> None:
    """The message names the first server; the first keeps its sockets."""
    with open_listeners(folder, "127.0.0.1", 0, pytest.fail) as first:
        assert first.url
        assert read_lock_holder(folder) == LockHolder(
            pid=os.getpid(), host_name=socket.gethostname(), url=first.url
        )
        with (
            pytest.raises(SearchAppError, match=f"already served by .* at {first.url} "),
            open_listeners(folder, "127.0.0.1", 0, pytest.fail),
        ):
            pytest.fail("a second server listens")
        assert is_listening(folder)
        with (
            pytest.raises(ResidentUnavailableError, match="already serves"),
            open_listeners(folder, None, 0, pytest.fail),
        ):
            pytest.fail("a background process listens")
    assert read_lock_holder(folder) is None


def test_port_in_use_ends_no_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot listen does not stop the background process first."""
    monkeypatch.setattr(client, "stop_resident", pytest.fail)
    with (
        open_listeners(folder, None, 0, pytest.fail),
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(SearchAppError, match="Choose another --port"),
        open_listeners(folder, "127.0.0.1", taken.getsockname()[1], pytest.fail),
    ):
        pytest.fail("two servers listen on one port")


@pytest.mark.usefixtures("foreign_lock")
def test_server_serves_beside_a_process_that_it_cannot_stop(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`serve` listens on its port, and says that commands do not use it."""

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(client, "send_request", refuse)
    notes: list[str] = []
    with open_listeners(folder, "127.0.0.1", 0, notes.append) as opened:
        socket.create_connection(opened.sockets[0].getsockname()).close()
        assert (len(opened.sockets), opened.lock) == (1, None)
    assert len(notes) == 1 and "belongs to another user" in notes[0]
    with pytest.raises(EngineError, match="belongs to another user"):
        client.stop_resident(folder)


@pytest.mark.usefixtures("foreign_lock")
def test_waiting_for_a_process_that_does_not_listen_is_limited(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A background process gives up, and names the process that has the lock."""
    monkeypatch.setattr(listeners, "LOCK_TIMEOUT_S", 0.1)
    with (
        pytest.raises(ResidentUnavailableError, match=r"the resident process \d+ .* not answer"),
        open_listeners(folder, None, 0, pytest.fail),
    ):
        pytest.fail("two processes listen")
    monkeypatch.setattr(client, "STOP_TIMEOUT_S", 0.1)
    with pytest.raises(EngineError, match=r"does not answer\. End it with `kill -9 \d+`"):
        client.stop_resident(folder)


def test_serve_without_unix_sockets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without sockets, `serve` listens on its port and keeps no lock."""
    (folder / "resident.sock").mkdir()  # nothing can be bound here
    notes: list[str] = []
    with open_listeners(folder, "127.0.0.1", 0, notes.append) as opened:
        assert (len(opened.sockets), opened.lock) == (1, None)
        assert read_lock_holder(folder) is None
    assert "commands do not use this process" in notes[0]
    with (
        pytest.raises(ResidentUnavailableError, match="does not allow it"),
        open_listeners(folder, None, 0, pytest.fail),
    ):
        pytest.fail("a background process listens")


def test_another_version_ends_no_server(folder: Path) -> None:
    """A query of another version leaves `searchapp serve` alone."""
    with (
        open_listeners(folder, "127.0.0.1", 0, pytest.fail),
        pytest.raises(ResidentUnavailableError, match="runs another version"),
    ):
        client._end_other_version(folder)


def test_waiting_for_a_suspended_command_is_limited(folder: Path) -> None:
    """A command that keeps the lock of the start does not block others for ever."""
    with (
        hold_lock(folder, "starting", 0),
        pytest.raises(TimeoutError, match="another process keeps the lock"),
        hold_lock(folder, "starting", 0),
    ):
        pytest.fail("two processes hold a lock")


def test_long_path_uses_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link to a library with a long path is in a new folder of this user, and disappears."""
    library, temporary = tmp_path / ("long" * 30), tmp_path / "tmp"
    library.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with short_socket_path(library) as path:
        assert len(path) <= 100
        assert Path(path).parent.resolve() == library
        assert stat.S_IMODE(Path(path).parents[1].stat().st_mode) == 0o700
    with open_listeners(library, None, 0, pytest.fail):
        assert stat.S_IMODE(socket_path(library).stat().st_mode) == 0o600
        assert is_listening(library)
    assert not socket_path(library).exists()
    assert not list(temporary.iterdir())
