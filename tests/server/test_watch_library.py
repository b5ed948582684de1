"""LibraryWatch: the first run waits for other writers; all runs share one engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.library import FakeEngines, index_folder
from support.sample_pictures import save_picture

from searchapp.errors import LockedError
from searchapp.files.lock import hold_writer_lock
from searchapp.indexing.watch import ChangesIndexed, LinksOutdated, LinksUpdated
from searchapp.library import Library
from searchapp.server.resident_lock import ResidentUnavailableError
from searchapp.server.start_resident import ResidentConfig
from searchapp.server.watch_library import LibraryWatch
from searchapp.types import IndexEvent, IndexOptions, Query, RunFinished, SearchOptions


def test_the_first_run_waits_for_another_writer(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It notifies once, whatever the number of retries, and then indexes all files."""
    monkeypatch.setattr("searchapp.server.watch_library.LOCKED_RETRY_INTERVAL_S", 0.05)
    library, notes = tmp_path / "library", list[str]()
    Library.open(library, create=True).close()
    watch = LibraryWatch(
        [photos], ResidentConfig(library), IndexOptions(model=str(model)), fake_engines,
        use_resident=False, quiet_s=0.2, notify=notes.append,
    )  # fmt: skip
    unlock = threading.Event()

    def hold() -> None:
        with hold_writer_lock(library, "another process"):
            is_held.set()
            unlock.wait(30)

    is_held = threading.Event()
    writer = threading.Thread(target=hold)
    writer.start()
    assert is_held.wait(30)
    threading.Timer(0.5, unlock.set).start()
    *_, last = watch.index_all()
    writer.join()
    assert isinstance(last, RunFinished) and last.summary.added == 3
    assert [note.split(":")[0] for note in notes] == ["waiting"]


def test_other_processes_see_that_watch_writes(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Also while it scans complete folders, as at its start."""
    library = tmp_path / "library"
    watch = LibraryWatch(
        [photos], ResidentConfig(library), IndexOptions(model=str(model)), fake_engines,
        use_resident=False, quiet_s=0.2, notify=pytest.fail,
    )  # fmt: skip
    run = watch.index_all()
    next(run)
    with (
        pytest.raises(LockedError, match=r"is being written by searchapp watch \(process"),
        hold_writer_lock(library, "another command"),
    ):
        pass
    list(run)


def test_one_engine_serves_all_runs(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Without the resident process, all runs share one engine; each run has its guard."""
    event_counts = list[int]()

    def guard(events: Iterator[IndexEvent]) -> Iterator[IndexEvent]:
        event_counts.append(0)
        for event in events:
            event_counts[-1] += 1
            yield event

    watch = LibraryWatch(
        [photos], ResidentConfig(tmp_path / "library"), IndexOptions(model=str(model)),
        fake_engines, use_resident=False, quiet_s=0.2, guard=guard, notify=pytest.fail,
    )  # fmt: skip
    with watch:
        assert watch.roots == [photos]
        list(watch.index_all())
        save_picture(photos / "yellow.jpg", "yellow")
        batch = next(watch.index_changes())
        assert not fake_engines.started_engines[0].is_closed
    assert isinstance(batch, ChangesIndexed) and batch.summary.added == 1
    (engine,) = fake_engines.started_engines
    assert engine.is_closed
    assert len(event_counts) >= 2 and all(event_counts)


def test_own_engine_is_used_if_another_user_has_the_resident_process(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A note says why, once; the pictures are embedded in this process."""

    def refuse(*arguments: object) -> None:
        raise ResidentUnavailableError("another user has it")

    monkeypatch.setattr("searchapp.server.watch_library.ensure_running", refuse)
    notes = list[str]()
    watch = LibraryWatch(
        [photos], ResidentConfig(tmp_path / "library"), IndexOptions(model=str(model)),
        fake_engines, quiet_s=0.2, notify=notes.append,
    )  # fmt: skip
    with watch:
        *_, last = watch.index_all()
    assert isinstance(last, RunFinished) and last.summary.added == 3
    assert notes == ["embedding without the resident process: another user has it"]
    (engine,) = fake_engines.started_engines
    assert engine.is_closed


@pytest.fixture
def linked_watch(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> Iterator[LibraryWatch]:
    """Watch of three pictures, with links to the red ones in the folder links."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
        search = library.saved.add("reds", Query("red"), SearchOptions(min_score=0.99))
        library.sync_links(library.saved.set_link_folder(search, tmp_path / "links"))
    with LibraryWatch(
        [photos], ResidentConfig(tmp_path / "library"), IndexOptions(model=str(model)),
        fake_engines, use_resident=False, quiet_s=0.2, notify=pytest.fail,
    ) as watch:  # fmt: skip
        yield watch


def list_links(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.is_symlink())


def test_links_follow_the_watched_pictures(
    tmp_path: Path, photos: Path, linked_watch: LibraryWatch
) -> None:
    """A run that changes nothing searches nothing; each run that does updates the links."""
    assert list_links(tmp_path / "links") == ["red.jpg"]
    list(linked_watch.index_all())
    events = linked_watch.index_changes()
    save_picture(photos / "new.jpg", "red", mark=1)
    batch, links = next(events), next(events)
    assert isinstance(batch, ChangesIndexed) and batch.summary.added == 1
    assert links == LinksUpdated(str(tmp_path / "links"), "reds", added=1, removed=0)
    (photos / "red.jpg").unlink()
    batch, links = next(events), next(events)
    assert isinstance(batch, ChangesIndexed) and batch.summary.removed == 1
    assert links == LinksUpdated(str(tmp_path / "links"), "reds", added=0, removed=1)
    assert list_links(tmp_path / "links") == ["new.jpg"]


def test_links_follow_the_first_run(
    tmp_path: Path, photos: Path, linked_watch: LibraryWatch
) -> None:
    save_picture(photos / "new.jpg", "red", mark=1)
    list(linked_watch.index_all())
    links = next(linked_watch.index_changes())
    assert links == LinksUpdated(str(tmp_path / "links"), "reds", added=1, removed=0)


def test_watch_goes_on_without_the_folder_of_links(
    tmp_path: Path, photos: Path, linked_watch: LibraryWatch
) -> None:
    """One event says why; the same reason is not repeated; a folder that is back is updated."""
    (tmp_path / "links").rename(tmp_path / "away")
    list(linked_watch.index_all())
    events = linked_watch.index_changes()
    save_picture(photos / "new.jpg", "red", mark=1)
    batch, links = next(events), next(events)
    assert isinstance(batch, ChangesIndexed)
    assert isinstance(links, LinksOutdated) and "does not exist" in links.reason
    save_picture(photos / "newer.jpg", "red", mark=2)
    assert isinstance(next(events), ChangesIndexed)
    save_picture(photos / "newest.jpg", "red", mark=3)
    assert isinstance(next(events), ChangesIndexed)
    (tmp_path / "away").rename(tmp_path / "links")
    assert next(events) == LinksUpdated(str(tmp_path / "links"), "reds", added=3, removed=0)
