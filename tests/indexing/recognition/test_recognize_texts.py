"""Index runs and `searchapp ocr` recognize text, with a fake reader in real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.fake_reader import BOX
from support.library import RunCommand, index_folder
from support.sample_pictures import save_picture

from searchapp.errors import LockedError, SearchAppError
from searchapp.files.lock import hold_writer_lock
from searchapp.indexing.recognition import worker_pool
from searchapp.indexing.recognition.worker_pool import TextWorkerPool
from searchapp.library import Library
from searchapp.pictures.recognition import text_reader
from searchapp.types import (
    Failure,
    FileFailed,
    IndexOptions,
    Query,
    RecognitionOptions,
    SearchOptions,
    TextProgress,
    TextsRecognized,
    TextSummary,
)


def recognize(library: Library, **options: object) -> TextSummary:
    """Recognize text; return the summary without the time."""
    *_, last = library.recognize_text(RecognitionOptions(**options))  # type: ignore[arg-type]
    assert isinstance(last, TextsRecognized)
    return replace(last.summary, seconds=0.0)


def find(library: Library, text: str) -> list[str]:
    hits = library.search(Query(text), SearchOptions(by="text"))
    return [Path(hit.path).name for hit in hits]


def test_an_index_run_reads_new_pictures(opened: Library, photos: Path, model: Path) -> None:
    """The library remembers it, for new and changed content, until it is turned off."""
    summary = index_folder(opened, photos, model, ocr=True)
    assert (summary.added, summary.recognized) == (3, 3)
    assert find(opened, "invoice") == ["red.jpg"]
    assert find(opened, "receipt") == ["blue.jpg"]
    assert index_folder(opened, photos, model).recognized == 0
    save_picture(photos / "red.jpg", "black")
    save_picture(photos / "new.jpg", "red", mark=1)
    assert index_folder(opened, photos, model).recognized == 2
    assert find(opened, "invoice") == ["new.jpg"]
    assert opened.info().text.is_on
    save_picture(photos / "other.jpg", "red", mark=2)
    assert index_folder(opened, photos, model, ocr=False).recognized == 0
    assert not opened.info().text.is_on
    assert opened.info().text.unread == 1


def test_a_run_reads_only_pictures_in_its_folders(
    opened: Library, photos: Path, model: Path
) -> None:
    """A library with many older pictures is not read as a surprise."""
    index_folder(opened, photos, model)
    assert index_folder(opened, photos / "below", model, ocr=True).recognized == 1
    assert opened.info().text.unread == 2


def test_watch_reads_only_the_pictures_that_it_adds(
    opened: Library, photos: Path, model: Path
) -> None:
    """Each of its runs indexes a few changed paths; older pictures wait for a complete run."""
    index_folder(opened, photos, model)
    new = save_picture(photos / "new.jpg", "blue", mark=1)
    changed = {"ocr": True, "only": (str(new),)}
    assert index_folder(opened, photos, model, **changed).recognized == 1
    assert set(find(opened, "receipt")) == {"new.jpg"}
    assert index_folder(opened, photos, model, **changed).recognized == 0
    assert index_folder(opened, photos, model).recognized == 3


def test_a_hit_shows_the_text(opened: Library, photos: Path, model: Path) -> None:
    """With the place of the words in the picture."""
    index_folder(opened, photos, model, ocr=True)
    (hit,) = opened.search(Query("invoice 4711"), SearchOptions(by="text"))
    (match,) = hit.match
    assert (match.by, match.snippet) == ("text", "red invoice 4711")
    (box,) = match.boxes  # A quarter of the line, the word "red", is left out.
    assert box == ((0.3, 0.1), *BOX[1:3], (0.3, 0.2))


def test_indexed_pictures_are_read_once(opened: Library, photos: Path, model: Path) -> None:
    """With a limit and filters; the setting of index runs stays off."""
    index_folder(opened, photos, model)
    assert recognize(opened, folder=photos / "below") == TextSummary(1, 1, 0, 0, 0.0, "fake 1")
    assert recognize(opened, limit=1) == TextSummary(1, 1, 0, 1, 0.0, "fake 1")
    assert recognize(opened) == TextSummary(1, 1, 0, 0, 0.0, "fake 1")
    assert recognize(opened) == TextSummary(0, 0, 0, 0, 0.0, "fake 1")
    assert not opened.info().text.is_on


def test_a_newer_reader_reads_again_if_asked(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Index runs and plain runs leave the text of an older version."""
    index_folder(opened, photos, model, ocr=True)
    monkeypatch.setattr(text_reader, "DEFAULT_READER", "support.fake_reader:NewerReader")
    assert index_folder(opened, photos, model).recognized == 0
    assert recognize(opened).read == 0
    assert recognize(opened, update=True) == TextSummary(3, 3, 0, 0, 0.0, "fake 2")
    assert recognize(opened, update=True).read == 0


def test_failures_do_not_stop_the_run(opened: Library, tmp_path: Path, model: Path) -> None:
    """A reader that raises, and one that ends its process; both are recorded, and retried."""
    folder = tmp_path / "pictures"
    for name, color in (("a", "aqua"), ("b", "yellow"), ("c", "red"), ("d", "white")):
        save_picture(folder / f"{name}.png", color)
    summary = index_folder(opened, folder, model, ocr=True)
    assert (summary.added, summary.failed, summary.recognized) == (4, 0, 2)
    raised = Failure(str(folder / "b.png"), "text", "ValueError: the network is broken")
    ended = "the process that recognizes text ended (exit code 7)"
    assert opened.failures() == [Failure(str(folder / "a.png"), "text", ended), raised]
    assert index_folder(opened, folder, model).recognized == 0
    events = list(opened.recognize_text(RecognitionOptions(retry_failed=True)))
    assert events.count(FileFailed(raised)) == 1
    assert opened.info().text.failed == 2
    assert recognize(opened).read == 0


