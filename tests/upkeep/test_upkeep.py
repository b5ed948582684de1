"""What keeps a library in order: the guard for drives, check, prune, backup, export and import."""

import json
import os
import pty
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from support.library import FakeEngines, RunCommand, index_folder, library_environment
from support.sample_pictures import save_picture

from searchapp.errors import FolderError, LibraryError
from searchapp.library import Library
from searchapp.types import IndexOptions, PruneResult, Query, RunSummary, VanishedFilesKept

MANY = 60


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Sixty pictures in three folders, no two alike."""
    folder = tmp_path / "many"
    for number in range(MANY):
        place = folder / "abc"[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        save_picture(
            place / f"{number:02}.png", (number * 4, 255 - number * 4, (number * 37) % 256)
        )
    return folder


def catalog_of(library: Library) -> sqlite3.Connection:
    return sqlite3.connect(library.folder / "catalog.db", isolation_level=None)


# The guard


def test_many_lost_files_are_kept(
    opened: Library, many: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A third of the files gone may be a drive; what returns costs no embedding."""
    index_folder(opened, many, model)
    (many / "a").rename(many.with_name("away"))
    events = list(opened.index([many], IndexOptions(str(model))))
    assert VanishedFilesKept(str(many), 20, MANY) in events
    assert index_folder(opened, many, model) == RunSummary(unchanged=40, kept=20)
    assert opened.info().files == MANY
    assert len(opened.search(Query("red"))) > 0
    many.with_name("away").rename(many / "a")
    assert index_folder(opened, many, model) == RunSummary(unchanged=MANY)
    assert fake_engines.embedded_count == MANY


def test_few_lost_files_are_forgotten(opened: Library, many: Path, model: Path) -> None:
    """A person deletes a picture now and then, and a small folder."""
    index_folder(opened, many, model)
    for number in range(0, 30, 3):
        (many / "a" / f"{number:02}.png").unlink()
    assert index_folder(opened, many, model) == RunSummary(unchanged=50, removed=10)


def test_what_is_excluded_is_not_lost(opened: Library, many: Path, model: Path) -> None:
    """Files that a rule leaves out now are forgotten without a question, however many."""
    index_folder(opened, many, model)
    (many / ".searchappignore").write_text("a/\nb/\n")
    assert index_folder(opened, many, model) == RunSummary(unchanged=20, removed=40)
    (many / ".searchappignore").unlink()
    assert index_folder(opened, many, model) == RunSummary(unchanged=20, added=40)


def test_what_has_moved_is_not_lost(opened: Library, many: Path, model: Path) -> None:
    """A folder by another name is found again by its contents."""
    index_folder(opened, many, model)
    (many / "a").rename(many / "another")
    assert index_folder(opened, many, model) == RunSummary(unchanged=40, moved=20)


