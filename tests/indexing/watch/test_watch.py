"""watch indexes new, changed, moved and deleted files, and survives problems."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args
from unittest.mock import Mock

import pytest
from support.dng_files import make_dng
from support.library import FakeEngines, index_folder, library_environment, search_file_names
from support.metadata_files import make_xmp
from support.paths import TESTS
from support.processes import slow_command
from support.sample_pictures import make_picture, save_picture

from searchapp.engines import EngineInput, Refusal
from searchapp.errors import FolderError
from searchapp.files import scan
from searchapp.files.ignore_rules import IgnoreRules
from searchapp.files.lock import hold_writer_lock
from searchapp.indexing.watch import (
    BatchPostponed,
    ChangesIndexed,
    FolderAvailableAgain,
    FolderUnavailable,
    PollingStarted,
    WatchEvent,
    WatchSession,
)
from searchapp.indexing.watch.changes import PendingChanges, explain_unavailable, is_network_folder
from searchapp.library import Library
from searchapp.server import client, start_resident
from searchapp.server.resident_engine import ResidentEngine
from searchapp.types import Hit, IndexEvent, IndexOptions, Query, RunFinished, RunSummary

FAKE = [sys.executable, str(TESTS / "support" / "fake_resident.py")]
TIMEOUT_S = 120.0  # generous, for a busy machine


class Watching:
    """Runs a WatchSession in a thread, and collects its events."""

    def __init__(
        self, library: Path, root: Path, model: Path, engines: FakeEngines,
        poll_interval_s: float | None = None, **options: object,
    ):  # fmt: skip
        self.events: list[WatchEvent] = []
        self._library, self._engines, self._stopped = library, engines, threading.Event()
        self._options = IndexOptions(model=str(model), **options)  # type: ignore[arg-type]
        self._watch = WatchSession(
            [root], library, self._options, quiet_s=0.3, poll_interval_s=poll_interval_s
        )
        self._watch.__enter__()
        list(self.index([root], self._options))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def index(self, roots: list[Path], options: IndexOptions) -> Iterator[IndexEvent]:
        with Library.open(self._library, create=True, start=self._engines) as opened:
            yield from opened.index(roots, options)

    def _run(self) -> None:
        for event in self._watch.index_changes(self.index):
            self.events.append(event)
            if self._stopped.is_set():
                return

    def wait(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        until = time.monotonic() + TIMEOUT_S
        while not holds():
            assert time.monotonic() < until, self.events
            assert self._thread.is_alive()
            time.sleep(0.05)

    def count_rated(self, rating: int) -> int:
        """Return the number of pictures with a rating in the library."""
        with closing(sqlite3.connect(self._library / "catalog.db")) as catalog:
            query = "select count(*) from photos where rating = ?"
            return int(catalog.execute(query, (rating,)).fetchone()[0])

    def total(self) -> RunSummary:
        """Return the sum of all batches."""
        batches = [event.summary for event in self.events if isinstance(event, ChangesIndexed)]
        names = ("added", "moved", "removed", "failed")
        return RunSummary(**{name: sum(getattr(b, name) for b in batches) for name in names})

    def stop(self) -> None:
        self._stopped.set()
        self._watch.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check changes and the writer lock more often."""
    for name in ("changes.TICK_S", "loop.TICK_S"):
        monkeypatch.setattr(f"searchapp.indexing.watch.{name}", 0.1)
    monkeypatch.setattr("searchapp.indexing.watch.loop.LOCKED_RETRY_S", 0.5)


