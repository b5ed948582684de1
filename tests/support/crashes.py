"""Kills a run of index at a call that changes files, or lets that call fail; looks what is left.

python tests/support/crashes.py FOLDER CASE POINTS: run by test_crashes.py with faults.c
preloaded; prints a line of JSON. Every run is a fork of this process, which has imported
everything and has no threads.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
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

import faiss
import numpy as np
from click.testing import CliRunner

from searchapp import engines
from searchapp.cli import cli
from searchapp.errors import SearchAppError
from searchapp.files.library_folder import CATALOG
from searchapp.library import Library
from searchapp.types import Finished, IndexOptions, Progress, Query, SearchOptions
from searchapp.vectors.faiss_files.choose_index import Policy
from support.fakes import FakeEngine
from support.library import write_model
from support.pictures import draw

KILL_BEFORE, KILL_AFTER, KILL_TORN, FAIL_ONCE, FAIL_ON = range(1, 6)
KINDS = ("write", "sync", "rename", "unlink", "truncate", "create")
HUNG = 60  # seconds
SMALL = Policy(save_every=8)
FILES = 24

shim = ctypes.CDLL(None)


class Counted(FakeEngine):
    """Counts what all engines of this process embed."""

    pictures = 0

    def embed(self, inputs):  # type: ignore[no-untyped-def]
        Counted.pictures += sum(item.image is not None for item in inputs)
        return super().embed(inputs)


def apart(work: Callable[[int], Any]) -> tuple[int, list[Any]]:
    """Run in a fork that may write lines of JSON; return how it ended, and the lines."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        signal.alarm(HUNG)
        status = 0
        try:
            work(writing)
        except BaseException:
            tell(writing, {"traceback": traceback.format_exc()})
            status = 1
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as lines:
        told = [json.loads(line) for line in lines.read().splitlines()]
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), told


def tell(pipe: int, what: Any) -> None:
    os.write(pipe, json.dumps(what).encode() + b"\n")