def test_prune_forgets_however_many(
    opened: Library, many: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A root that is gone, too; what comes back is read, and not embedded again."""
    index_folder(opened, many, model)
    shutil.rmtree(many / "a")
    assert index_folder(opened, many, model, prune=True) == RunSummary(unchanged=40, removed=20)
    many.rename(many.with_name("away"))
    with pytest.raises(FolderError, match="no such folder"):
        index_folder(opened, many, model)
    assert index_folder(opened, many, model, prune=True) == RunSummary(removed=40)
    with pytest.raises(FolderError, match="nothing known below it"):
        index_folder(opened, many / "typo", model, prune=True)
    many.with_name("away").rename(many)
    assert index_folder(opened, many, model) == RunSummary(added=40)
    assert fake_engines.embedded_count == MANY


def test_a_person_is_asked(many: Path, model: Path, run: RunCommand, tmp_path: Path) -> None:
    """Only one at a terminal; without, the files are kept, and the way out is told."""
    run("index", many, "--model", model)
    shutil.rmtree(many / "a")
    done = run("index", many)
    assert "20 of 60 files below" in done.stderr and "--prune forgets them" in done.stderr
    assert "20 gone but kept" in done.stderr
    for answer, files in ((b"n\n", MANY), (b"y\n", 40)):
        terminal, theirs = pty.openpty()
        asked = subprocess.Popen(
            [sys.executable, "-m", "searchapp", "index", many],
            env=os.environ | library_environment(tmp_path),
            stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        said = b""
        while b"Forget the 20 files? [y/N]" not in said:
            said += os.read(terminal, 1000)
        os.write(terminal, answer)
        while b" s; in " not in said:
            said += os.read(terminal, 1000)
        assert asked.wait(30) == 0
        os.close(terminal)
        assert b"gone but kept" in said if answer == b"n\n" else b"20 removed" in said
        with Library.open(tmp_path / "library") as library:
            assert library.info().files == files


# Prune


def test_prune_removes_what_no_file_holds(
    opened: Library, many: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """With embeddings and thumbnails, from the index as well; a rehearsal changes nothing."""
    index_folder(opened, many, model)
    assert opened.prune() == PruneResult()
    (many / "a" / "00.png").unlink()
    (many / "b" / "01.png").unlink()
    assert opened.prune() == PruneResult()  # index has not looked yet
    index_folder(opened, many, model)
    (lost,) = (
        catalog_of(opened)
        .execute("select sha256 from images where id not in (select image_id from files) limit 1")
        .fetchone()
    )
    thumbnail = opened.folder / "thumbnails" / lost[:2] / f"{lost}-320.webp"
    thumbnail.parent.mkdir(parents=True)
    thumbnail.touch()
    expected = PruneResult(images=2, embeddings=2, thumbnails=1)
    assert opened.prune(dry=True) == expected
    assert opened.info().collections[0].images == MANY and thumbnail.exists()
    assert opened.prune() == expected
    assert opened.info().images == opened.info().collections[0].images == MANY - 2
    assert not thumbnail.exists()
    assert len(opened.search(Query("red"))) == 10
    assert list(opened.check(files=None)) == []


def test_prune_missing_looks_itself(
    opened: Library, many: Path, model: Path, run: RunCommand
) -> None:
    """A folder that was deleted, and is not to be indexed any more."""
    index_folder(opened, many, model)
    shutil.rmtree(many / "a")
    assert "20 files that are gone, 20 images" in run("prune", "--missing", "--dry-run").stderr
    assert opened.info().files == MANY
    assert json.loads(run("prune", "--missing", "--json").stdout)["embeddings"] == 20
    assert (opened.info().files, opened.info().images) == (40, 40)


# Check


def spoil_vector(library: Library, packed: bytes) -> None:
    catalog_of(library).execute("update embeddings set vector = ? where id = 7", (packed,))


def spoil_image(library: Library) -> None:
    catalog_of(library).execute("delete from images where id = 7")  # foreign keys are off here


def spoil_count(library: Library) -> None:
    catalog_of(library).execute("update collections set embedded = embedded + 3")


def spoil_ids(library: Library) -> None:
    """Let the index file hold an id that is not embedded, and not one that is."""
    db = catalog_of(library)
    db.execute("update embeddings set id = 1000 where id = 7")
    db.execute("update collections set last_embedding = 1000, index_last_id = 1000")


def spoil_file(library: Library) -> None:
    (file,) = library.folder.glob("*.faiss")
    file.write_bytes(file.read_bytes()[:-1])


def spoil_scores(library: Library) -> None:
    """Change the numbers in the index file, not its length."""
    (file,) = library.folder.glob("*.faiss")
    data = bytearray(file.read_bytes())
    half = len(data) // 2
    data[half : half + 4000] = np.random.default_rng(0).normal(size=1000).astype("<f4").tobytes()
    file.write_bytes(data)


def leave_files(library: Library) -> None:
    for name in ("collection-1-0123.tmp", "collection-9-0123.faiss", "thumbnails/ab/abc-320.webp"):
        file = library.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (time.time() - 7200,) * 2)


SPOILT: list[tuple[Callable[[Library], None], int, str]] = [
    (lambda it: spoil_vector(it, b"1234"), 1, "1 stored embeddings are not vectors of length one"),
    (
        lambda it: spoil_vector(it, np.zeros(48, "<f2").tobytes()),
        1,
        "1 stored embeddings are not vectors",
    ),
    (
        lambda it: spoil_vector(it, np.full(48, np.nan, "<f2").tobytes()),
        1,
        "1 stored embeddings are not vectors",
    ),
    (spoil_image, 1, "1 orphaned rows in the table embeddings"),
    (spoil_count, 0, "the count of embeddings is 63, but 60 are stored"),
    (spoil_ids, 0, "the file holds other vectors than the catalog"),
    (spoil_file, 0, "changed since it was written"),
    (spoil_scores, 0, "of the 200 nearest vectors"),
    (lambda it: next(it.folder.glob("*.faiss")).unlink(), 0, "is missing"),
    (leave_files, 0, "1 index files belong to no collection"),
]


@pytest.mark.parametrize(("spoil", "lost", "what"), SPOILT)
def test_what_is_wrong_is_found_and_mended(
    spoil: Callable[[Library], None],
    lost: int,
    what: str,
    tmp_path: Path,
    many: Path,
    model: Path,
    fake_engines: FakeEngines,
) -> None:
    """Each is told, mended, and gone; what was lost is embedded again by the next run."""
    folder = tmp_path / "library"
    with Library.open(folder, create=True, start=fake_engines) as library:
        index_folder(library, many, model)
        assert list(library.check(files=None)) == []
        before = library.search(Query("red"))
        spoil(library)
    with Library.open(folder, start=fake_engines) as library:
        faults = list(library.check())
        assert any(what in fault.what for fault in faults), faults
        assert not any(fault.mended for fault in faults)
        mended = list(library.check(repair=True))
        assert mended and all(fault.mended for fault in mended)
        assert list(library.check(files=None)) == []
        index_folder(library, many, model)
        assert fake_engines.embedded_count == MANY + lost
        assert library.info().collections[0].images == MANY
        assert [hit.path for hit in library.search(Query("red"))] == [hit.path for hit in before]


def test_a_rotten_file_is_found(opened: Library, many: Path, model: Path, run: RunCommand) -> None:
    """Other bytes at the same size and time; the next run reads the file again."""
    index_folder(opened, many, model)
    file, other = many / "a" / "00.png", many / "a" / "03.png"
    state, data = file.stat(), bytearray(file.read_bytes())
    data[-1] ^= 1  # beyond what a decoder looks at
    file.write_bytes(data)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    done = run("check", "--all-files")
    assert done.exit_code == 1
    assert f"{file}: the content changed since it was indexed" in done.stdout
    assert str(other) not in done.stdout
    assert run("check", "--all-files", "--repair").exit_code == 0
    assert index_folder(opened, many, model).unchanged == MANY - 1
    assert run("check", "--all-files").exit_code == 0


def test_a_damaged_catalogue_is_told(
    tmp_path: Path, many: Path, model: Path, run: RunCommand
) -> None:
    """It cannot be mended; the way out is a backup, which works."""
    run("index", many, "--model", model)
    backup = tmp_path / "backup.db"
    assert run("backup", backup).exit_code == 0
    assert "exists; choose another name" in str(run("backup", backup).exception)
    catalog = Path(library_environment(tmp_path)["SEARCHAPP_LIBRARY"]) / "catalog.db"
    data = bytearray(catalog.read_bytes())
    for page in range(8, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    catalog.write_bytes(data)
    done: Result = run("check")
    assert done.exit_code == 1
    assert "damaged" in done.stdout + str(done.exception)
    restored = tmp_path / "restored"
    restored.mkdir()
    shutil.copy(backup, restored / "catalog.db")
    with Library.open(restored) as library:
        assert library.info().images == MANY
        assert list(library.check(files=None)) == []


# Export and import


@pytest.mark.parametrize("suffix", [".npy", ".json", ".parquet"])
def test_there_and_back(
    suffix: str, opened: Library, many: Path, model: Path, fake_engines: FakeEngines, tmp_path: Path
) -> None:
    """The other library finds the same with the same scores, and nothing is embedded again."""
    index_folder(opened, many, model)
    file = tmp_path / f"pictures{suffix}"
    assert opened.export(file) == MANY
    with Library.open(tmp_path / "other", create=True, start=fake_engines) as other:
        loaded = other.load(file)
        assert (loaded.images, loaded.files) == (MANY, MANY)
        assert other.load(file).images == 0
        assert other.search(Query("red")) == opened.search(Query("red"))
        assert list(other.check(files=None)) == []
        assert index_folder(other, many, model) == RunSummary(unchanged=MANY)
    assert fake_engines.embedded_count == MANY


def test_names_that_are_no_text_go_there_and_back(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """In JSON; Parquet cannot hold them, which is said."""
    (photos / "red.jpg").rename(photos / os.fsdecode(b"\xff.jpg"))
    index_folder(opened, photos, model)
    opened.export(tmp_path / "x.json")
    assert opened.load(tmp_path / "x.json").files == 3
    with pytest.raises(
        LibraryError, match=r"Parquet needs paths in UTF-8, .* export to \.npy or \.json"
    ):
        opened.export(tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def test_import_elsewhere_knows_by_content(
    opened: Library, many: Path, model: Path, fake_engines: FakeEngines, tmp_path: Path
) -> None:
    """Pictures that lie elsewhere on the other machine cost reading, not embedding."""
    index_folder(opened, many, model)
    opened.export(tmp_path / "pictures.npy")
    elsewhere = many.rename(tmp_path / "elsewhere")
    with Library.open(tmp_path / "other", create=True, start=fake_engines) as other:
        assert other.load(tmp_path / "pictures.npy").files == 0
        assert index_folder(other, elsewhere, model) == RunSummary(added=MANY)
    assert fake_engines.embedded_count == MANY


def test_what_is_exported_is_plain(
    opened: Library, many: Path, model: Path, tmp_path: Path
) -> None:
    """NumPy and any JSON reader see vectors of length one, and their files."""
    index_folder(opened, many, model)
    opened.export(tmp_path / "pictures.npy")
    vectors = np.load(tmp_path / "pictures.npy").astype(np.float32)
    document = json.loads((tmp_path / "pictures.json").read_text())
    assert vectors.shape == (MANY, document["dimensions"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)
    assert {file["path"] for each in document["images"] for file in each["files"]} == {
        str(file) for file in many.rglob("*.png")
    }


NONE = {  # values that are none, as a person or another program may write them
    "rating": (7, "good", 2.5, -2), "latitude": (200, "north", float("nan")),
    "longitude": (-181.0,), "keywords": ("beach", [1, 2], {"a": 1}),
    "date": ("yesterday", "2023-06-17", "2023-02-30T00:00:00", "2023-06-17T25:00:00"),
    "taken_at": ("2023:06:17 21:05:00", 1687000000), "date_from": ("me",), "width": (-4, 0, 2**40),
    "title": (5,), "reader": (-1,), "sha256": ("x", "A" * 64), "vector": (None, [0.5]),
    "files": (
        None, [{"path": "a.jpg", "size": 1, "mtime_ns": 1}], [{"path": "/a", "size": 1}],
        [{"path": "/a", "size": -1, "mtime_ns": 1}], [{"path": "/a\0", "size": 1, "mtime_ns": 1}],
        [{"path": "/a", "size": 1, "mtime_ns": 0.5}],
    ),
    "seconds": (float("inf"), -1.0),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".npy", ".json", ".parquet"])
def test_import_names_the_value_that_is_none(
    suffix: str, opened: Library, many: Path, model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """In whatever form it comes: the file and the row are told, and nothing is written at all."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("searchapp.upkeep.exchange.BATCH_ROWS", 2)
    index_folder(opened, many, model)
    opened.export(bad := tmp_path / f"bad{suffix}")
    if suffix == ".parquet":
        table = parquet.read_table(bad)
        rows, metadata = table.to_pylist(), table.schema.metadata
    else:
        document = json.loads((tmp_path / "bad.json").read_text())
        rows = document["images"]

    def write(name: str, value: object) -> int:
        alike = isinstance(rows[0][name], type(value)) and name != "files"
        first = 3 if alike or suffix != ".parquet" else 0  # a column is of one type
        page = [*rows[:first], *(row | {name: value} for row in rows[first:])]
        if suffix == ".parquet":
            parquet.write_table(pa.Table.from_pylist(page, metadata=metadata), bad)
        else:
            (tmp_path / "bad.json").write_text(json.dumps(document | {"images": page}))
        return first + 1

    with Library.open(tmp_path / "other", create=True) as other:
        for name, values in NONE.items():
            for value in values if (name, suffix) != ("vector", ".npy") else ():
                row = write(name, value)
                with pytest.raises(LibraryError) as caught:
                    other.load(bad)
                assert f"{bad} is not a valid export of searchapp: row {row}: " in str(caught.value)
        connection = sqlite3.connect(tmp_path / "other" / "catalog.db")
        for name in ("images", "files", "collections", "embeddings", "runs", "keywords"):
            assert connection.execute(f"select count(*) from {name}").fetchone() == (0,), name


def test_an_import_takes_what_other_programs_leave_out(
    opened: Library, many: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """Zone Z, a whole number as a latitude, no rating as 0, files of another system."""
    index_folder(opened, many, model)
    opened.export(tmp_path / "x.json")
    document = json.loads((tmp_path / "x.json").read_text())
    document["images"][0] |= {
        "date": "2023-06-17T21:05:00Z", "latitude": 48, "longitude": -2, "rating": 0,
        "keywords": None, "mine": 1,
        "files": [{"path": "C:\\x\udcff.jpg", "size": 1, "mtime_ns": -1, "mine": 1}],
    }  # fmt: skip
    (tmp_path / "x.json").write_text(json.dumps(document))
    with Library.open(tmp_path / "other", create=True, start=fake_engines) as other:
        loaded = other.load(tmp_path / "x.json")
        assert (loaded.images, loaded.files) == (MANY, MANY - 1)
        other.export(tmp_path / "y.json")
    (first, *_) = json.loads((tmp_path / "y.json").read_text())["images"]
    told = [first[name] for name in ("date", "latitude", "longitude", "rating", "keywords")]
    assert told == ["2023-06-17T21:05:00Z", 48.0, -2.0, None, []]


def test_import_refuses_what_cannot_be(
    opened: Library, many: Path, model: Path, tmp_path: Path, run: RunCommand
) -> None:
    """Other files, wrong vectors, pickles, and trust in a model's code."""
    index_folder(opened, many, model)
    good = tmp_path / "good.json"
    opened.export(good)
    document = json.loads(good.read_text())

    def refused(**changes: object) -> str:
        bad = tmp_path / "bad.json"
        bad.write_text(json.dumps(document | changes))
        with pytest.raises(LibraryError) as caught:
            opened.load(bad)
        return str(caught.value)

    first = document["images"][0]
    assert "not of length one" in refused(images=[first | {"vector": [0.0] * 48}])
    assert "not of length one" in refused(images=[first | {"vector": [1.0]}])
    assert "not of length one" in refused(images=[first | {"vector": [float("nan")] * 48}])
    assert "is not a valid export of searchapp" in refused(images=[{}])
    assert "is not a valid export of searchapp" in refused(searchapp=99)
    for changes in (
        {"sha256": "../x"}, {"width": "wide"}, {"height": True}, {"camera": ["x"]},
        {"latitude": "north"}, {"files": [{"path": 1, "size": 1, "mtime_ns": 1}]}, {"files": 3},
        {"files": [{"path": "/x"}]},
    ):  # fmt: skip
        assert "is not a valid export of searchapp" in refused(images=[first | changes])
    settings = json.loads(document["settings"])
    unknown = json.dumps(settings | {"options": {"x": 1}})
    for header in (
        {"settings": "x"}, {"settings": "{}"}, {"dimensions": "48"}, {"dimensions": -1},
        {"model": None}, {"settings": unknown},
    ):  # fmt: skip
        assert "is not a valid export of searchapp" in refused(**header)
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(LibraryError, match="is not a valid export of searchapp"):
        opened.load(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_text("[" * 99_999)
    with pytest.raises(LibraryError, match="is not a valid export of searchapp"):
        opened.load(tmp_path / "bad.json")
    for content in (b"", b"PK\x03\x04 no zip"):
        (tmp_path / "good.npy").write_bytes(content)
        with pytest.raises(LibraryError, match="is not a valid export of searchapp"):
            opened.load(tmp_path / "good.npy")
    np.save(tmp_path / "good.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(LibraryError, match="is not a valid export of searchapp"):
        opened.load(tmp_path / "good.npy")
    with pytest.raises(LibraryError, match=r"unknown export format; the name must end in \.npy"):
        opened.export(tmp_path / "pictures.csv")
    settings["options"]["trust_remote_code"] = True
    (tmp_path / "bad.json").write_text(json.dumps(document | {"settings": json.dumps(settings)}))
    run("import", tmp_path / "bad.json", "--library", tmp_path / "other")
    stored = sqlite3.connect(tmp_path / "other" / "catalog.db").execute(
        "select settings from collections"
    )
    assert json.loads(stored.fetchone()[0])["options"]["trust_remote_code"] is False
