"""Find duplicates: read what was not read yet, choose pairs, compare them, and group them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog, Filed
from searchapp.duplicates import (
    candidates,
    choose_keeper,
    compare_pairs,
    group_pairs,
    list_copies,
    make_fingerprints,
)
from searchapp.duplicates import fingerprint as prints
from searchapp.files.lock import writer_lock
from searchapp.search.ranking import whole
from searchapp.types import (
    Certainty,
    Collection,
    Comparing,
    DuplicateOptions,
    Duplicates,
    Failed,
    Found,
    Group,
    Progress,
)
from searchapp.vectors import Ids, Vectors, unpack
from searchapp.vectors.indexes import Indexes

# Of the way from the cosine of any two pictures to 1. Models differ in what any two have.
NEAR, SIMILAR = 0.85, 0.9
ANY_AT_MOST = 0.6  # in a small library most may be alike
MIRRORED = (0, 1)  # turns that leave the embedding as it is, near enough
SAMPLE = 1000  # embeddings
PAIRS = 2_000  # compared at once


@dataclass(frozen=True, slots=True)
class Verdict:
    """What two images have in common; of the second, compared with the first."""

    certainty: Certainty
    turn: int  # of fingerprint.TURNS
    cut: float  # share of a side that one lacks
    inner: bool  # it is the second that lacks it


Verdicts = dict[tuple[int, int], Verdict]  # by places, the lower first


@dataclass
class Finder:
    """One search for duplicates in a collection."""

    folder: Path
    catalog: Catalog
    indexes: Indexes
    collection: Collection
    options: DuplicateOptions
    ids: Ids = field(default_factory=lambda: np.empty(0, np.int64))  # of embeddings
    images: Ids = field(default_factory=lambda: np.empty(0, np.int64))  # in the same order
    hashes: prints.Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    any_two: float = 0.0  # the cosine that half of all pairs have
    failed: int = 0
    _described: dict[int, Filed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look at what the catalogue has."""
        self.options = replace(self.options, folder=whole(self.options.filter).folder)
        self._store = self.catalog.fingerprints(prints.KIND)

    def run(self) -> Iterator[Progress | Failed | Comparing | Found]:
        """Find them, with events; Found is the last."""
        asked, images = self._wanted()
        yield from self._read(images)
        printed, hashes = self._store.hashes()
        compared = np.isin(images, printed, assume_unique=True)
        self.ids, self.images = asked[compared], images[compared]
        self.hashes = hashes[np.searchsorted(printed, self.images)]
        yield Comparing(len(self.images))
        self.any_two = self._any_two()
        pairs, cosines = self._near_pairs()
        least = self._least(NEAR)
        chosen = np.concatenate([pairs[cosines >= least], candidates.by_hash(self.hashes)])
        chosen = np.unique(chosen, axis=0)
        verdicts, same = self._compared(chosen)
        if len(same):
            yield from self._look_at_pixels(same)
            self._tell_pixels(verdicts, same)
        groups = self._groups(verdicts, images)
        similar = self._look_alikes(pairs, cosines, groups) if self.options.similar else ()
        found = sorted(groups, key=lambda group: (-group.bytes, group.keeper.path))
        yield Found(Duplicates(tuple(found), similar, len(images), self.failed))

    def _wanted(self) -> tuple[Ids, Ids]:
        """Return the embeddings that fulfil the filter, and their images."""
        ids, images = self._store.embedded(self.collection)
        if self.options.filter.asks:
            among = self.catalog.matching(self.collection, self.options.filter)
            chosen = np.isin(ids, among)
            return ids[chosen], images[chosen]
        return ids, images

    # Reading

    def _read(self, images: Ids) -> Iterator[Progress | Failed]:
        missing = np.setdiff1d(images, self._store.hashes()[0])
        if len(missing):
            with writer_lock(self.folder, "searchapp duplicates"):
                for event in make_fingerprints.make(self._store, missing):
                    self.failed += isinstance(event, Failed)
                    yield event

    def _look_at_pixels(self, pairs: Ids) -> Iterator[Progress]:
        images = self.images[np.unique(pairs)]
        known = self._store.pixels(images)
        missing = np.setdiff1d(images, np.fromiter(known, np.int64))
        if len(missing):
            with writer_lock(self.folder, "searchapp duplicates"):
                for event in make_fingerprints.make_pixels(self._store, missing):
                    if isinstance(event, Progress):  # what fails was compared all the same
                        yield event

    # Pairs

    def _any_two(self) -> float:
        """Return the cosine that half of all pairs have at most; in a small library not too much.

        It tells models apart: of some, any two pictures are as near as the same of others.
        """
        blobs = self.catalog.embedded(self.collection).sample(SAMPLE)
        if len(blobs) < 2:
            return 0.0
        vectors = unpack(blobs, self.collection.dimensions)
        cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
        return min(float(np.median(cosines)), ANY_AT_MOST)

    def _least(self, share: float) -> float:
        return self.any_two + share * (1 - self.any_two)

    def _near_pairs(self) -> tuple[Ids, Vectors]:
        index, probes = candidates.index_of(self.catalog, self.indexes, self.collection, self.ids)
        if len(self.ids) <= candidates.FEW:
            pages = self.catalog.vectors(self.ids.tolist())
        else:
            pages = self.catalog.embedded(self.collection).after(0)
        rough = 0.03 if probes else 0.0  # what an index's cosines may be wrong by
        return candidates.by_embedding(index, probes, pages, self.ids, self._least(NEAR) - rough)

    def _compared(self, pairs: Ids) -> tuple[Verdicts, Ids]:
        """Compare pairs of places, [n, 2].

        Return the verdicts of those that are near duplicates, and the pairs, [m, 2], that may
        have the same pixels.
        """
        turns = candidates.with_turns(pairs, self.hashes)
        cosines = candidates.cosines(self.catalog, self.collection, self.ids, turns)
        upright = np.isin(turns[:, 2], MIRRORED)
        # A picture's embedding changes when it is turned: then no more than a hint is asked for.
        agrees = cosines >= np.where(upright, self._least(NEAR), self.any_two)
        turns = turns[agrees]
        verdicts: Verdicts = {}
        same = [np.empty((0, 2), np.int64)]
        for start in range(0, len(turns), PAIRS):
            page = turns[start : start + PAIRS]
            found = self._judged(page)
            same.append(page[found.pixels & (page[:, 2] == 0)][:, :2])
            for (one, other, turn), cut, inner in zip(
                page[found.near].tolist(),
                found.cut[found.near].tolist(),
                found.inner[found.near].tolist(),
                strict=True,
            ):
                verdicts.setdefault((one, other), Verdict("near", turn, cut, inner))
        return self._same_moment(verdicts), np.unique(np.concatenate(same), axis=0)

    def _judged(self, page: Ids) -> compare_pairs.Verdicts:
        needed, where = np.unique(page[:, :2], return_inverse=True)
        ones, others = where.reshape(-1, 2).T
        images = self.images[needed]
        luma, colours = prints.unpack(self._store.copies(images))
        sizes = self._store.sizes(images)
        return compare_pairs.compare(
            (luma[ones], colours[ones]),
            compare_pairs.turned((luma[others], colours[others]), page[:, 2]),
            sizes[ones],
            compare_pairs.turned_sizes(sizes[others], page[:, 2]),
        )

    def _tell_pixels(self, verdicts: Verdicts, pairs: Ids) -> None:
        pixels = self._store.pixels(self.images[np.unique(pairs)])
        for one, other in pairs.tolist():
            of = [pixels.get(int(self.images[place])) for place in (one, other)]
            if of[0] is not None and of[0] == of[1]:
                verdicts[one, other] = Verdict("pixels", 0, 0.0, True)

    # Images

    def _same_moment(self, verdicts: Verdicts) -> Verdicts:
        """Leave out what one camera took at two moments: by its clock, of any time zone."""
        self._describe({place for pair in verdicts for place in pair})
        there = self._described
        return {
            (one, other): verdict
            for (one, other), verdict in verdicts.items()
            if one in there and other in there and not list_copies.apart(there[one], there[other])
        }

    def _describe(self, places: set[int]) -> None:
        """Learn of images what is not known yet; those whose files are not there stay unknown."""
        new = np.array(sorted(places - self._described.keys()), np.int64)
        by_image = dict(zip(self.images[new].tolist(), new.tolist(), strict=True))
        for image in self._store.describe(self.images[new]):
            if here := self._here(image):
                self._described[by_image[image.image_id]] = here

    def _here(self, image: Filed) -> Filed | None:
        along, folder = self.catalog.companions().along, self.options.folder
        return list_copies.here(image, str(folder) if folder else None, along)

    # Groups

    def _groups(self, verdicts: Verdicts, images: Ids) -> list[Group]:
        repeated = np.isin(self.images, self._store.repeated())
        self._describe(set(np.flatnonzero(repeated).tolist()))
        self._describe({place for pair in verdicts for place in pair})
        verdicts = {
            pair: verdict
            for pair, verdict in verdicts.items()
            if all(place in self._described for place in pair)
        }
        groups, grouped = list[Group](), set[int]()
        for keeper, same in group_pairs.around(verdicts, self._rank, self._compare_more):
            groups.append(self._group(keeper, same))
            grouped |= {keeper, *same}
        for place in np.flatnonzero(repeated).tolist():
            image = self._described.get(place)
            if image is not None and place not in grouped and len(image.files) > 1:
                groups.append(self._group(place, {}))
        groups += self._unprinted(images)
        return groups

    def _unprinted(self, images: Ids) -> list[Group]:
        """Group the files of images that could not be read: the same bytes are the same."""
        left = np.setdiff1d(np.intersect1d(images, self._store.repeated()), self.images)
        groups = []
        for image in self._store.describe(left):
            here = self._here(image)
            if here is not None and len(here.files) > 1:
                groups.append(list_copies.group(list_copies.copies(here), []))
        return groups

    def _rank(self, place: int) -> tuple[float | str, ...]:
        return min(map(choose_keeper.rank, list_copies.copies(self._described[place])))

    def _compare_more(self, pairs: list[tuple[int, int]]) -> Mapping[tuple[int, int], Verdict]:
        verdicts, same = self._compared(np.array(pairs, np.int64))
        self._tell_pixels(verdicts, same)  # where they are known: else it is near, which it is
        return verdicts

    def _group(self, keeper: int, same: Mapping[int, Verdict]) -> Group:
        ours = list_copies.copies(self._described[keeper])
        theirs = []
        for place, verdict in same.items():
            first = keeper < place
            for copy in list_copies.copies(self._described[place]):
                # The keeper lacks something where it is the inner one.
                lacks = verdict.inner != first
                theirs.append((copy, verdict.certainty, verdict.turn, verdict.cut, lacks))
        return list_copies.group(ours, theirs)

    def _look_alikes(
        self, pairs: Ids, cosines: Vectors, groups: Sequence[Group]
    ) -> tuple[Group, ...]:
        """Group what is near by its embedding and no duplicate, around one that has the most."""
        gone = {copy.image_id for group in groups for copy in group.others} - {
            group.keeper.image_id for group in groups
        }
        left = cosines >= self._least(SIMILAR)
        left &= ~np.isin(self.images[pairs], list(gone)).any(axis=1)
        near = [
            (cosine, one, other)
            for (one, other), cosine in zip(
                pairs[left].tolist(), cosines[left].tolist(), strict=True
            )
        ]
        self._describe({place for _, *pair in near for place in pair})
        there = [each for each in near if all(place in self._described for place in each[1:])]
        found = []
        for first, others in group_pairs.nearest(there):
            copies = [
                min(list_copies.copies(self._described[n]), key=choose_keeper.rank)
                for n in (first, *others)
            ]
            keeper, *rest = sorted(copies, key=choose_keeper.rank)
            found.append(
                Group(
                    keeper,
                    "look-alikes are no duplicates: there is none to keep rather than others",
                    tuple(
                        replace(copy, certainty="similar", difference="another picture")
                        for copy in rest
                    ),
                )
            )
        return tuple(found)