@pytest.fixture
def watching(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> Iterator[Watching]:
    watching = Watching(tmp_path / "library", photos, model, fake_engines, exclude=("no/",))
    yield watching
    watching.stop()


def test_changes_are_indexed(
    watching: Watching, photos: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """New, renamed and deleted files and folders are indexed; ignore rules hold."""
    assert fake_engines.embedded_count == 3
    (photos / ".searchappignore").write_text("secret*\n")
    save_picture(photos / "no" / "never.jpg", "yellow")
    save_picture(photos / "secret.jpg", "yellow")
    save_picture(photos / ".hidden.jpg", "yellow")
    save_picture(photos / "new" / "deep" / "yellow.jpg", "yellow")
    watching.wait(lambda: watching.total().added == 1)
    (photos / "below").rename(photos / "above")
    watching.wait(lambda: watching.total().moved == 1)
    (photos / "red.jpg").unlink()
    watching.wait(lambda: watching.total().removed == 1)
    save_picture(photos / "green.png", "black")
    watching.wait(lambda: watching.total().added == 2)
    assert fake_engines.embedded_count == 5
    with Library.open(tmp_path / "library", start=fake_engines) as library:
        assert search_file_names(library, "yellow") == ["yellow.jpg"]
    shutil.rmtree(photos / "new")
    (photos / "new").write_text("a folder that became a file")
    watching.wait(lambda: watching.total().removed == 2)
    assert watching.total() == RunSummary(added=2, moved=1, removed=2)
    with Library.open(tmp_path / "library", start=fake_engines) as library:
        assert search_file_names(library, "yellow") == []
        assert search_file_names(library, "blue") == ["blue.jpg"]
        assert search_file_names(library, "red") == []


def test_an_incomplete_file_is_no_failure(
    watching: Watching, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a picture is indexed again when the rest arrives."""
    # On a busy machine, a timed retry could come before the rest.
    monkeypatch.setattr("searchapp.indexing.watch.loop.RETRY_DELAYS_S", (600.0,))
    whole = save_picture(tmp_path / "other.jpg", "yellow").read_bytes()
    (photos / "half.jpg").write_bytes(whole[: len(whole) // 2])
    watching.wait(lambda: watching.total().failed == 1)
    (batch,) = [event for event in watching.events if isinstance(event, ChangesIndexed)]
    assert (batch.again, batch.failures) == (1, ())
    with (photos / "half.jpg").open("ab") as file:
        file.write(whole[len(whole) // 2 :])
    watching.wait(lambda: watching.total().added == 1)
    with Library.open(tmp_path / "library") as library:
        assert library.failures() == []


def test_a_vanished_folder_loses_nothing(
    watching: Watching, photos: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """A missing or empty folder is reported once; later changes are indexed when it is back."""
    photos.rename(tmp_path / "unplugged")
    watching.wait(lambda: len(watching.events) == 1)
    photos.mkdir()
    time.sleep(1.5)
    photos.rmdir()
    save_picture(tmp_path / "unplugged" / "yellow.jpg", "yellow")
    (tmp_path / "unplugged").rename(photos)
    watching.wait(lambda: watching.total().added == 1)
    assert [type(event) for event in watching.events] == [
        FolderUnavailable, FolderAvailableAgain, ChangesIndexed,
    ]  # fmt: skip
    assert watching.total() == RunSummary(added=1)
    save_picture(photos / "white.jpg", "white")  # it is watched again
    watching.wait(lambda: watching.total().added == 2)
    with Library.open(tmp_path / "library") as library:
        assert library.info().files == 5


@pytest.mark.parametrize("poll_interval_s", [None, 0.2])
def test_a_single_file(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines,
    poll_interval_s: float | None,
) -> None:  # fmt: skip
    """A new version of a file, also by a rename, and its sidecars are indexed; others are not."""
    file, library = photos / "red.jpg", tmp_path / "library"
    watching = Watching(library, file, model, fake_engines, poll_interval_s=poll_interval_s)
    try:
        assert fake_engines.embedded_count == 1
        save_picture(photos / "other.jpg", "white")
        (photos / "red.xmp").write_bytes(make_xmp('xmp:Rating="4"'))
        watching.wait(lambda: watching.count_rated(4) == 1)
        save_picture(tmp_path / "new.jpg", "yellow").replace(file)
        watching.wait(lambda: watching.total().added == 1)
        file.rename(photos / "away.png")
        watching.wait(lambda: isinstance(watching.events[-1], FolderUnavailable))
        reason = "the file does not exist any more"
        assert watching.events[-1] == FolderUnavailable(str(file), reason)
        (photos / "away.png").rename(file)
        watching.wait(lambda: isinstance(watching.events[-1], FolderAvailableAgain))
    finally:
        watching.stop()
    with Library.open(library) as opened:
        assert opened.info().files == 1


def test_the_reason_of_an_unavailable_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason names a missing folder, a file in its place, or missing permissions."""
    assert explain_unavailable(tmp_path / "none") == "the folder does not exist any more"
    (tmp_path / "file").write_text("")
    assert explain_unavailable(tmp_path / "file") == "the folder is a file now"
    with monkeypatch.context() as patch:
        denied = PermissionError(errno.EACCES, "Permission denied")
        patch.setattr(os, "scandir", Mock(side_effect=denied))
        reason = explain_unavailable(tmp_path)
    assert reason == "the folder cannot be read (Permission denied)"


def test_it_waits_for_another_writer(watching: Watching, photos: Path, tmp_path: Path) -> None:
    """The holder of the lock is reported once; then the changes are indexed."""
    with hold_writer_lock(tmp_path / "library", "searchapp prune"):
        save_picture(photos / "yellow.jpg", "yellow")
        watching.wait(lambda: bool(watching.events))
        time.sleep(1)
    watching.wait(lambda: watching.total().added == 1)
    waiting, *_ = watching.events
    assert isinstance(waiting, BatchPostponed) and "searchapp prune" in waiting.reason
    assert len(watching.events) == 2


def test_polling_finds_the_same(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Polling finds changes that the system does not report."""
    options = IndexOptions(model=str(model))
    with (
        Library.open(tmp_path / "library", create=True, start=fake_engines) as library,
        WatchSession(
            [photos], tmp_path / "library", options, poll_interval_s=0.2, quiet_s=0.3
        ) as watch,
    ):
        list(library.index([photos], options))
        save_picture(photos / "below" / "yellow.jpg", "yellow")
        (photos / "red.jpg").unlink()
        seen = RunSummary()
        for event in watch.index_changes(library.index):
            assert isinstance(event, ChangesIndexed)
            seen = RunSummary(
                added=seen.added + event.summary.added, removed=seen.removed + event.summary.removed
            )
            if seen == RunSummary(added=1, removed=1):
                break
        assert search_file_names(library, "yellow") == ["yellow.jpg"]


@pytest.mark.parametrize("poll_interval_s", [None, 0.2])
def test_an_edit_with_size_and_time_restored_is_indexed(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    poll_interval_s: float | None,
) -> None:
    """The edit is noticed with notifications and with polling."""
    options = IndexOptions(model=str(model))
    red = save_picture(photos / "red.bmp", "red")
    blue = save_picture(tmp_path / "blue.bmp", "blue").read_bytes()
    os.utime(red, (10**9, 10**9))
    with (
        Library.open(tmp_path / "library", create=True, start=fake_engines) as library,
        WatchSession(
            [photos], tmp_path / "library", options, poll_interval_s=poll_interval_s, quiet_s=0.3
        ) as watch,
    ):
        list(library.index([photos], options))
        assert red.stat().st_size == len(blue)
        red.write_bytes(blue)
        os.utime(red, (10**9, 10**9))
        batch = next(watch.index_changes(library.index))
        assert isinstance(batch, ChangesIndexed)
        assert (batch.summary.added, batch.summary.removed) == (1, 0)
        assert "red.bmp" in search_file_names(library, "blue")


def test_polling_starts_if_notifications_fail(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the system's limit of watched folders, polling starts, and is reported."""
    import watchfiles

    watch = watchfiles.watch

    def limited(*paths: Path, force_polling: bool, **options: Any) -> Any:
        if not force_polling:
            raise OSError("OS file watch limit reached")
        return watch(*paths, force_polling=True, **options)

    monkeypatch.setattr(watchfiles, "watch", limited)
    monkeypatch.setattr("searchapp.indexing.watch.loop.POLL_INTERVAL_S", 0.2)
    watching = Watching(tmp_path / "library", photos, model, fake_engines)
    watching.wait(lambda: bool(watching.events))
    save_picture(photos / "yellow.jpg", "yellow")
    watching.wait(lambda: watching.total().added == 1)
    watching.stop()
    (polling, _) = watching.events
    assert isinstance(polling, PollingStarted) and "limit reached" in polling.reason


def test_the_folder_is_scanned_if_polling_fails(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If polling fails, too, the folder is scanned completely at intervals."""

    def broken(*paths: Path, **options: Any) -> Any:
        raise OSError("no watching here")

    monkeypatch.setattr("watchfiles.watch", broken)
    monkeypatch.setattr("searchapp.indexing.watch.loop.UNAVAILABLE_RETRY_S", 1.5)
    watching = Watching(tmp_path / "library", photos, model, fake_engines)
    watching.wait(lambda: bool(watching.events))
    save_picture(photos / "yellow.jpg", "yellow")
    watching.wait(lambda: watching.total().added == 1)
    watching.stop()
    assert [type(event) for event in watching.events] == [PollingStarted, ChangesIndexed]


def test_the_public_names_of_events_stay() -> None:
    """Programs that read `watch --json` depend on these names."""
    assert {
        event_class.__name__: event_class.event_name for event_class in get_args(WatchEvent)
    } == {
        "ChangesIndexed": "batch",
        "FolderUnavailable": "away",
        "FolderAvailableAgain": "back",
        "BatchPostponed": "waiting",
        "PollingStarted": "polling",
        "LinksUpdated": "links",
        "LinksOutdated": "outdated_links",
    }


def test_only_named_paths_are_scanned(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run over single paths scans no other folder, and forgets nothing elsewhere."""
    index_folder(opened, photos, model)
    save_picture(photos / "yellow.jpg", "yellow")
    save_picture(photos / "below" / "white.jpg", "white")
    (photos / "green.png").unlink()
    (photos / "red.jpg").unlink()
    monkeypatch.setattr(scan, "walk_folder", lambda *_: pytest.fail("a folder was walked"))
    only = (str(photos / "yellow.jpg"), str(photos / "red.jpg"), str(photos / "none"))
    assert index_folder(opened, photos, model, only=only) == RunSummary(added=1, removed=1)
    assert opened.info().files == 3
    for path in photos.glob("*"):
        if path.is_file():
            path.unlink()
    (photos / "below").rename(photos.parent / "elsewhere")
    with pytest.raises(
        FolderError, match="no picture found, but the library knows 3 pictures in it"
    ):
        index_folder(opened, photos, model, only=only)


def test_many_vanished_files_are_kept(opened: Library, photos: Path, model: Path) -> None:
    """A run over single paths keeps vanished files, too: a drive may be unmounted."""
    for mark in range(1, 14):
        save_picture(photos / "drive" / f"{mark}.png", "red", mark)
    index_folder(opened, photos, model)
    (photos / "drive").rename(photos.parent / "drive")
    summary = index_folder(opened, photos, model, only=(str(photos / "drive"),))
    assert summary == RunSummary(kept=13)
    assert opened.info().files == 16


def test_scanning_paths_equals_walking_folders(tmp_path: Path) -> None:
    """The ignore rules of parent folders hold, and links to folders are not followed."""
    for name in ("a/b/c.jpg", "a/b/d.jpg", "a/.h/e.jpg", "@eaDir/f.jpg", "x/g.jpg", "h.jpg"):
        save_picture(tmp_path / name)
    (tmp_path / "a" / ".searchappignore").write_text("d.*\n")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    rules = IgnoreRules.from_options(str(tmp_path), ("*.jpg",), ("x/",))
    walked = {entry.path for entry in scan.walk_folder(str(tmp_path), rules)}
    paths = [str(path) for path in tmp_path.rglob("*")] + [str(tmp_path / "link" / "g.jpg")]
    one_by_one = {
        entry.path for path in paths for entry in scan.scan_paths(str(tmp_path), [path], rules)
    }
    assert one_by_one == walked == {str(tmp_path / "a/b/c.jpg"), str(tmp_path / "h.jpg")}


def test_a_path_is_due_after_the_quiet_time(tmp_path: Path) -> None:
    """Each change restarts the wait of its own path, whether it was reported or not."""
    now = 0.0
    pending = PendingChanges(2.0, lambda: now)
    grows, still = tmp_path / "grows", tmp_path / "still"
    grows.write_bytes(b"1")
    still.touch()
    pending.note_changes([str(grows), str(still), str(tmp_path / "gone")])
    now = 1.5
    grows.write_bytes(b"12")
    assert pending.take_due_paths() == []
    now = 2.0
    assert pending.take_due_paths() == [str(tmp_path / "gone"), str(still)]
    now = 3.5
    assert pending.take_due_paths() == [str(grows)]
    assert len(pending) == 0
    pending.note_changes([str(grows)], delay_s=5.0)
    now = 8.5
    assert pending.take_due_paths() == []
    now = 10.5
    assert pending.take_due_paths() == [str(grows)]


def test_network_file_systems_are_recognized(tmp_path: Path) -> None:
    """The nearest mount point decides."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\nnas:/p /mnt/my\\040nas nfs4 rw 0 0\n"
        "/dev/sdb /mnt/my\\040nas/disk xfs rw 0 0\nx /mnt/ssh fuse.sshfs rw 0 0\n"
        "/dev/sdc1 /media/disk fuseblk rw 0 0\n"
    )
    kinds = {
        name: is_network_folder(Path(name), str(mounts))
        for name in (
            "/home",
            "/mnt/my nas/a",
            "/mnt/my nas/disk/a",
            "/mnt/ssh",
            "/mnt/ssh2",
            "/media/disk/a",
        )
    }
    assert list(kinds.values()) == [False, True, False, True, False, False]


def test_the_resident_engine_equals_a_local_one(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pictures, texts and refusals give the same results as with a local engine."""
    monkeypatch.setattr(start_resident, "SERVER_COMMAND", [*FAKE, "0", "0"])
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
        spec = fake_engines.started_engines[0].spec
    residence = start_resident.ResidentConfig(tmp_path / "library", keep_alive_min=1)
    borrowed = ResidentEngine(spec, residence, lambda line: None)
    inputs = [EngineInput("", make_picture("red", mark=mark)) for mark in range(1, 20)]
    inputs[4:4] = [
        EngineInput("blue"),
        EngineInput("nonsense"),
        EngineInput("", make_picture("#ff00ff")),
    ]
    try:
        theirs, ours = (
            borrowed.embed(inputs),
            fake_engines.started_engines[0].__class__(spec).embed(inputs),
        )
        for one, other in zip(theirs, ours, strict=True):
            if isinstance(other, Refusal):
                assert one == other
            else:
                assert not isinstance(one, Refusal) and one == pytest.approx(other, abs=1e-6)
        assert borrowed.count_tokens("a red boat") == 3
        running = client.get_resident_info(tmp_path / "library")
        assert running
        os.kill(running["pid"], signal.SIGKILL)
        assert len(borrowed.embed(inputs[:2])) == 2
    finally:
        client.stop_resident(tmp_path / "library")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_signals_end_the_command(
    tmp_path: Path, photos: Path, model: Path, number: signal.Signals, code: int
) -> None:
    """The output has one JSON object a line; stderr ends with one line, without a traceback."""
    environment = os.environ | library_environment(tmp_path)
    arguments = ["watch", photos, "--model", model, "--json", "--quiet", "0.2"]
    process = subprocess.Popen(
        slow_command(*arguments, seconds_per_picture=0),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout and process.stderr
    first = json.loads(process.stdout.readline())
    assert (first["event"], first["summary"]["added"]) == ("watching", 3)
    save_picture(photos / "yellow.jpg", "yellow")
    second = json.loads(process.stdout.readline())
    assert (second["event"], second["folder"], second["summary"]["added"]) == (
        "batch", str(photos), 1,
    )  # fmt: skip
    process.send_signal(number)
    rest = process.stderr.read()
    assert process.wait(TIMEOUT_S) == code
    assert "Traceback" not in rest
    assert rest.splitlines()[-1].startswith("searchapp: stopped")


def test_related_files_of_a_path_are_scanned_too(
    opened: Library, photos: Path, model: Path
) -> None:
    """A RAW file next to a JPEG is a companion, in any order; a sidecar is read."""

    def only(*names: str) -> RunSummary:
        return index_folder(opened, photos, model, only=tuple(str(photos / name) for name in names))

    def yellow() -> Hit:
        (first, *_) = opened.search(Query("yellow"))
        return first

    index_folder(opened, photos, model)
    (photos / "img_1.nef").write_bytes(make_dng("cyan", preview=make_picture("cyan", (160, 120))))
    assert only("img_1.nef") == RunSummary(added=1)
    save_picture(photos / "IMG_1.JPG", "yellow")
    assert only("IMG_1.JPG").added == 1
    assert [Path(path).name for path in yellow().companions] == ["img_1.nef"]
    assert opened.info().files == 4
    (photos / "IMG_1.xmp").write_bytes(make_xmp('xmp:Rating="4"'))
    assert only("IMG_1.xmp").described == 1
    assert yellow().rating == 4
    (photos / "IMG_1.xmp").unlink()
    assert only("IMG_1.xmp").described == 1
    assert yellow().rating is None
    (photos / "IMG_1.JPG").unlink()
    assert only("IMG_1.JPG").added == 1
    assert Path(yellow().path).name != "IMG_1.JPG"
    assert opened.info().files == 4


def test_paths_of_several_folders(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Each path is scanned below its own folder."""
    save_picture(tmp_path / "more" / "white.jpg", "white")
    only = (str(photos / "red.jpg"), str(tmp_path / "more" / "white.jpg"))
    options = IndexOptions(str(model), only=only)
    *_, last = opened.index([photos, tmp_path / "more"], options)
    assert isinstance(last, RunFinished)
    assert last.summary.added == 2
