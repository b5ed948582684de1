"""Restore a backup, and notice a log that belongs to another catalog."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fault_preload import build_faults, needs_preload, run_preloaded
from support.library import FakeEngines, RunCommand, index_folder
from support.sample_pictures import save_picture

from searchapp.errors import LibraryError, LockedError
from searchapp.library import Library
from searchapp.types import Query, RestoreResult


@pytest.fixture
def backup(library: Path, photos: Path, model: Path, tmp_path: Path) -> Path:
    """Back up a library with three pictures; after that, the library gets a fourth."""
    file = tmp_path / "backup.db"
    with Library.open(library, start=FakeEngines()) as opened:
        opened.backup(file)
        save_picture(photos / "yellow.png", "yellow")
        index_folder(opened, photos, model)
    return file


@pytest.fixture
def library(tmp_path: Path, photos: Path, model: Path) -> Path:
    with Library.open(tmp_path / "library", create=True, start=FakeEngines()) as opened:
        index_folder(opened, photos, model)
    return tmp_path / "library"


def count_images(library: Path) -> int:
    with Library.open(library, start=FakeEngines()) as opened:
        assert list(opened.check(files=None)) == []
        assert len(opened.search(Query("red"))) == opened.info().images
        return opened.info().images


def kill_with_log(library: Path) -> None:
    """Leave the log of a killed process, in which the schema and several tables changed."""
    code = """
        import os, sqlite3, sys
        db = sqlite3.connect(sys.argv[1], isolation_level=None)
        db.execute("pragma wal_autocheckpoint = 0")
        db.execute("update images set camera = hex(randomblob(3000))")
        db.execute("update files set mtime_ns = 1")
        os._exit(0)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), library / "catalog.db"], check=True
    )
    assert (library / "catalog.db-wal").stat().st_size > 0


@pytest.mark.parametrize("is_link", [False, True])
def test_a_backup_does_not_replace_the_catalog_itself(
    run: RunCommand, library: Path, tmp_path: Path, is_link: bool
) -> None:
    """--force allows it for other files only; otherwise the log belongs to another file."""
    target = library / "catalog.db"
    if is_link:
        (tmp_path / "link.db").symlink_to(target)
    inode = target.stat().st_ino
    result = run("backup", tmp_path / "link.db" if is_link else target, "--force")
    assert result.exit_code == 1
    assert "is the catalog of the library itself. Choose another name" in str(result.exception)
    assert target.stat().st_ino == inode


def test_a_backup_cannot_be_a_folder(run: RunCommand, library: Path, tmp_path: Path) -> None:
    """The message does not suggest --force, or that the disk fails."""
    for options in ([], ["--force"]):
        result = run("backup", tmp_path, *options)
        assert result.exit_code == 2
        assert "is a directory" in result.stderr
    with (
        Library.open(library) as opened,
        pytest.raises(LibraryError, match=r"Is a directory\. Choose another place"),
    ):
        opened.backup(tmp_path)


@pytest.mark.parametrize("has_log", [False, True])
def test_a_backup_replaces_catalog_and_log(
    run: RunCommand, library: Path, backup: Path, has_log: bool
) -> None:
    """Also the log of a killed process; all indexes are made again."""
    assert count_images(library) == 4
    (library / "collection-1-0123.vectors").touch()
    if has_log:
        kill_with_log(library)
    done = run("restore", backup)
    assert done.exit_code == 0
    assert f"replaced the catalog of the library {library} with {backup}: 3 images" in done.stderr
    assert not (library / "catalog.db-wal").exists()
    assert not list(library.glob("collection-*"))
    assert count_images(library) == 3


def test_a_backup_makes_a_new_library(run: RunCommand, backup: Path, tmp_path: Path) -> None:
    """Where there was none; its log has a name of its own."""
    done = run("restore", backup, "--library", tmp_path / "a/new")
    assert "created the library" in done.stderr
    assert count_images(tmp_path / "a/new") == 3
    assert [file.name for file in (tmp_path / "a").rglob("*.tmp")] == []


