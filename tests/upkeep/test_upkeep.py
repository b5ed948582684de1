"""Maintenance: vanished files, check, repair, prune, backup, export and import."""

import json
import logging
import os
import pty
import resource
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from support.fake_engine import FakeEngine
from support.library import FakeEngines, RunCommand, index_folder, library_environment
from support.sample_pictures import save_picture

from searchapp.errors import FolderError, LibraryError
from searchapp.library import Library
from searchapp.types import (
    IndexOptions,
    PruneResult,
    Query,
    RunSummary,
    SearchOptions,
    VanishedFilesKept,
)
from searchapp.vectors.faiss_files.checksums import MAGIC_BYTES
from searchapp.vectors.faiss_files.vector_file import HEAD_BYTES, HEADER_BYTES

MANY = 60


@pytest.fixture
def many_pictures(tmp_path: Path) -> Path:
    """Sixty different pictures in three folders."""
    folder = tmp_path / "many"
    for number in range(MANY):
        subfolder = folder / "abc"[number % 3]
        subfolder.mkdir(parents=True, exist_ok=True)
        save_picture(
            subfolder / f"{number:02}.png", (number * 4, 255 - number * 4, (number * 37) % 256)
        )
    return folder


def connect_to_catalog(library: Library) -> sqlite3.Connection:
    return sqlite3.connect(library.folder / "catalog.db", isolation_level=None)


# Vanished files


def test_many_vanished_files_are_kept(
    opened: Library, many_pictures: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A third of the files can be a missing drive; returning files are not embedded again."""
    index_folder(opened, many_pictures, model)
    (many_pictures / "a").rename(many_pictures.with_name("away"))
    events = list(opened.index([many_pictures], IndexOptions(str(model))))
    assert VanishedFilesKept(str(many_pictures), 20, MANY) in events
    assert index_folder(opened, many_pictures, model) == RunSummary(unchanged=40, kept=20)
    assert opened.info().files == MANY
    assert len(opened.search(Query("red"))) > 0
    many_pictures.with_name("away").rename(many_pictures / "a")
    assert index_folder(opened, many_pictures, model) == RunSummary(unchanged=MANY)
    assert fake_engines.embedded_count == MANY


def test_few_vanished_files_are_forgotten(
    opened: Library, many_pictures: Path, model: Path
) -> None:
    """Users delete single pictures and small folders."""
    index_folder(opened, many_pictures, model)
    for number in range(0, 30, 3):
        (many_pictures / "a" / f"{number:02}.png").unlink()
    assert index_folder(opened, many_pictures, model) == RunSummary(unchanged=50, removed=10)


def test_excluded_files_are_forgotten(opened: Library, many_pictures: Path, model: Path) -> None:
    """Files that an ignore rule excludes are forgotten without a question."""
    index_folder(opened, many_pictures, model)
    (many_pictures / ".searchappignore").write_text("a/\nb/\n")
    assert index_folder(opened, many_pictures, model) == RunSummary(unchanged=20, removed=40)
    (many_pictures / ".searchappignore").unlink()
    assert index_folder(opened, many_pictures, model) == RunSummary(unchanged=20, added=40)


def test_moved_files_are_recognized(opened: Library, many_pictures: Path, model: Path) -> None:
    """Files in a renamed folder are found by their content."""
    index_folder(opened, many_pictures, model)
    (many_pictures / "a").rename(many_pictures / "another")
    assert index_folder(opened, many_pictures, model) == RunSummary(unchanged=40, moved=20)


def test_index_prune_forgets_any_number_of_files(
    opened: Library, many_pictures: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A missing root as well; returning files are read, but not embedded again."""
    index_folder(opened, many_pictures, model)
    shutil.rmtree(many_pictures / "a")
    assert index_folder(opened, many_pictures, model, prune=True) == RunSummary(
        unchanged=40, removed=20
    )
    many_pictures.rename(many_pictures.with_name("away"))
    with pytest.raises(FolderError, match="no such folder"):
        index_folder(opened, many_pictures, model)
    assert index_folder(opened, many_pictures, model, prune=True) == RunSummary(removed=40)
    with pytest.raises(FolderError, match="the library knows no file below it"):
        index_folder(opened, many_pictures / "typo", model, prune=True)
    many_pictures.with_name("away").rename(many_pictures)
    assert index_folder(opened, many_pictures, model) == RunSummary(added=40)
    assert fake_engines.embedded_count == MANY


def test_a_user_at_a_terminal_is_asked(
    many_pictures: Path, model: Path, run: RunCommand, tmp_path: Path
) -> None:
    """Without a terminal, the files are kept, and the message names --prune."""
    run("index", many_pictures, "--model", model)
    shutil.rmtree(many_pictures / "a")
    done = run("index", many_pictures)
    assert "20 of 60 files below" in done.stderr and "--prune forgets them" in done.stderr
    assert "20 gone but kept" in done.stderr
    for answer, files in ((b"n\n", MANY), (b"y\n", 40)):
        terminal, child_terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "searchapp", "index", many_pictures],
            env=os.environ | library_environment(tmp_path),
            stdin=child_terminal, stdout=child_terminal, stderr=child_terminal,
        )  # fmt: skip
        os.close(child_terminal)
        output = b""
        while b"Forget 20 vanished files? [y/N]" not in output:
            output += os.read(terminal, 1000)
        os.write(terminal, answer)
        while b" s; library: " not in output:
            output += os.read(terminal, 1000)
        assert process.wait(30) == 0
        os.close(terminal)
        assert b"gone but kept" in output if answer == b"n\n" else b"20 removed" in output
        with Library.open(tmp_path / "library") as library:
            assert library.info().files == files


