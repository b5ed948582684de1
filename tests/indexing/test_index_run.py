"""Indexing, through the library, on a fake engine."""

import logging
import os
import shutil
from pathlib import Path

import pytest
from support.fake_engine import REFUSED_COLOR
from support.library import FakeEngines, index_folder, search_file_names, write_fake_clip
from support.sample_pictures import save_picture

from searchapp.errors import FolderError, LibraryError, ModelError
from searchapp.library import Library
from searchapp.types import (
    EngineStarting,
    FileFailed,
    IndexOptions,
    Progress,
    Query,
    RunFinished,
    RunSummary,
    ScanFinished,
    SearchOptions,
)


def test_everything_new_is_embedded(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Each picture is embedded once, and found by its color."""
    assert index_folder(opened, photos, model) == RunSummary(added=3)
    assert fake_engines.embedded_count == 3
    assert search_file_names(opened, "blue") == ["blue.jpg"]
    info = opened.info()
    assert (info.images, info.files, info.collections[0].images) == (3, 3, 3)


def test_the_events_of_a_run_are_in_order(opened: Library, photos: Path, model: Path) -> None:
    """The scan, the engine's start, failures, progress and the end come in this order."""
    (photos / "broken.jpg").write_bytes(b"no picture")
    kinds = [
        type(event) for event in opened.index([photos], IndexOptions(str(model), batch_size=2))
    ]
    assert kinds == [ScanFinished, EngineStarting, FileFailed, Progress, Progress, RunFinished]


def test_a_second_run_opens_nothing(
    opened: Library,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unchanged files are recognized by size and time, without reading them."""
    index_folder(opened, photos, model)
    monkeypatch.setattr(
        "searchapp.files.storage.read_file", lambda path: pytest.fail(f"{path} was opened")
    )
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3)
    assert fake_engines.embedded_count == 3


def test_a_touched_file_is_read_but_not_embedded(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A new time with the old content needs a hash, but no embedding."""
    index_folder(opened, photos, model)
    os.utime(photos / "red.jpg", (1, 1))
    assert index_folder(opened, photos, model) == RunSummary(added=1, unchanged=2)
    assert fake_engines.embedded_count == 3
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3)


def test_a_changed_file_is_embedded_again(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """The path is found by its new content, and no longer by its old content."""
    index_folder(opened, photos, model)
    save_picture(photos / "red.jpg", "yellow")
    assert index_folder(opened, photos, model) == RunSummary(added=1, unchanged=2)
    assert fake_engines.embedded_count == 4
    assert search_file_names(opened, "yellow") == ["red.jpg"]
    assert search_file_names(opened, "red") == []


def test_a_moved_file_keeps_its_embedding(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A moved file is not embedded again, and found under its new path."""
    index_folder(opened, photos, model)
    (photos / "red.jpg").rename(photos / "below" / "scarlet.jpg")
    assert index_folder(opened, photos, model) == RunSummary(unchanged=2, moved=1)
    assert fake_engines.embedded_count == 3
    assert search_file_names(opened, "red") == ["scarlet.jpg"]


def test_a_renamed_folder_keeps_all_embeddings(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines, tmp_path: Path
) -> None:
    """After a rename of the root, no picture is embedded again."""
    index_folder(opened, photos, model)
    photos.rename(tmp_path / "pictures")
    assert index_folder(opened, tmp_path / "pictures", model) == RunSummary(added=3)
    assert fake_engines.embedded_count == 3
    assert search_file_names(opened, "green") == ["green.png"]


def test_a_duplicate_is_embedded_once(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Two files with the same bytes are one image, in the same run or in different runs."""
    shutil.copy(photos / "red.jpg", photos / "copy.jpg")
    assert index_folder(opened, photos, model) == RunSummary(added=4)
    shutil.copy(photos / "red.jpg", photos / "below" / "another copy.jpg")
    assert index_folder(opened, photos, model) == RunSummary(added=1, unchanged=4)
    assert fake_engines.embedded_count == 3
    (hit, *_) = opened.search(Query("red"))
    assert Path(hit.path).name == "red.jpg"
    assert [Path(path).name for path in hit.also] == ["copy.jpg", "another copy.jpg"]


def test_a_deleted_file_is_forgotten_but_not_its_embedding(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A restored file is found again without a new embedding."""
    index_folder(opened, photos, model)
    kept = (photos / "red.jpg").read_bytes()
    (photos / "red.jpg").unlink()
    assert search_file_names(opened, "red") == []
    assert index_folder(opened, photos, model) == RunSummary(unchanged=2, removed=1)
    assert opened.info().files == 2
    (photos / "back.jpg").write_bytes(kept)
    assert index_folder(opened, photos, model) == RunSummary(added=1, unchanged=2)
    assert fake_engines.embedded_count == 3
    assert search_file_names(opened, "red") == ["back.jpg"]


def test_pictures_are_found_by_content(opened: Library, photos: Path, model: Path) -> None:
    """A picture with any suffix is indexed; a text fails only if its suffix is a picture's."""
    (photos / "red.jpg").rename(photos / "red.dat")
    (photos / "green.png").rename(photos / "green")
    (photos / "note.txt").write_text("no picture")
    (photos / "note.jpg").write_text("no picture")
    assert index_folder(opened, photos, model) == RunSummary(added=3, failed=1)
    assert search_file_names(opened, "red") == ["red.dat"]
    assert [Path(failure.path).name for failure in opened.failures()] == ["note.jpg"]
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3)


def test_bad_files_are_left_out_with_a_reason(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Empty, truncated and refused pictures affect no other; each reason is stored."""
    (photos / "empty.jpg").touch()
    data = (photos / "red.jpg").read_bytes()
    (photos / "truncated.jpg").write_bytes(data[: len(data) // 2])
    save_picture(photos / "refused.png", "#{:02x}{:02x}{:02x}".format(*REFUSED_COLOR))
    assert index_folder(opened, photos, model) == RunSummary(added=3, failed=3)
    reasons = {Path(f.path).name: (f.stage, f.message) for f in opened.failures()}
    assert reasons["empty.jpg"] == ("read", "the file is empty")
    assert reasons["refused.png"] == ("embed", "a picture that the model does not take")
    assert reasons["truncated.jpg"][0] == "decode"
    assert search_file_names(opened, "green") == ["green.png"]


def test_decisions_of_a_run_are_logged(
    opened: Library, photos: Path, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With -v, the log has each skipped file with its reason, and the phases of the run."""
    caplog.set_level(logging.INFO, "searchapp")
    (photos / "empty.jpg").touch()
    index_folder(opened, photos, model)
    assert (
        f"Skipped the file {photos / 'empty.jpg'} in the stage read: the file is empty"
        in caplog.messages
    )
    assert any(text.startswith("Scanned 4 files in ") for text in caplog.messages)
    assert any(text.startswith("Embedding 4 files in batches of ") for text in caplog.messages)
    assert any(text.startswith("Finished the index run: ") for text in caplog.messages)


def test_failures_are_retried_only_on_change_or_request(
    opened: Library, photos: Path, model: Path
) -> None:
    """Only --retry-failed or new content retries a failure; deleting the file removes it."""
    (photos / "bad.jpg").write_text("no picture")
    (photos / "worse.jpg").write_text("no picture")
    assert index_folder(opened, photos, model).failed == 2
    scanned = next(iter(opened.index([photos], IndexOptions(str(model)))))
    assert isinstance(scanned, ScanFinished)
    assert (scanned.pending_files, scanned.failed_before) == (0, 2)
    assert index_folder(opened, photos, model, retry_failed=True).failed == 2
    save_picture(photos / "bad.jpg", "yellow")
    (photos / "worse.jpg").unlink()
    assert index_folder(opened, photos, model) == RunSummary(added=1, unchanged=3)
    assert opened.failures() == []
    assert search_file_names(opened, "yellow") == ["bad.jpg"]


def test_a_picture_that_becomes_unreadable_is_not_found(
    opened: Library, photos: Path, model: Path
) -> None:
    """A path is not found by content that it no longer has."""
    index_folder(opened, photos, model)
    (photos / "red.jpg").write_text("no picture any more")
    assert index_folder(opened, photos, model) == RunSummary(unchanged=2, failed=1)
    assert search_file_names(opened, "red") == []


def test_a_limit_is_kept_and_the_next_run_continues(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Each run embeds at most `limit` files, and the next run continues."""
    assert index_folder(opened, photos, model, limit=2) == RunSummary(added=2)
    assert index_folder(opened, photos, model, limit=2) == RunSummary(added=1, unchanged=2)
    assert fake_engines.embedded_count == 3


def test_a_dry_run_changes_nothing(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A dry run reports what would be read and forgotten, and starts no engine."""
    assert index_folder(opened, photos, model, dry_run=True) == RunSummary(added=3)
    assert opened.info().collections == ()
    index_folder(opened, photos, model)
    (photos / "red.jpg").unlink()
    assert index_folder(opened, photos, model, dry_run=True) == RunSummary(unchanged=2, removed=1)
    assert opened.info().files == 3
    assert len(fake_engines.started_engines) == 1


def test_an_interrupted_run_keeps_what_it_saved(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """An interruption loses at most one batch; the next run embeds only the rest."""
    events = opened.index([photos], IndexOptions(str(model), batch_size=1))
    for event in events:
        if isinstance(event, Progress) and event.done == 2:
            break
    events.close()
    assert opened.info().collections[0].images == 2
    assert opened.info().collections[0].last_run is None
    assert index_folder(opened, photos, model) == RunSummary(added=1, unchanged=2)
    assert fake_engines.embedded_count == 3


def test_an_empty_root_changes_nothing(opened: Library, photos: Path, model: Path) -> None:
    """An unmounted drive does not empty the library."""
    index_folder(opened, photos, model)
    photos.rename(photos.with_name("elsewhere"))
    with pytest.raises(FolderError, match="no such folder"):
        index_folder(opened, photos, model)
    photos.mkdir()
    with pytest.raises(
        FolderError, match=r"the library knows 3 pictures in it\. Check that its drive is mounted"
    ):
        index_folder(opened, photos, model)
    assert opened.info().files == 3


def test_an_unreadable_folder_loses_nothing(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library keeps files below a folder that cannot be listed."""
    index_folder(opened, photos, model)
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if str(folder).endswith("below"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert index_folder(opened, photos, model) == RunSummary(unchanged=2, failed=1, unlisted=1)
    assert search_file_names(opened, "blue") == ["blue.jpg"]


def test_two_models_live_side_by_side(
    opened: Library, photos: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """A second model embeds all pictures again; each collection has its own results."""
    other = write_fake_clip(tmp_path / "models" / "other-clip", b"other weights")
    index_folder(opened, photos, model)
    assert index_folder(opened, photos, other) == RunSummary(added=3)
    assert fake_engines.embedded_count == 6
    save_picture(photos / "yellow.jpg", "yellow")
    index_folder(opened, photos, model)
    names = [(c.name, c.images) for c in opened.info().collections]
    assert sorted(names) == [("fake-clip", 4), ("other-clip", 3)]
    count = {
        name: len(opened.search(Query("yellow"), SearchOptions(collection=name)))
        for name in ("fake-clip", "other-clip")
    }
    assert count == {"fake-clip": 4, "other-clip": 3}


def test_a_collection_remembers_its_model(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Without --model, the collection's model is used; another model is an error."""
    other = write_fake_clip(tmp_path / "models" / "other-clip", b"other weights")
    index_folder(opened, photos, model, collection="mine")
    *_, last = opened.index([photos])
    assert isinstance(last, RunFinished)
    assert last.summary.unchanged == 3
    with pytest.raises(ModelError, match=r"collection mine was made with the model .*fake-clip"):
        index_folder(opened, photos, other, collection="mine")


def test_a_changed_model_folder_is_noticed(opened: Library, photos: Path, model: Path) -> None:
    """Vectors of different weights are never mixed."""
    index_folder(opened, photos, model)
    (model / "model.safetensors").write_bytes(b"trained further")
    with pytest.raises(
        ModelError, match=r"fake-clip was made with another revision of the model .*; run"
    ):
        opened.search(Query("red"))
    assert index_folder(opened, photos, model) == RunSummary(added=3)
    assert {c.name for c in opened.info().collections} == {"fake-clip", "fake-clip-2"}


def test_one_writer_at_a_time(opened: Library, photos: Path, model: Path, tmp_path: Path) -> None:
    """A second index names the writing process; readers can still read."""
    events = opened.index([photos], IndexOptions(str(model), batch_size=1))
    next(iter(events))
    with Library.open(tmp_path / "library") as second:
        with pytest.raises(LibraryError, match=rf"searchapp index \(process {os.getpid()} on"):
            index_folder(second, photos, model)
        assert second.info().collections
    events.close()
    assert index_folder(opened, photos, model).added == 3


def test_file_names_that_are_not_utf8_are_kept(opened: Library, photos: Path, model: Path) -> None:
    """Every file name that the system allows is indexed, found, and forgotten."""
    names = [b"caf\xe9.jpg", "caf\u00e9.jpg".encode(), b"new\nline.jpg"]
    for mark, name in enumerate(names):
        save_picture(photos / "x.jpg", "yellow", mark=mark + 1)
        (photos / "x.jpg").rename(os.fsdecode(os.fsencode(photos) + b"/" + name))
    assert index_folder(opened, photos, model) == RunSummary(added=6)
    assert index_folder(opened, photos, model) == RunSummary(unchanged=6)
    assert {os.fsencode(name) for name in search_file_names(opened, "yellow")} == set(names)
    below = opened.search(Query("yellow"), SearchOptions(count=9, folder=photos))
    assert len(below) == 6
    Path(os.fsdecode(os.fsencode(photos) + b"/" + names[0])).unlink()
    assert index_folder(opened, photos, model) == RunSummary(unchanged=5, removed=1)


def test_overlapping_roots_count_once(opened: Library, photos: Path, model: Path) -> None:
    """A folder that is given together with its parent is scanned once."""
    *_, last = opened.index([photos, photos / "below"], IndexOptions(str(model)))
    assert isinstance(last, RunFinished)
    assert last.summary.added == 3


def test_a_folder_with_a_common_name_prefix_is_not_below_the_other(
    opened: Library, tmp_path: Path, model: Path
) -> None:
    """`photos-old` is not below `photos`: indexing one forgets nothing of the other."""
    save_picture(tmp_path / "photos/a.jpg", "red")
    save_picture(tmp_path / "photos-old/b.jpg", "blue")
    index_folder(opened, tmp_path / "photos-old", model)
    assert index_folder(opened, tmp_path / "photos", model) == RunSummary(added=1)
    assert opened.info().files == 2