@pytest.mark.parametrize("damage", ["header", "page", "empty", "missing"])
def test_a_damaged_catalog_is_replaced(
    run: RunCommand, library: Path, backup: Path, damage: str
) -> None:
    """Even if SQLite cannot open it, and a log is left next to it."""
    kill_with_log(library)
    file = library / "catalog.db"
    data = bytearray(file.read_bytes())
    data[4096 : 4096 * 9] = b"\xff" * 4096 * 8
    if damage == "header":
        (library / "catalog.db-wal").unlink()  # It holds the header, too.
        data[:4096] = b"\xff" * 4096
    file.write_bytes(b"" if damage == "empty" else data)
    if damage == "missing":
        file.unlink()
    assert run("restore", backup).exit_code == 0
    assert count_images(library) == 3


@pytest.fixture
def reader(library: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the catalog open, and does nothing."""
    code = """
        import sys
        from pathlib import Path
        from searchapp.library import Library
        with Library.open(sys.argv[1]) as opened:
            print(opened.info().images, flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), library],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        process.stdout.readline()
        yield process
        process.communicate()


@pytest.mark.parametrize("damage", [False, True])
def test_a_library_in_use_is_not_replaced(
    library: Path, backup: Path, reader: subprocess.Popen[str], damage: bool
) -> None:
    """The message says what to do; afterwards, the same command works."""
    file = library / "catalog.db"
    if damage:
        file.write_bytes(b"\xff" * 4096 + file.read_bytes()[4096:])
    before = file.read_bytes()
    with pytest.raises(LockedError, match=r"in use by another process\. Run `searchapp stop`, end"):
        Library.restore(backup, library)
    assert file.read_bytes() == before
    reader.communicate()
    assert Library.restore(backup, library) == RestoreResult(3, 3, 1, is_new=False)


def test_a_library_that_this_process_uses_is_not_replaced(library: Path, backup: Path) -> None:
    """SQLite loses its locks if the process opens and closes the file itself."""
    with Library.open(library) as opened:
        with pytest.raises(LockedError):
            Library.restore(backup, library)
        assert opened.info().images == 4
    Library.restore(backup, library)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("damaged", r"is damaged \(.*\)\. Nothing was changed\. Restore another"),
        ("text", "cannot be read as a backup: file is not a database"),
        ("other", "is not a backup of searchapp"),
        ("newer", "was written by a newer version of searchapp"),
        ("missing", "is not a file"),
        ("own", "is the catalog of the library itself"),
    ],
)
def test_an_unusable_backup_changes_nothing(
    library: Path, backup: Path, content: str, message: str
) -> None:
    """It is checked before anything is written."""
    if content == "damaged":
        data = bytearray(backup.read_bytes())
        data[-4096:] = b"\xff" * 4096
        backup.write_bytes(data)
    elif content == "text":
        backup.write_text("x" * 5000)
    elif content == "other":
        backup.unlink()
        with sqlite3.connect(backup) as db:
            db.execute("create table notes (text)")
        db.close()
    elif content == "newer":
        with sqlite3.connect(backup) as db:
            db.execute(
                "insert into _sqlite_migrations (migration_set, name, applied_at)"
                " values ('searchapp', 'm999_future', '')"
            )
        db.close()
    elif content == "missing":
        backup.unlink()
    elif content == "own":
        backup = library / "catalog.db"
    before = (library / "catalog.db").read_bytes()
    with pytest.raises(LibraryError, match=message):
        Library.restore(backup, library)
    assert (library / "catalog.db").read_bytes() == before
    assert count_images(library) == 4


def test_another_database_is_not_replaced(library: Path, backup: Path, tmp_path: Path) -> None:
    """A folder can hold the catalog.db of another program."""
    (tmp_path / "other").mkdir()
    with sqlite3.connect(tmp_path / "other/catalog.db") as db:
        db.execute("create table notes (text)")
    db.close()
    with pytest.raises(LibraryError, match="is not a searchapp catalog"):
        Library.restore(backup, tmp_path / "other")