# Prune


def test_prune_removes_images_without_files(
    opened: Library, many_pictures: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """With embeddings, thumbnails and index entries; a dry run changes nothing."""
    index_folder(opened, many_pictures, model)
    assert opened.prune() == PruneResult()
    (many_pictures / "a" / "00.png").unlink()
    (many_pictures / "b" / "01.png").unlink()
    assert opened.prune() == PruneResult()  # index has not looked yet
    index_folder(opened, many_pictures, model)
    (lost,) = (
        connect_to_catalog(opened)
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


def test_prune_missing_checks_the_files(
    opened: Library, many_pictures: Path, model: Path, run: RunCommand
) -> None:
    """For a folder that was deleted, and is not indexed again."""
    index_folder(opened, many_pictures, model)
    shutil.rmtree(many_pictures / "a")
    assert "20 vanished files, 20 images" in run("prune", "--missing", "--dry-run").stderr
    assert opened.info().files == MANY
    assert json.loads(run("prune", "--missing", "--json").stdout)["embeddings"] == 20
    assert (opened.info().files, opened.info().images) == (40, 40)


# Check


def spoil_vector(library: Library, packed: bytes) -> None:
    connect_to_catalog(library).execute("update embeddings set vector = ? where id = 7", (packed,))


def spoil_image(library: Library) -> None:
    connect_to_catalog(library).execute(
        "delete from images where id = 7"
    )  # Foreign keys are not enforced here.


def spoil_count(library: Library) -> None:
    connect_to_catalog(library).execute("update collections set embedded = embedded + 3")


def spoil_ids(library: Library) -> None:
    """Let the index file hold an id that is not embedded, and lack one that is."""
    db = connect_to_catalog(library)
    db.execute("update embeddings set id = 1000 where id = 7")
    db.execute("update collections set last_embedding = 1000, index_last_id = 1000")


def spoil_file(library: Library) -> None:
    (file,) = library.folder.glob("*.faiss")
    file.write_bytes(file.read_bytes()[:-1])


def spoil_content(library: Library) -> None:
    """Change the numbers in the index file, but not its length."""
    (file,) = library.folder.glob("*.faiss")
    data = bytearray(file.read_bytes())
    half = len(data) // 2
    data[half : half + 4000] = np.random.default_rng(0).normal(size=1000).astype("<f4").tobytes()
    file.write_bytes(data)


def spoil_scores(library: Library) -> None:
    """Change the numbers in an index file of an earlier version, which has no checksums."""
    spoil_content(library)
    (file,) = library.folder.glob("*.faiss")
    file.write_bytes(file.read_bytes()[: -len(MAGIC_BYTES)] + bytes(len(MAGIC_BYTES)))


def leave_files(library: Library) -> None:
    for name in (
        "collection-1-0123.tmp", "collection-9-0123.faiss", "collection-9-0123.vectors",
        "thumbnails/ab/abc-320.webp",
    ):  # fmt: skip
        file = library.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (time.time() - 7200,) * 2)


def spoil_words(library: Library) -> None:
    """Let the index of the words lack an image, have one too many, and have wrong words."""
    db = connect_to_catalog(library)
    db.execute("delete from texts where rowid = 7")
    db.execute("insert into texts (rowid, name) values (1000, 'too many')")
    db.execute("update texts set folder = 'other words' where rowid = 9")


def spoil_word_index(library: Library) -> None:
    """Damage the trigrams of the words; their texts stay."""
    connect_to_catalog(library).execute(
        "update texts_data set block = zeroblob(length(block)) where id > 10"
    )


FAULTS: list[tuple[Callable[[Library], None], int, str]] = [
    (
        lambda library: spoil_vector(library, b"1234"),
        1,
        "has invalid vectors: 1 with a wrong dimension, a norm other than 1, or a value",
    ),
    (
        lambda library: spoil_vector(library, np.zeros(48, "<f2").tobytes()),
        1,
        "has invalid vectors: 1 with a wrong dimension",
    ),
    (
        lambda library: spoil_vector(library, np.full(48, np.nan, "<f2").tobytes()),
        1,
        "has invalid vectors: 1 with a wrong dimension",
    ),
    (spoil_image, 1, "1 orphaned row in the table embeddings"),
    (spoil_count, 0, "has 60 embeddings, but the catalog states 63"),
    (spoil_ids, 0, "the vectors in the index file are not those in the catalog"),
    (spoil_file, 0, "changed since it was written"),
    (spoil_content, 0, "cannot be used: its content is damaged (after byte 0)"),
    (spoil_scores, 0, "of the 200 nearest vectors"),
    (lambda library: next(library.folder.glob("*.faiss")).unlink(), 0, "is missing"),
    (leave_files, 0, "2 index files without a collection"),
    (spoil_words, 0, "the words of 3 images are not those in names and captions"),
    (spoil_word_index, 0, "the index of the words is wrong: "),
]


@pytest.mark.parametrize(("spoil", "reembedded", "problem"), FAULTS)
def test_each_fault_is_found_and_repaired(
    spoil: Callable[[Library], None],
    reembedded: int,
    problem: str,
    tmp_path: Path,
    many_pictures: Path,
    model: Path,
    fake_engines: FakeEngines,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After a repair, check finds nothing; the next run embeds again what was deleted."""
    folder = tmp_path / "library"
    with Library.open(folder, create=True, start=fake_engines) as library:
        index_folder(library, many_pictures, model)
        assert list(library.check(files=None)) == []
        before = library.search(Query("red"))
        spoil(library)
    with Library.open(folder, start=fake_engines) as library:
        faults = list(library.check())
        assert any(problem in fault.what for fault in faults), faults
        assert not any(fault.mended for fault in faults)
        with caplog.at_level(logging.INFO, "searchapp.upkeep"):
            repaired = list(library.check(repair=True))
        assert repaired and all(fault.mended for fault in repaired)
        assert caplog.messages == [f"Repairing a fault: {fault.what}." for fault in repaired]
        assert list(library.check(files=None)) == []
        index_folder(library, many_pictures, model)
        assert fake_engines.embedded_count == MANY + reembedded
        assert library.info().collections[0].images == MANY
        assert [hit.path for hit in library.search(Query("red"))] == [hit.path for hit in before]
        (found,) = library.search(Query("07.png"), SearchOptions(by="text"))
        assert found.path == str(many_pictures / "b/07.png")


def damage_rows(file: Path) -> None:
    """Change the last byte of the first two vectors."""
    data = bytearray(file.read_bytes())
    row_bytes = HEAD_BYTES + 2 * FakeEngine.DIMENSIONS
    for number in (1, 2):
        data[HEADER_BYTES + number * row_bytes - 1] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (damage_rows, "differs from the catalog in 2 vectors"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "the header or the size of"),
        (lambda file: file.write_bytes(b"X" + file.read_bytes()[1:]), "the header or the size of"),
    ],
)
def test_a_damaged_vector_file_is_found_and_written_again(
    tmp_path: Path,
    many_pictures: Path,
    model: Path,
    fake_engines: FakeEngines,
    spoil: Callable[[Path], None],
    problem: str,
) -> None:
    """A trained index has such a file; the hits stay the same in all states of it."""
    folder = tmp_path / "library"
    with Library.open(folder, create=True, start=fake_engines) as library:
        list(library.index([many_pictures], IndexOptions(str(model), index="IVF2,Flat")))
        (file,) = folder.glob("*.vectors")
        content, before = file.read_bytes(), library.search(Query("red"))
        size = library.info().collections[0].vector_file_bytes
        assert size >= len(content)
        assert list(library.check()) == []
    spoil(file)
    with Library.open(folder, start=fake_engines) as library:
        assert library.search(Query("red")) == before
        (fault,) = library.check()
        assert problem in fault.what
        assert [fault.mended for fault in library.check(repair=True)] == [True]
        assert list(library.check()) == []
        assert file.read_bytes() == content
        file.unlink()
        assert list(library.check()) == []
        assert library.info().collections[0].vector_file_bytes == 0
        assert library.search(Query("red")) == before


def test_a_changed_file_with_the_same_size_and_time_is_found(
    opened: Library, many_pictures: Path, model: Path, run: RunCommand
) -> None:
    """The next run reads the file again."""
    index_folder(opened, many_pictures, model)
    file, other = many_pictures / "a" / "00.png", many_pictures / "a" / "03.png"
    state, data = file.stat(), bytearray(file.read_bytes())
    data[-1] ^= 1  # A decoder does not read the last byte.
    file.write_bytes(data)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    done = run("check", "--all-files")
    assert done.exit_code == 1
    assert f"{file}: the content of the file has changed since indexing" in done.stdout
    assert str(other) not in done.stdout
    assert "run `searchapp index`, which reads this file again" in done.stdout
    assert "repair" not in done.stdout
    with sqlite3.connect(opened.folder / "catalog.db") as db:
        db.execute("update files set ctime_ns = null")  # as in an older library
    done = run("check", "--all-files")
    assert "; run `searchapp check --repair`, then run `searchapp index`" in done.stdout
    assert index_folder(opened, many_pictures, model).unchanged == MANY  # `check` was right.
    assert run("check", "--all-files", "--repair").exit_code == 0
    assert index_folder(opened, many_pictures, model).unchanged == MANY - 1
    assert run("check", "--all-files").exit_code == 0


def test_a_damaged_catalog_is_reported(
    tmp_path: Path, many_pictures: Path, model: Path, run: RunCommand
) -> None:
    """It cannot be repaired; a backup replaces it."""
    run("index", many_pictures, "--model", model)
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
def test_an_export_can_be_imported(
    suffix: str,
    opened: Library,
    many_pictures: Path,
    model: Path,
    fake_engines: FakeEngines,
    tmp_path: Path,
) -> None:
    """The other library returns the same hits and scores; nothing is embedded again."""
    index_folder(opened, many_pictures, model)
    file = tmp_path / f"pictures{suffix}"
    assert opened.export(file) == MANY
    with Library.open(tmp_path / "other", create=True, start=fake_engines) as other:
        loaded = other.load(file)
        assert (loaded.images, loaded.files) == (MANY, MANY)
        assert other.load(file).images == 0
        assert other.search(Query("red")) == opened.search(Query("red"))
        assert list(other.check(files=None)) == []
        assert index_folder(other, many_pictures, model) == RunSummary(unchanged=MANY)
    assert fake_engines.embedded_count == MANY


def test_paths_that_are_not_utf8_are_exported_to_json(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Parquet cannot store them; the message says so."""
    (photos / "red.jpg").rename(photos / os.fsdecode(b"\xff.jpg"))
    index_folder(opened, photos, model)
    opened.export(tmp_path / "x.json")
    assert opened.load(tmp_path / "x.json").files == 3
    with pytest.raises(
        LibraryError, match=r"Parquet needs paths in UTF-8, .* export to \.npy or \.json"
    ):
        opened.export(tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def test_imported_pictures_are_recognized_by_content(
    opened: Library, many_pictures: Path, model: Path, fake_engines: FakeEngines, tmp_path: Path
) -> None:
    """Pictures in another folder are read, but not embedded again."""
    index_folder(opened, many_pictures, model)
    opened.export(tmp_path / "pictures.npy")
    elsewhere = many_pictures.rename(tmp_path / "elsewhere")
    with Library.open(tmp_path / "other", create=True, start=fake_engines) as other:
        assert other.load(tmp_path / "pictures.npy").files == 0
        assert index_folder(other, elsewhere, model) == RunSummary(added=MANY)
    assert fake_engines.embedded_count == MANY


def test_exports_can_be_read_by_other_programs(
    opened: Library, many_pictures: Path, model: Path, tmp_path: Path
) -> None:
    """NumPy reads vectors of length one, and any JSON reader their files."""
    index_folder(opened, many_pictures, model)
    opened.export(tmp_path / "pictures.npy")
    vectors = np.load(tmp_path / "pictures.npy").astype(np.float32)
    document = json.loads((tmp_path / "pictures.json").read_text())
    assert vectors.shape == (MANY, document["dimensions"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)
    assert {file["path"] for each in document["images"] for file in each["files"]} == {
        str(file) for file in many_pictures.rglob("*.png")
    }


def test_an_export_killed_between_its_two_files_is_refused(
    opened: Library, many_pictures: Path, model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The old vectors and the new rows have the same number, but do not belong together."""
    index_folder(opened, many_pictures / "a", model)
    file = tmp_path / "x.npy"
    opened.export(file)
    (first,) = connect_to_catalog(opened).execute("select min(id) from embeddings").fetchone()
    opened._catalog.get_maintenance().delete_embeddings([first])
    index_folder(opened, many_pictures / "a", model)  # The same pictures in another order.
    replace = Path.replace

    def stop_before_vectors(source: Path, target: Path) -> Path:
        if target.suffix == ".npy":
            raise KeyboardInterrupt
        return replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", stop_before_vectors)
        opened.export(file)
    with Library.open(tmp_path / "other", create=True) as other:
        with pytest.raises(LibraryError, match="come from two exports, or one of them was changed"):
            other.load(file)
        assert other.info().images == 0
        assert opened.export(file) == other.load(file).images == 20


def test_an_export_to_npy_keeps_a_json_file_of_the_user(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Its second file replaces only the second file of an earlier export."""
    index_folder(opened, photos, model)
    other_file = tmp_path / "captions.json"
    for content in ("[]", None):
        if content is None:
            opened.export(other_file)
        else:
            other_file.write_text(content)
        before = other_file.read_bytes()
        with pytest.raises(LibraryError, match=r"would replace .*/captions\.json, which does not"):
            opened.export(tmp_path / "captions.npy")
        assert other_file.read_bytes() == before
        assert {file.name for file in tmp_path.glob("captions*")} == {"captions.json"}
    other_file.unlink()
    assert [opened.export(tmp_path / "captions.npy") for _ in range(2)] == [3, 3]


def test_a_npy_file_without_its_json_file_is_not_imported(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """The message names the file that the user forgot to copy."""
    index_folder(opened, photos, model)
    opened.export(tmp_path / "x.npy")
    (tmp_path / "x.json").unlink()
    with (
        Library.open(tmp_path / "other", create=True) as other,
        pytest.raises(LibraryError, match=r"its second file .*/x\.json is missing\. Copy both"),
    ):
        other.load(tmp_path / "x.npy")


@pytest.mark.parametrize("name", ["x.npy", "x.json"])
def test_an_export_to_a_folder_writes_nothing(
    opened: Library, photos: Path, model: Path, tmp_path: Path, name: str
) -> None:
    """It is refused before the work, and leaves no second file behind."""
    index_folder(opened, photos, model)
    (tmp_path / name).mkdir()
    with pytest.raises(LibraryError, match=r"cannot be written: Is a directory\. Choose another"):
        opened.export(tmp_path / "x.npy")
    assert [file.name for file in tmp_path.glob("x*")] == [name]


def test_a_json_file_is_not_confused_with_that_of_a_npy_file(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Each of the two is refused in place of the other, with the name of the right file."""
    index_folder(opened, photos, model)
    opened.export(tmp_path / "x.npy")
    with Library.open(tmp_path / "other", create=True) as other:
        with pytest.raises(LibraryError, match=r"belongs to .*/x\.npy; import that"):
            other.load(tmp_path / "x.json")
        opened.export(tmp_path / "x.json")
        with pytest.raises(LibraryError, match=r"does not describe .*/x\.npy; import .*/x\.json"):
            other.load(tmp_path / "x.npy")
        assert other.info().images == 0
        assert other.load(tmp_path / "x.json").images == 3


def test_exports_of_earlier_versions_are_read(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Their .json files have no digest of the vectors."""
    index_folder(opened, photos, model)
    opened.export(tmp_path / "x.npy")
    document = json.loads((tmp_path / "x.json").read_text())
    assert len(document.pop("vectors_sha256")) == 64
    (tmp_path / "x.json").write_text(json.dumps(document))
    with Library.open(tmp_path / "other", create=True) as other:
        assert other.load(tmp_path / "x.npy").images == 3


EXPORT_TO_FULL_DISK = """
    import os
    import sys
    from pathlib import Path
    from searchapp.errors import LibraryError
    from searchapp.types import CatalogedImage, Collection, PictureInfo
    from searchapp.upkeep.exchange import write_export

    folder = Path(sys.argv[1])
    collection = Collection(1, "name", "model", "revision", 48, "{}")
    info = PictureInfo(format="PNG", width=1, height=1)
    # Random values, because Parquet compresses equal ones.
    images = [CatalogedImage(os.urandom(32).hex(), info, (), bytes(96)) for _ in range(1000)]
    for suffix in (".npy", ".json", ".parquet"):
        (folder / f"x{suffix}").touch()
        try:
            write_export(folder / f"x{suffix}", collection, [images], 1000)
        except LibraryError as error:
            print(error)
    assert {file.name for file in folder.iterdir()} == {"x.npy", "x.json", "x.parquet"}
    assert not any(file.stat().st_size for file in folder.iterdir())
"""


@contextmanager
def mount_small_disk(folder: Path) -> Iterator[None]:
    """Mount a disk of 16 KiB at a folder, or skip the test if that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted only as root")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("cause", ["disk", "limit"])
def test_an_export_to_a_full_disk_is_one_line(tmp_path: Path, cause: str) -> None:
    """In each format: no SIGBUS, the old files stay, and no partial file is left."""
    folder, limit = tmp_path / "full", None
    if cause == "limit":
        folder.mkdir()
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (16384, 16384))
    with mount_small_disk(folder) if cause == "disk" else nullcontext():
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(EXPORT_TO_FULL_DISK), folder],
            text=True, capture_output=True, check=False, preexec_fn=limit,
        )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [line.partition(" cannot be written: ")[0] for line in ran.stdout.splitlines()] == [
        str(folder / f"x{suffix}") for suffix in (".npy", ".json", ".parquet")
    ]


INVALID_VALUES = {  # as a user or another program can write them
    "rating": (7, "good", 2.5, -2), "latitude": (200, "north", float("nan")),
    "longitude": (-181.0,), "keywords": ("beach", [1, 2], {"a": 1}),
    "date": ("yesterday", "2023-06-17", "2023-02-30T00:00:00", "2023-06-17T25:00:00"),
    "taken_at": ("2023:06:17 21:05:00", 1687000000), "date_from": ("me",), "width": (-4, 0, 2**40),
    "title": (5,), "city": (5,), "reader": (-1,), "sha256": ("x", "A" * 64),
    "vector": (None, [0.5]),
    "files": (
        None, [{"path": "a.jpg", "size": 1, "mtime_ns": 1}], [{"path": "/a", "size": 1}],
        [{"path": "/a", "size": -1, "mtime_ns": 1}], [{"path": "/a\0", "size": 1, "mtime_ns": 1}],
        [{"path": "/a", "size": 1, "mtime_ns": 0.5}],
    ),
    "seconds": (float("inf"), -1.0),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".npy", ".json", ".parquet"])
def test_import_names_the_row_of_an_invalid_value(
    suffix: str, opened: Library, many_pictures: Path, model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """In each format; the message names file and row, and nothing is written."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("searchapp.upkeep.exchange.BATCH_ROWS", 2)
    index_folder(opened, many_pictures, model)
    opened.export(bad := tmp_path / f"bad{suffix}")
    if suffix == ".parquet":
        table = parquet.read_table(bad)
        rows, metadata = table.to_pylist(), table.schema.metadata
    else:
        document = json.loads((tmp_path / "bad.json").read_text())
        rows = document["images"]

    def write(name: str, value: object) -> int:
        same_type = isinstance(rows[0][name], type(value)) and name != "files"
        first = 3 if same_type or suffix != ".parquet" else 0  # A column has one type.
        page = [*rows[:first], *(row | {name: value} for row in rows[first:])]
        if suffix == ".parquet":
            parquet.write_table(pa.Table.from_pylist(page, metadata=metadata), bad)
        else:
            (tmp_path / "bad.json").write_text(json.dumps(document | {"images": page}))
        return first + 1

    with Library.open(tmp_path / "other", create=True) as other:
        for name, values in INVALID_VALUES.items():
            for value in values if (name, suffix) != ("vector", ".npy") else ():
                row = write(name, value)
                with pytest.raises(LibraryError) as caught:
                    other.load(bad)
                assert f"{bad} is not a valid export of searchapp: row {row}: " in str(caught.value)
        connection = sqlite3.connect(tmp_path / "other" / "catalog.db")
        for name in ("images", "files", "collections", "embeddings", "runs", "keywords"):
            assert connection.execute(f"select count(*) from {name}").fetchone() == (0,), name


def test_import_accepts_variants_of_other_programs(
    opened: Library, many_pictures: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """Zone Z, an integer latitude, a rating of 0, and paths of another system."""
    index_folder(opened, many_pictures, model)
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
    values = [first[name] for name in ("date", "latitude", "longitude", "rating", "keywords")]
    assert values == ["2023-06-17T21:05:00Z", 48.0, -2.0, None, []]


def test_import_refuses_invalid_files(
    opened: Library, many_pictures: Path, model: Path, tmp_path: Path, run: RunCommand
) -> None:
    """Other files, wrong vectors, pickles, and trust in a model's code."""
    index_folder(opened, many_pictures, model)
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
    for vector in ([0.0] * 48, [1.0], [float("nan")] * 48):
        message = refused(images=[first | {"vector": vector}])
        assert "row 1: the vector must have 48 finite values and norm 1" in message
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