def drop_privileges() -> None:
    """Be refused what a user would be refused: root loses what lets it write anywhere."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert shim.capset(header, none) == 0


class Case:
    """A library as it is before the run, and the pictures that the run is told to index."""

    def __init__(self, folder: Path, known: int, *, prunes: bool = False) -> None:
        """Make FILES pictures; known of them are indexed already, and then some changed.

        prunes: the run is one of prune, of what is known of the pictures as they were.
        """
        self.prunes = prunes
        self.photos, self.before = folder / "photos", folder / "before"
        self.library = folder / "library"
        self.journal = self.library / f"{CATALOG}-wal"
        self.model = write_model(folder / "model")
        for number in range(known or FILES):
            self._draw(number)
        if known:
            with self.opened(self.before) as library:
                list(library.index([self.photos], self.options()))
            for number in range(known, FILES):
                self._draw(number)
            (self.photos / "00.png").unlink()
            (self.photos / "01.png").rename(self.photos / "moved.png")
            draw(self.photos / "02.png", "olive")
            if prunes:
                with self.opened(self.before) as library:
                    list(library.index([self.photos], self.options()))
        else:
            self.before.mkdir()
        self.files = len(list(self.photos.iterdir()))
        self.again()

    def _draw(self, number: int) -> None:
        draw(self.photos / f"{number:02}.png", f"#{number * 10:02x}{255 - number * 9:02x}80")

    def options(self) -> IndexOptions:
        return IndexOptions(str(self.model), batch_size=4)

    def opened(self, folder: Path | None = None) -> Library:
        return Library.open(folder or self.library, create=True, start=Counted, policy=SMALL)

    def again(self) -> None:
        """Put the library back to what it was."""
        shutil.rmtree(self.library, ignore_errors=True)
        shutil.copytree(self.before, self.library)

    def run(self, pipe: int, at: int = 0, action: int = 0, number: int = 0) -> None:
        """Index, with a fault at a call; tell what was done, and how it ended."""
        shim.faults_arm(ctypes.c_long(at), action, number)
        try:
            with self.opened() as library:
                pruned = self.prunes and library.prune().images
                assert pruned == (2 if self.prunes else 0)
                for event in () if self.prunes else library.index([self.photos], self.options()):
                    if isinstance(event, Progress):
                        tell(pipe, {"done": event.done})
            tell(pipe, {"ended": True})
        except SearchAppError as error:
            tell(pipe, {"stated": str(error)})
        tell(pipe, {"calls": [shim.faults_count(kind) for kind in range(len(KINDS))]})
        tell(pipe, {"faults": shim.faults_done()})

    def read_only(self, pipe: int, journal: bool) -> None:
        """Search, filter and index where nothing may be written; tell what came of each."""
        if journal and not os.fork():  # a process that was killed leaves SQLite's files
            self.opened()._catalog._db.execute("update runs set finished_at = finished_at")
            os._exit(0)
        if journal:
            os.wait()
        for file in (*self.library.iterdir(), self.library):
            file.chmod(0o555)
        drop_privileges()
        options = SearchOptions(count=3)
        with Library.open(self.library, start=Counted) as library:
            all = library.search(Query("red"), options)
            some = library.search(Query("red"), replace(options, where="width > 1"))
            tell(pipe, {"hits": [len(all), len(some)], "journal": self.journal.exists()})
            try:
                list(library.index([self.photos], self.options()))
            except SearchAppError as error:
                tell(pipe, {"stated": str(error)})
        engines.start_engine = lambda spec, **_: Counted(spec)
        asked = CliRunner().invoke(cli, ["query", "red", "--paths", "--library", str(self.library)])
        tell(pipe, {"query": len(asked.stdout.splitlines()), "code": asked.exit_code})

    def look(self, pipe: int, done: int) -> None:
        """Find what is wrong after a crash; go on with the run, and find what is wrong then."""
        kept = self._sound(pipe, done) if (self.library / CATALOG).exists() else 0
        pictures = Counted.pictures
        with self.opened() as library:
            *_, last = library.index([self.photos], self.options())
            assert isinstance(last, Finished)
            assert last.summary.failed == 0, last
            assert library.info().files == self.files, library.info()
        total = self._sound(pipe, self.files)
        assert Counted.pictures - pictures == total - kept, "embedded twice"
        with sqlite3.connect(self.library / CATALOG) as db:
            (file,) = db.execute("select index_file from collections").fetchone()
        held = faiss.vector_to_array(faiss.read_index(str(self.library / file)).id_map)
        assert len(held) == total, "the index file"
        strays = len([f for f in self.library.glob("collection-*") if f.name != file])
        tell(pipe, {"kept": kept, "strays": strays})

    def _sound(self, pipe: int, done: int) -> int:
        """Return how many embeddings there are; fail where anything does not fit together."""
        with sqlite3.connect(self.library / CATALOG) as db:
            assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
            assert db.execute("pragma foreign_key_check").fetchall() == []
            try:
                stored = db.execute("select id, image_id, vector from embeddings").fetchall()
            except sqlite3.OperationalError:  # killed before there were tables
                stored = []
        with self.opened() as library:
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
            (collection,) = library._catalog.collections()
            index = library._indexes.current(collection)
            assert sorted(index.ids.tolist()) == sorted(vectors), "index and catalogue differ"
            for seed in range(3):
                query = np.random.default_rng(seed).normal(size=FakeEngine.DIMENSIONS)
                query = (query / np.linalg.norm(query)).astype(np.float32)
                exact = {id: float(v @ query / np.linalg.norm(v)) for id, v in vectors.items()}
                for id, score in index.search(query, 10):
                    assert abs(exact[id] - score) < 1e-4
                best = sorted(exact.values(), reverse=True)[:10]
                assert np.allclose([s for _, s in index.search(query, 10)], best, atol=1e-4)
        return len(stored)


class Count:
    """What the cases have shown."""

    def __init__(self) -> None:
        self.points = self.killed = self.faults = self.hung = self.lost = self.strays = 0
        self.wrong: list[str] = []
        self.said: Counter[str] = Counter()
        self.calls: dict[str, int] = {}

    def tried(self, case: Case, name: str, ended: int, told: list[Any]) -> None:
        """Look at what a run has left."""
        self.points += 1
        done = max((line["done"] for line in told if "done" in line), default=0)
        self.hung += ended == -signal.SIGALRM
        self.killed += ended == -signal.SIGKILL
        self.faults += any(line.get("faults") for line in told)
        self.said.update(line["stated"] for line in told if "stated" in line)
        self.wrong += [f"{name}: {line['traceback']}" for line in told if "traceback" in line]
        status, looked = apart(lambda pipe: case.look(pipe, done))
        self.hung += status == -signal.SIGALRM
        for line in looked:
            self.strays += line.get("strays", 0)
            if "traceback" in line:
                self.lost += "are kept" in line["traceback"] or "twice" in line["traceback"]
                self.wrong.append(f"{name}, afterwards: {line['traceback']}")
        if status and not looked:
            self.wrong.append(f"{name}, afterwards: ended with {status}")


def points(calls: int, most: int) -> list[int]:
    """Return which calls to try: all, or as many as that, evenly."""
    most = min(most, calls)
    return [1 + i * (calls - 1) // (most - 1) for i in range(most)]


def main(folder: Path, case_name: str, most: int) -> None:
    prunes = case_name.endswith("prune")
    known = 12 if prunes or case_name.endswith("more") else 0
    case, count = Case(folder, known, prunes=prunes), Count()
    if case_name.startswith("read-only"):
        journal = "journal" in case_name
        print(json.dumps(apart(lambda pipe: case.read_only(pipe, journal))))
        return
    begun = time.monotonic()
    status, told = apart(case.run)
    usual = time.monotonic() - begun
    assert status == 0, told
    calls = next(line["calls"] for line in told if "calls" in line)
    count.calls = dict(zip(KINDS, calls, strict=True))
    chance = random.Random(8)
    if case_name.startswith("kill"):
        for at in points(sum(calls), most):
            action = chance.choice([KILL_BEFORE, KILL_AFTER, KILL_TORN])
            case.again()
            count.tried(case, f"{at}/{action}", *apart(lambda p, a=at, b=action: case.run(p, a, b)))
    elif case_name.startswith("moment"):
        for _ in range(most):
            case.again()
            moment = chance.uniform(0, usual)

            def until(pipe: int, moment: float = moment) -> None:
                killer = threading.Timer(moment, os.kill, [os.getpid(), signal.SIGKILL])
                killer.daemon = True
                killer.start()
                case.run(pipe)

            count.tried(case, f"{moment:.3f} s", *apart(until))
    else:
        number = errno.ENOSPC if case_name.startswith("full") else errno.EIO
        for at in points(sum(calls), most):
            action = chance.choice([FAIL_ONCE, FAIL_ON])
            case.again()
            run = apart(lambda p, a=at, b=action: case.run(p, a, b, number))
            count.tried(case, f"{at}/{action}", *run)
    print(json.dumps(vars(count)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