def test_a_backup_copied_over_a_catalog_with_a_log_is_noticed(
    run: RunCommand, library: Path, backup: Path
) -> None:
    """SQLite would apply the log of the old catalog to the backup, and damage it silently."""
    kill_with_log(library)
    shutil.copy(backup, library / "catalog.db")
    for arguments in (["info"], ["query", "red"], ["check"]):
        result = run(*arguments)
        assert isinstance(result.exception, LibraryError)
        assert "is a copy of a backup, but catalog.db-wal belongs to the catalog that was" in str(
            result.exception
        )
    assert (library / "catalog.db").read_bytes() == backup.read_bytes()
    log = (library / "catalog.db-wal").read_bytes()
    assert run("restore", backup).exit_code == 0
    assert count_images(library) == 3
    # The other remedy of the message, which deletes the log.
    shutil.copy(backup, library / "catalog.db")
    (library / "catalog.db-wal").write_bytes(log)
    assert run("info").exit_code == 1
    (library / "catalog.db-wal").unlink()
    assert count_images(library) == 3


def test_a_copied_backup_is_a_library(backup: Path, tmp_path: Path) -> None:
    """It gets a log when it is first opened, so that readers and a writer can work together."""
    (tmp_path / "copied").mkdir()
    shutil.copy(backup, tmp_path / "copied/catalog.db")
    assert not any(os.path.lexists(f"{backup}{suffix}") for suffix in ("-wal", "-shm"))
    with Library.open(tmp_path / "copied") as opened:
        assert opened._catalog._db.execute("pragma journal_mode").fetchone() == ("wal",)
        with Library.open(tmp_path / "copied") as second:
            assert second.info().images == 3
    assert count_images(tmp_path / "copied") == 3


RESTORE = """
    import ctypes, errno, json, os, sys, traceback
    from pathlib import Path
    from searchapp.errors import SearchAppError
    from searchapp.library import Library

    shim, points = ctypes.CDLL(None), 16
    backup, library = map(Path, sys.argv[1:])
    before = {file.name: file.read_bytes() for file in library.iterdir()}

    def restore(call, action):
        for file in library.iterdir():
            file.unlink()
        for name, data in before.items():
            (library / name).write_bytes(data)
        if not (process := os.fork()):
            shim.faults_arm(ctypes.c_long(call), action, errno.ENOSPC)
            try:
                Library.restore(backup, library)
                if not call:
                    (library / "calls").write_text(str(shim.faults_count(-1)))
                os._exit(0)
            except SearchAppError:
                os._exit(3)
            except BaseException:
                traceback.print_exc()
                os._exit(4)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    assert restore(0, 0) == 0
    calls, ends = int((library / "calls").read_text()), []
    for point in range(points):
        status = restore(1 + point * (calls - 1) // (points - 1), (1, 2, 3, 5)[point % 4])
        try:
            with Library.open(library) as opened:
                upkeep = opened._catalog.get_maintenance()
                assert upkeep.check_integrity() == upkeep.count_orphaned_rows() == []
                ends.append([status, opened.info().images])
        except SearchAppError as error:
            ends.append([status, str(error)])
    print(json.dumps(ends))
"""


@needs_preload
@pytest.mark.parametrize("damaged", [False, True])
def test_a_kill_or_full_disk_during_restore_leaves_the_old_or_the_new_catalog(
    library: Path, backup: Path, tmp_path: Path, damaged: bool
) -> None:
    """At any call that changes a file. A damaged catalog stays damaged, or is the new one."""
    kill_with_log(library)
    if damaged:
        (library / "catalog.db-wal").unlink()
        (library / "catalog.db").write_bytes(b"\xff" * 4096)
    script = tmp_path / "restore.py"
    script.write_text(textwrap.dedent(RESTORE))
    ran = run_preloaded(build_faults(tmp_path), script, backup, library)
    assert (ran.returncode, ran.stderr) == (0, "")
    ends = json.loads(ran.stdout)
    assert [status for status, _ in ends].count(-9) == 12
    assert {status for status, _ in ends} <= {-9, 0, 3}  # 0: it could not delete an old index
    states = {"damaged" if "not a database" in str(end) else end for _, end in ends}
    assert states == ({3, "damaged"} if damaged else {3, 4})