def test_missing_files_are_skipped_and_read_later(
    opened: Library, photos: Path, model: Path
) -> None:
    """A drive that is not mounted is no lasting failure."""
    index_folder(opened, photos, model)
    data = (photos / "red.jpg").read_bytes()
    (photos / "red.jpg").unlink()
    (photos / "green.png").write_bytes(data)
    summary = recognize(opened)
    assert (summary.read, summary.failed, summary.unread) == (1, 2, 2)
    assert opened.failures() == []
    (photos / "red.jpg").write_bytes(data)
    assert recognize(opened).read == 1
    assert find(opened, "invoice") == ["red.jpg"]


def test_an_interrupted_run_continues(opened: Library, tmp_path: Path, model: Path) -> None:
    """What was read is kept; the processes end with the run."""
    for number in range(8):
        save_picture(tmp_path / f"many/{number}.png", "red", mark=number)
    index_folder(opened, tmp_path / "many", model)
    pools: list[TextWorkerPool] = []
    first = worker_pool.TextWorkerPool.__init__

    def note(self: TextWorkerPool, *arguments: object) -> None:
        pools.append(self)
        first(self, *arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(worker_pool.TextWorkerPool, "__init__", note)
        events = opened.recognize_text()
        first_event = next(events)
        assert isinstance(first_event, TextProgress)
        assert first_event.total == 8
        processes = [worker.process for worker in pools[0]._workers]
        assert isinstance(events, Iterator)
        events.close()  # type: ignore[attr-defined]
    assert processes
    assert all(process.poll() is not None for process in processes)
    before = 8 - opened.info().text.unread
    assert 1 <= before < 8
    assert recognize(opened).read == 8 - before


def test_a_second_writer_waits(opened: Library, photos: Path, model: Path) -> None:
    index_folder(opened, photos, model)
    with hold_writer_lock(opened.folder, "another"), pytest.raises(LockedError):
        list(opened.recognize_text())


def test_a_missing_extra_is_one_message(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is indexed, and nothing is remembered."""
    monkeypatch.setattr(text_reader, "MODULE", "no_such_reader")
    options = IndexOptions(model=str(model), ocr=True)
    for call in (lambda: opened.index([photos], options), opened.recognize_text):
        with pytest.raises(SearchAppError, match=r"needs the extra ocr: pip install .*\[ocr\]"):
            list(call())  # type: ignore[operator]
    assert not opened.info().text.is_on
    assert opened.info().images == 0
    opened._catalog.recognized_texts.turn(True)
    with pytest.raises(SearchAppError, match="--no-ocr"):
        list(opened.index([photos], replace(options, ocr=None)))
    index_folder(opened, photos, model, ocr=False)


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        ("BrokenReader", "does not start .ImportError: libgomp.so.1 is missing."),
        ("DyingReader", "ended 3 times while it started .exit code 9."),
    ],
)
def test_a_reader_that_does_not_start_costs_no_vector(
    opened: Library,
    photos: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    reader: str,
    message: str,
) -> None:
    """The error comes after the embedding, and no picture is a failure."""
    monkeypatch.setattr(text_reader, "DEFAULT_READER", f"support.fake_reader:{reader}")
    with pytest.raises(SearchAppError, match=message):
        index_folder(opened, photos, model, ocr=True)
    assert opened.info().collections[0].images == 3
    assert opened.info().text.unread == 3
    assert opened.failures() == []


def test_a_hanging_reader_is_killed(tmp_path: Path) -> None:
    """After two attempts, its picture is a failure."""
    from searchapp.catalog import UnreadImage
    from searchapp.pictures.decode import hash_bytes
    from searchapp.types import Original

    file = save_picture(tmp_path / "hang.png", "magenta")
    image = UnreadImage(1, (Original(str(file), hash_bytes(file.read_bytes())),), 1.0)
    with TextWorkerPool(1, "support.fake_reader:FakeReader", answer_timeout_s=0.0) as pool:
        pool.submit(image)
        outcomes = []
        while not outcomes:
            outcomes = pool.receive(0.1)
    (outcome,) = outcomes
    assert isinstance(outcome.result, Failure)
    assert outcome.result.message == "the process that recognizes text ended (killed by SIGKILL)"


def test_the_commands(run: RunCommand, photos: Path, model: Path) -> None:
    """`index --ocr`, `info`, `ocr --json`, and the counts in each."""
    assert run("index", photos, "--model", model).exit_code == 0
    result = run("ocr", "--in", photos / "below", "--json")
    values = json.loads(result.stdout)
    assert (values["read"], values["with_text"], values["unread"]) == (1, 1, 0)
    assert "1 picture read, 1 with text" in result.stderr
    info = json.loads(run("info", "--json").stdout)
    assert info["text"] == {
        "is_on": False, "with_text": 1, "without_text": 0, "failed": 0, "unread": 2,
    }  # fmt: skip
    assert "1 picture read, 1 with text, 2 unread" in run("info").stdout
    result = run("index", photos, "--ocr", "--json")
    assert json.loads(result.stdout)["recognized"] == 2
    assert "reading text: 2/2" in result.stderr
    assert "index runs read new pictures: yes" in run("info").stdout
    hits = json.loads(run("query", "invoice", "--by", "text", "--json").stdout)
    assert hits[0]["match"][0]["by"] == "text"
