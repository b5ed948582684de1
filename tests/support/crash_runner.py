"""Kill an index run at a system call that changes files, or fail that call; check the library.

python tests/support/crash_runner.py FOLDER CASE POINTS

test_crashes.py runs it with faults.c preloaded. It prints a line of JSON. Each run is a fork of
this process, which has imported everything and has no threads.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from searchapp import engines
from searchapp.cli import cli
from searchapp.errors import SearchAppError
from searchapp.files.library_folder import CATALOG
from searchapp.library import Library
from searchapp.types import IndexOptions, Progress, Query, RunFinished, SearchOptions
from searchapp.vectors import VectorIndex
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.faiss_files.vector_file import VectorFile, get_vector_file
from support.fake_engine import FakeEngine
from support.library import write_fake_clip
from support.sample_pictures import save_picture

KILL_BEFORE, KILL_AFTER, KILL_TORN, FAIL_ONCE, FAIL_ALL_FROM = range(1, 6)
CALL_KINDS = ("write", "sync", "rename", "unlink", "truncate", "create")
HANG_TIMEOUT_S = 300
SMALL_POLICY = IndexPolicy(min_unsaved_vectors=8)
FILE_COUNT = 24
TRAINED_INDEX = "IVF2,Flat"  # It has a vector file.
# The other cases have the same steps, or fewer. A first run also makes the library.
EACH_STEP_CASES = ("kill-first", "kill-trained-more")

shim = ctypes.CDLL(None)


class CountingEngine(FakeEngine):
    """Counts the pictures that all engines of this process embed."""

    picture_count = 0

    def embed(self, inputs):  # type: ignore[no-untyped-def]
        CountingEngine.picture_count += sum(item.image is not None for item in inputs)
        return super().embed(inputs)


def run_in_fork(work: Callable[[int], Any]) -> tuple[int, list[Any]]:
    """Run a function in a fork that writes lines of JSON; return its exit status and the lines."""
    read_end, write_end = os.pipe()
    process = os.fork()
    if not process:
        signal.alarm(HANG_TIMEOUT_S)
        status = 0
        try:
            work(write_end)
        except BaseException:
            send_line(write_end, {"traceback": traceback.format_exc()})
            status = 1
        os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as lines:
        messages = [json.loads(line) for line in lines.read().splitlines()]
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), messages


def send_line(pipe: int, message: Any) -> None:
    os.write(pipe, json.dumps(message).encode() + b"\n")


def drop_privileges() -> None:
    """Drop the capabilities of root, so that file permissions apply as for a user."""
    header, no_capabilities = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert shim.capset(header, no_capabilities) == 0


class CrashCase:
    """Library before a run, and the pictures that the run indexes."""

    def __init__(
        self, folder: Path, known: int, *, prunes: bool = False, index: str | None = None
    ) -> None:
        """Make FILE_COUNT pictures; index the first ones (known), and change some of them.

        prunes: the run prunes, instead of indexing. index: the kind of index.
        """
        self.is_prune, self.index = prunes, index
        self.photos, self.snapshot = folder / "photos", folder / "before"
        self.library = folder / "library"
        self.journal = self.library / f"{CATALOG}-wal"
        self.model = write_fake_clip(folder / "model")
        for number in range(known or FILE_COUNT):
            self._draw_picture(number)
        if known:
            with self.open_library(self.snapshot) as library:
                list(library.index([self.photos], self.make_options()))
            for number in range(known, FILE_COUNT):
                self._draw_picture(number)
            (self.photos / "00.png").unlink()
            (self.photos / "01.png").rename(self.photos / "moved.png")
            save_picture(self.photos / "02.png", "olive")
            if prunes:
                with self.open_library(self.snapshot) as library:
                    list(library.index([self.photos], self.make_options()))
        else:
            self.snapshot.mkdir()
        self.file_count = len(list(self.photos.iterdir()))
        self.restore_library()

    def _draw_picture(self, number: int) -> None:
        save_picture(
            self.photos / f"{number:02}.png", f"#{number * 10:02x}{255 - number * 9:02x}80"
        )

    def make_options(self) -> IndexOptions:
        return IndexOptions(str(self.model), batch_size=4, index=self.index)

    def open_library(self, folder: Path | None = None) -> Library:
        return Library.open(
            folder or self.library, create=True, start=CountingEngine, policy=SMALL_POLICY
        )

    def restore_library(self) -> None:
        """Restore the library from its snapshot."""
        shutil.rmtree(self.library, ignore_errors=True)
        shutil.copytree(self.snapshot, self.library)

    def run_with_fault(
        self, pipe: int, call_number: int = 0, action: int = 0, error_number: int = 0
    ) -> None:
        """Index with a fault at a system call; send the progress and the end as lines."""
        shim.faults_arm(ctypes.c_long(call_number), action, error_number)
        try:
            with self.open_library() as library:
                pruned = self.is_prune and library.prune().images
                assert pruned == (2 if self.is_prune else 0)
                for event in (
                    () if self.is_prune else library.index([self.photos], self.make_options())
                ):
                    if isinstance(event, Progress):
                        send_line(pipe, {"done": event.done})
            send_line(pipe, {"ended": True})
        except SearchAppError as error:
            send_line(pipe, {"stated": str(error)})
        send_line(pipe, {"calls": [shim.faults_count(kind) for kind in range(len(CALL_KINDS))]})
        send_line(pipe, {"faults": shim.faults_done()})

    def use_read_only(self, pipe: int, journal: bool, is_copy: bool) -> None:
        """Search, filter and index in a read-only library; send the results as lines.

        is_copy: the copy of a library in use: it has a WAL file without an index (-shm).
        """
        if journal and not os.fork():  # A killed process leaves the journal files of SQLite.
            self.open_library()._catalog._db.execute("update runs set finished_at = finished_at")
            os._exit(0)
        if journal:
            os.wait()
        if is_copy:
            (self.library / f"{CATALOG}-shm").unlink()
        for file in (*self.library.iterdir(), self.library):
            file.chmod(0o555)
        drop_privileges()
        options = SearchOptions(count=3)
        with Library.open(self.library, start=CountingEngine) as library:
            all_hits = library.search(Query("red"), options)
            filtered_hits = library.search(Query("red"), replace(options, where="width > 1"))
            send_line(
                pipe,
                {"hits": [len(all_hits), len(filtered_hits)], "journal": self.journal.exists()},
            )
            send_line(pipe, {"prunable": library.prune(dry=True, missing=True).images})
            try:
                list(library.index([self.photos], self.make_options()))
            except SearchAppError as error:
                send_line(pipe, {"stated": str(error)})
        engines.start_engine = lambda spec, **_: CountingEngine(spec)
        query_result = CliRunner().invoke(
            cli, ["query", "red", "--paths", "--library", str(self.library)]
        )
        send_line(
            pipe, {"query": len(query_result.stdout.splitlines()), "code": query_result.exit_code}
        )

    def check_after_crash(self, pipe: int, done: int) -> None:
        """Check the library after a crash; finish the run, and check it again."""
        kept_count = self._check_consistency(pipe, done) if (self.library / CATALOG).exists() else 0
        pictures = CountingEngine.picture_count
        with self.open_library() as library:
            *_, last = library.index([self.photos], self.make_options())
            assert isinstance(last, RunFinished)
            assert last.summary.failed == 0, last
            assert library.info().files == self.file_count, library.info()
        total = self._check_consistency(pipe, self.file_count)
        assert CountingEngine.picture_count - pictures == total - kept_count, "embedded twice"
        with sqlite3.connect(self.library / CATALOG) as db:
            (name,) = db.execute("select index_file from collections").fetchone()
            ids = np.array(db.execute("select id from embeddings").fetchall())[:, 0]
        file = self.library / name
        assert len(VectorIndex.open(file, FakeEngine.DIMENSIONS)) == total, "the index file"
        if self.index is not None:
            vectors = VectorFile.open(get_vector_file(file), FakeEngine.DIMENSIONS, int(ids.max()))
            assert vectors is not None, "the vector file"
            query = np.ones((1, FakeEngine.DIMENSIONS), np.float32)
            assert not len(vectors.select_nearest(query, ids, total)[1]), "the vector file"
        used = (file, get_vector_file(file))
        strays = len([f for f in self.library.glob("collection-*") if f not in used])
        send_line(pipe, {"kept": kept_count, "strays": strays})

    def _check_consistency(self, pipe: int, done: int) -> int:
        """Return the number of embeddings; fail if catalog, index and hits are inconsistent."""
        with sqlite3.connect(self.library / CATALOG) as db:
            assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
            assert db.execute("pragma foreign_key_check").fetchall() == []
            try:
                stored = db.execute("select id, image_id, vector from embeddings").fetchall()
            except sqlite3.OperationalError:  # The process was killed before it created the tables.
                stored = []
        with self.open_library() as library:
            if not library.info().collections:
                assert not stored and not done
                return 0
            vectors = {}
            for id, _, blob in stored:
                assert len(blob) == 2 * FakeEngine.DIMENSIONS
                vectors[id] = np.frombuffer(blob, "<f2").astype(np.float32)
                assert abs(np.linalg.norm(vectors[id]) - 1) < 0.01
            found = list(library._catalog._db.execute("select image_id from files"))
            images = {image for _, image, _ in stored}
            assert len(found) >= done, f"{done} were done, {len(found)} are kept"
            assert all(image in images for (image,) in found), "a file without its embedding"
            (collection,) = library._catalog.list_collections()
            index = library._indexes.open_index(collection)
            assert sorted(index.ids.tolist()) == sorted(vectors), "index and catalog differ"
            for seed in range(3):
                query = np.random.default_rng(seed).normal(size=FakeEngine.DIMENSIONS)
                query = (query / np.linalg.norm(query)).astype(np.float32)
                exact = {id: float(v @ query / np.linalg.norm(v)) for id, v in vectors.items()}
                for id, score in index.search(query, 10):
                    assert abs(exact[id] - score) < 1e-4
                best = sorted(exact.values(), reverse=True)[:10]
                assert np.allclose([s for _, s in index.search(query, 10)], best, atol=1e-4)
        return len(stored)


class Tally:
    """Counts the results of all runs."""

    def __init__(self) -> None:
        self.points = self.killed = self.faults = self.hung = self.lost = self.strays = 0
        self.wrong: list[str] = []
        self.said: Counter[str] = Counter()
        self.calls: dict[str, int] = {}

    def add_run(self, case: CrashCase, name: str, exit_status: int, lines: list[Any]) -> None:
        """Check the library that a run has left, and count the result."""
        self.points += 1
        done = max((line["done"] for line in lines if "done" in line), default=0)
        self.hung += exit_status == -signal.SIGALRM
        self.killed += exit_status == -signal.SIGKILL
        self.faults += any(line.get("faults") for line in lines)
        self.said.update(line["stated"] for line in lines if "stated" in line)
        self.wrong += [f"{name}: {line['traceback']}" for line in lines if "traceback" in line]
        status, check_lines = run_in_fork(lambda pipe: case.check_after_crash(pipe, done))
        self.hung += status == -signal.SIGALRM
        for line in check_lines:
            self.strays += line.get("strays", 0)
            if "traceback" in line:
                self.lost += "are kept" in line["traceback"] or "twice" in line["traceback"]
                self.wrong.append(f"{name}, afterwards: {line['traceback']}")
        if status and not check_lines:
            self.wrong.append(f"{name}, afterwards: ended with {status}")


def read_calls(file: Path) -> list[str]:
    """Return the kind and the file of each traced call, without random parts of file names."""
    lines = file.read_text(errors="surrogateescape").splitlines()
    names = [re.sub(r"[0-9a-f]*[0-9][0-9a-f]*", "#", Path(line[2:]).name) for line in lines]
    return [line[0] + name for line, name in zip(lines, names, strict=True)]


def choose_call_numbers(calls: list[str], max_points: int, *, each_step: bool) -> list[int]:
    """Return the numbers of the calls to test: all of them, or max_points at even distances.

    each_step: add the first call of each kind for each file.
    """
    count = len(calls)
    max_points = min(max_points, count)
    numbers = {1 + i * (count - 1) // (max_points - 1) for i in range(max_points)}
    if each_step:
        numbers |= {1 + calls.index(call) for call in set(calls)}
    return sorted(numbers)


def main(folder: Path, case_name: str, max_points: int) -> None:
    prunes = case_name.endswith("prune")
    known = 12 if prunes or case_name.endswith("more") else 0
    index = TRAINED_INDEX if "trained" in case_name else None
    case, count = CrashCase(folder, known, prunes=prunes, index=index), Tally()
    if case_name.startswith("read-only"):
        is_copy = "copy" in case_name
        journal = "journal" in case_name or is_copy
        print(json.dumps(run_in_fork(lambda pipe: case.use_read_only(pipe, journal, is_copy))))
        return
    trace = os.open(folder / "calls.txt", os.O_WRONLY | os.O_CREAT)

    def run_traced(pipe: int) -> None:
        shim.faults_trace(trace)
        case.run_with_fault(pipe)

    begun = time.monotonic()
    status, lines = run_in_fork(run_traced)
    usual_s = time.monotonic() - begun
    assert status == 0, lines
    calls = next(line["calls"] for line in lines if "calls" in line)
    count.calls = dict(zip(CALL_KINDS, calls, strict=True))
    numbers = choose_call_numbers(
        read_calls(folder / "calls.txt"), max_points, each_step=case_name in EACH_STEP_CASES
    )
    rng = random.Random(8)
    if case_name.startswith("kill"):
        for at in numbers:
            action = rng.choice([KILL_BEFORE, KILL_AFTER, KILL_TORN])
            case.restore_library()
            count.add_run(
                case,
                f"{at}/{action}",
                *run_in_fork(lambda p, a=at, b=action: case.run_with_fault(p, a, b)),
            )
    elif case_name.startswith("moment"):
        for _ in range(max_points):
            case.restore_library()
            moment = rng.uniform(0, usual_s)

            def until(pipe: int, moment: float = moment) -> None:
                killer = threading.Timer(moment, os.kill, [os.getpid(), signal.SIGKILL])
                killer.daemon = True
                killer.start()
                case.run_with_fault(pipe)

            begun = time.monotonic()
            status, lines = run_in_fork(until)
            if status == 0:  # The machine is less busy than before: choose earlier moments.
                usual_s = min(usual_s, time.monotonic() - begun)
            count.add_run(case, f"{moment:.3f} s", status, lines)
    else:
        number = errno.ENOSPC if case_name.startswith("full") else errno.EIO
        for at in numbers:
            action = rng.choice([FAIL_ONCE, FAIL_ALL_FROM])
            case.restore_library()
            run = run_in_fork(lambda p, a=at, b=action: case.run_with_fault(p, a, b, number))
            count.add_run(case, f"{at}/{action}", *run)
    print(json.dumps(vars(count)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
