"""Check a library against itself and the disk, and mend what the catalogue can mend.

The catalogue is the truth: indexes and thumbnails are made of it again. What is wrong in the
catalogue is deleted where index brings it back; a damaged file needs a backup.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog
from searchapp.errors import PictureError, VectorsError
from searchapp.files import storage
from searchapp.types import Collection, Fault
from searchapp.vectors import VectorIndex, are_whole, unpack
from searchapp.vectors.indexes import Indexes

ASKED = 20  # vectors that the index is asked for
RECALL = 0.9  # of the ten nearest, that a trained index has to find
CLOSE = 1e-3  # of cosines that are the same
LEFT = 3600.0  # seconds after which a temporary file belongs to nobody
ELSEWHERE = "make it good from a backup of yours"


@dataclass(frozen=True, slots=True)
class Check:
    """One library; files is how many are read again, None: all."""

    folder: Path
    catalog: Catalog
    files: int | None = 100

    def faults(self, *, repair: bool) -> Iterator[Fault]:
        """Yield what is wrong; with repair, after it was mended where it can be."""
        upkeep = self.catalog.upkeep()
        damage = upkeep.damage()
        for what in damage:
            yield Fault(f"the catalogue's file is damaged: {what}", remedy="restore a backup")
        if damage:  # nothing that is read from it can be trusted
            return
        for table, count in upkeep.dangling():
            what = f"{count:,} rows of {table} belong to nothing"
            yield self._mended(what, upkeep.drop_dangling, repair)
        whole = []
        for collection in self.catalog.collections():
            faults = list(self._vectors(collection, repair))
            yield from faults
            if repair or not faults:
                whole.append(collection)
        for name, counted, there in upkeep.miscounted():
            what = f"{name}: {counted:,} embeddings are counted, {there:,} are there"
            yield self._mended(what, upkeep.count_again, repair)
        for collection in whole:  # what an index finds among wrong vectors tells nothing
            yield from self._index(collection, repair)
        yield from self._files(repair)
        yield from self._leftovers(repair)

    @staticmethod
    def _mended(what: str, mend: Callable[[], object], repair: bool, remedy: str = "") -> Fault:
        if repair:
            mend()
        return Fault(what, remedy=remedy, mended=repair)

    def _vectors(self, collection: Collection, repair: bool) -> Iterator[Fault]:
        """Check every stored vector: its size, its length, and that it is of numbers."""
        upkeep, wrong = self.catalog.upkeep(), list[int]()
        for ids, blobs in self.catalog.embedded(collection).after(0):
            whole = are_whole(blobs, collection.dimensions)
            wrong += [id for id, is_whole in zip(ids, whole, strict=True) if not is_whole]
        if wrong:
            yield self._mended(
                f"{collection.name}: {len(wrong):,} embeddings are no vectors of length one",
                partial(upkeep.delete_embeddings, wrong),
                repair,
                "`searchapp index` embeds those images again",
            )

    def _index(self, collection: Collection, repair: bool) -> Iterator[Fault]:
        """Check the index file, what it holds, and what it finds."""
        if self.catalog.stores(collection).current() is not None:
            yield from self._milvus(collection, repair)
            return
        embedded = self.catalog.embedded(collection)
        saved = embedded.saved()
        file = self.folder / saved.file if saved.file else None
        what = None
        if file is not None and not file.exists():
            what = f"{file.name} is missing"
        elif file is not None and file.stat().st_size != saved.size:
            what = f"{file.name} is not as long as it was written"
        elif file is not None:
            what = self._misheld(collection, file) or self._misfound(collection)
        if what:

            def remake() -> None:
                embedded.forget_saved()
                list(Indexes(self.folder, self.catalog).save(collection))

            yield self._mended(f"{collection.name}: the index: {what}", remake, repair)

    def _milvus(self, collection: Collection, repair: bool) -> Iterator[Fault]:
        """Check what Milvus holds, and what it finds."""
        indexes = Indexes(self.folder, self.catalog)
        try:
            if not (what := indexes.misheld(collection)):
                what = self._misfound(collection, indexes)
            if what:

                def send_again() -> None:
                    list(indexes.save(collection, full=True))

                yield self._mended(f"{collection.name}: in Milvus: {what}", send_again, repair)
        except VectorsError as error:
            yield Fault(f"{collection.name}: {error}")
        finally:
            indexes.close()

    def _misheld(self, collection: Collection, file: Path) -> str | None:
        """Compare the ids that the file holds with those it is said to hold."""
        embedded = self.catalog.embedded(collection)
        saved = embedded.saved()
        index = VectorIndex.open(
            file, collection.dimensions, fetch=self.catalog.vectors, kind=saved.kind
        )
        held = np.sort(index.ids)
        if len(held) != saved.count or len(np.unique(held)) != len(held):
            return f"holds {len(held):,} vectors, and should hold {saved.count:,}"
        if saved.extent == embedded.extent():
            live = embedded.ids(saved.last_id)
            if not np.array_equal(held, live):
                return "holds others than those that are embedded"
        return None

    def _misfound(self, collection: Collection, indexes: Indexes | None = None) -> str | None:
        """Compare what the index finds with a look at every vector."""
        index = (indexes or Indexes(self.folder, self.catalog)).current(collection)
        questions = unpack(self.catalog.embedded(collection).sample(ASKED), collection.dimensions)
        best = [list[tuple[float, int]]() for _ in questions]
        for ids, blobs in self.catalog.embedded(collection).after(0):
            scores = questions @ unpack(blobs, collection.dimensions).T
            for nearest, row in zip(best, scores, strict=True):
                top = np.argsort(-row)[:10]
                nearest += [(float(row[n]), ids[n]) for n in top]
                nearest[:] = sorted(nearest, key=lambda one: (-one[0], one[1]))[:10]
        found = total = 0
        for question, nearest in zip(questions, best, strict=True):
            told = dict(index.search(question, len(nearest)))
            least = nearest[-1][0] - CLOSE  # of equals, any will do
            for ids, blobs in self.catalog.vectors(sorted(told)):
                true = unpack(blobs, collection.dimensions) @ question
                found += sum(
                    score >= least and abs(score - told[id]) < CLOSE
                    for id, score in zip(ids, true.tolist(), strict=True)
                )
            total += len(nearest)
        needed = 1.0 if index.exact else RECALL
        if found < needed * total:
            return f"finds {found:,} of the {total:,} nearest vectors"
        return None

    def _files(self, repair: bool) -> Iterator[Fault]:
        """Read files again whose size and time are as they were: their content has to be, too."""
        upkeep, changed = self.catalog.upkeep(), list[str]()
        for path, size, mtime_ns, sha256 in upkeep.some_files(self.files):
            try:
                with storage.opened(path) as (file, state):
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except PictureError:  # gone, or out of reach: that is for index to see
                continue
            if state == storage.State(size, mtime_ns) and found != sha256:
                changed.append(path)
        for path in changed:
            yield self._mended(
                f"{path}: other bytes than when it was indexed, at the same size and time",
                partial(upkeep.distrust, [path]),
                repair,
                f"`searchapp index` reads it again; if the disk is failing, {ELSEWHERE}",
            )

    def _leftovers(self, repair: bool) -> Iterator[Fault]:
        """Find files in the library that nothing refers to."""
        named = {self.catalog.embedded(c).saved().file for c in self.catalog.collections()}
        known = set(self.catalog.upkeep().hashes())
        temporary = chain(self.folder.glob("*.tmp"), self.folder.glob("thumbnails/*/*.tmp"))
        old = [file for file in temporary if time.time() - file.stat().st_mtime > LEFT]
        for what, files in (
            ("temporary files are left over", old),
            (
                "index files belong to no collection",
                [f for f in self.folder.glob("collection-*.faiss") if f.name not in named],
            ),
            (
                "thumbnails are of images that are gone",
                [
                    file
                    for file in self.folder.glob("thumbnails/*/*.webp")
                    if file.name.partition("-")[0] not in known
                ],
            ),
        ):
            if files:
                yield self._mended(f"{len(files):,} {what}", partial(_unlink, files), repair)


def _unlink(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
