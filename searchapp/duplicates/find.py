"""Find duplicates: read what was not read yet, choose pairs, compare them, and group them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog, ImageWithFiles
from searchapp.duplicates import (
    candidates,
    choose_keeper,
    compare_pairs,
    group_pairs,
    list_copies,
    make_fingerprints,
)
from searchapp.duplicates import fingerprint as prints
from searchapp.files.lock import hold_writer_lock
from searchapp.search.ranking import resolve_filter_folder
from searchapp.types import (
    Collection,
    ComparisonStarted,
    DuplicateCertainty,
    DuplicateGroup,
    DuplicateOptions,
    Duplicates,
    DuplicatesFound,
    FileFailed,
    Progress,
)
from searchapp.vectors import Ids, Vectors, unpack_vectors
from searchapp.vectors.indexes import Indexes

# Of the way from the cosine of any two pictures to 1. Models differ in what any two have.
NEAR_SHARE, SIMILAR_SHARE = 0.85, 0.9
MAX_TYPICAL_COSINE = 0.6  # in a small library most may be alike
EMBEDDING_SAFE_TURNS = (0, 1)  # turns that leave the embedding as it is, near enough
SAMPLE_EMBEDDINGS = 1000  # embeddings
PAIR_BATCH = 2_000  # compared at once


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """What two images have in common; of the second, compared with the first."""

    certainty: DuplicateCertainty
    turn: int  # of fingerprint.TURNS
    cut_share: float  # share of a side that one lacks
    is_second_cropped: bool  # it is the second that lacks it


PairVerdicts = dict[tuple[int, int], PairVerdict]  # by places, the lower first


@dataclass
class DuplicateFinder:
    """One search for duplicates in a collection."""

    folder: Path
    catalog: Catalog
    indexes: Indexes
    collection: Collection
    options: DuplicateOptions
    embedding_ids: Ids = field(default_factory=lambda: np.empty(0, np.int64))  # of embeddings
    image_ids: Ids = field(default_factory=lambda: np.empty(0, np.int64))  # in the same order
    hashes: prints.Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    typical_cosine: float = 0.0  # the cosine that half of all pairs have
    failed_count: int = 0
    _image_by_place: dict[int, ImageWithFiles] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look at what the catalogue has."""
        self.options = replace(
            self.options, folder=resolve_filter_folder(self.options.base_filter).folder
        )
        self._store = self.catalog.get_fingerprints(prints.FINGERPRINT_VERSION)

    def find_duplicates(
        self,
    ) -> Iterator[Progress | FileFailed | ComparisonStarted | DuplicatesFound]:
        """Find them, with events; Found is the last."""
        selected_ids, images = self._select_embeddings()
        yield from self._make_fingerprints(images)
        fingerprinted_ids, hashes = self._store.read_hashes()
        has_fingerprint = np.isin(images, fingerprinted_ids, assume_unique=True)
        self.embedding_ids, self.image_ids = selected_ids[has_fingerprint], images[has_fingerprint]
        self.hashes = hashes[np.searchsorted(fingerprinted_ids, self.image_ids)]
        yield ComparisonStarted(len(self.image_ids))
        self.typical_cosine = self._measure_typical_cosine()
        pairs, cosines = self._find_near_pairs()
        min_cosine = self._compute_min_cosine(NEAR_SHARE)
        candidate_pairs = np.concatenate(
            [pairs[cosines >= min_cosine], candidates.find_pairs_by_hash(self.hashes)]
        )
        candidate_pairs = np.unique(candidate_pairs, axis=0)
        verdicts, same_pixel_pairs = self._compare_pairs(candidate_pairs)
        if len(same_pixel_pairs):
            yield from self._make_pixel_hashes(same_pixel_pairs)
            self._mark_same_pixels(verdicts, same_pixel_pairs)
        groups = self._make_groups(verdicts, images)
        similar = self._group_look_alikes(pairs, cosines, groups) if self.options.similar else ()
        found = sorted(groups, key=lambda group: (-group.others_size_bytes, group.keeper.path))
        yield DuplicatesFound(Duplicates(tuple(found), similar, len(images), self.failed_count))

    def _select_embeddings(self) -> tuple[Ids, Ids]:
        """Return the embeddings that fulfil the filter, and their images."""
        ids, images = self._store.read_embedding_ids(self.collection)
        if self.options.base_filter.has_conditions:
            matching_ids = self.catalog.find_embedding_ids(
                self.collection, self.options.base_filter
            )
            is_selected = np.isin(ids, matching_ids)
            return ids[is_selected], images[is_selected]
        return ids, images

    # Reading

    def _make_fingerprints(self, images: Ids) -> Iterator[Progress | FileFailed]:
        missing = np.setdiff1d(images, self._store.read_hashes()[0])
        if len(missing):
            with hold_writer_lock(self.folder, "searchapp duplicates"):
                for event in make_fingerprints.make_fingerprints(self._store, missing):
                    self.failed_count += isinstance(event, FileFailed)
                    yield event

    def _make_pixel_hashes(self, pairs: Ids) -> Iterator[Progress]:
        images = self.image_ids[np.unique(pairs)]
        known = self._store.read_pixel_hashes(images)
        missing = np.setdiff1d(images, np.fromiter(known, np.int64))
        if len(missing):
            with hold_writer_lock(self.folder, "searchapp duplicates"):
                for event in make_fingerprints.make_pixel_hashes(self._store, missing):
                    if isinstance(event, Progress):  # what fails was compared all the same
                        yield event

    # Pairs

    def _measure_typical_cosine(self) -> float:
        """Return the cosine that half of all pairs have at most; in a small library not too much.

        It tells models apart: of some, any two pictures are as near as the same of others.
        """
        blobs = self.catalog.get_embeddings(self.collection).sample_vectors(SAMPLE_EMBEDDINGS)
        if len(blobs) < 2:
            return 0.0
        vectors = unpack_vectors(blobs, self.collection.dimensions)
        cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
        return min(float(np.median(cosines)), MAX_TYPICAL_COSINE)

    def _compute_min_cosine(self, share: float) -> float:
        return self.typical_cosine + share * (1 - self.typical_cosine)

    def _find_near_pairs(self) -> tuple[Ids, Vectors]:
        index, probes = candidates.get_pair_index(
            self.catalog, self.indexes, self.collection, self.embedding_ids
        )
        if len(self.embedding_ids) <= candidates.MAX_EXACT_VECTORS:
            pages = self.catalog.read_vectors(self.embedding_ids.tolist())
        else:
            pages = self.catalog.get_embeddings(self.collection).read_vectors_after(0)
        cosine_error = 0.03 if probes else 0.0  # what an index's cosines may be wrong by
        return candidates.find_pairs_by_embedding(
            index,
            probes,
            pages,
            self.embedding_ids,
            self._compute_min_cosine(NEAR_SHARE) - cosine_error,
        )

    def _compare_pairs(self, pairs: Ids) -> tuple[PairVerdicts, Ids]:
        """Compare pairs of places, [n, 2].

        Return the verdicts of those that are near duplicates, and the pairs, [m, 2], that may
        have the same pixels.
        """
        turns = candidates.add_turns(pairs, self.hashes)
        cosines = candidates.compute_cosines(
            self.catalog, self.collection, self.embedding_ids, turns
        )
        upright = np.isin(turns[:, 2], EMBEDDING_SAFE_TURNS)
        # A picture's embedding changes when it is turned: then no more than a hint is asked for.
        is_near = cosines >= np.where(
            upright, self._compute_min_cosine(NEAR_SHARE), self.typical_cosine
        )
        turns = turns[is_near]
        verdicts: PairVerdicts = {}
        same_pixel_pairs = [np.empty((0, 2), np.int64)]
        for start in range(0, len(turns), PAIR_BATCH):
            page = turns[start : start + PAIR_BATCH]
            results = self._compare_page(page)
            same_pixel_pairs.append(page[results.may_have_same_pixels & (page[:, 2] == 0)][:, :2])
            for (one, other, turn), cut, inner in zip(
                page[results.is_near].tolist(),
                results.cut_share[results.is_near].tolist(),
                results.is_other_inner[results.is_near].tolist(),
                strict=True,
            ):
                verdicts.setdefault((one, other), PairVerdict("near", turn, cut, inner))
        return self._drop_separate_shots(verdicts), np.unique(
            np.concatenate(same_pixel_pairs), axis=0
        )

    def _compare_page(self, page: Ids) -> compare_pairs.ComparisonResults:
        needed, where = np.unique(page[:, :2], return_inverse=True)
        ones, others = where.reshape(-1, 2).T
        images = self.image_ids[needed]
        luma, colours = prints.unpack_copies(self._store.read_small_copies(images))
        sizes = self._store.read_sizes(images)
        return compare_pairs.compare_copies(
            (luma[ones], colours[ones]),
            compare_pairs.turn_copies((luma[others], colours[others]), page[:, 2]),
            sizes[ones],
            compare_pairs.turn_sizes(sizes[others], page[:, 2]),
        )

    def _mark_same_pixels(self, verdicts: PairVerdicts, pairs: Ids) -> None:
        pixels = self._store.read_pixel_hashes(self.image_ids[np.unique(pairs)])
        for one, other in pairs.tolist():
            pair_hashes = [pixels.get(int(self.image_ids[place])) for place in (one, other)]
            if pair_hashes[0] is not None and pair_hashes[0] == pair_hashes[1]:
                verdicts[one, other] = PairVerdict("pixels", 0, 0.0, True)

    # Images

    def _drop_separate_shots(self, verdicts: PairVerdicts) -> PairVerdicts:
        """Leave out what one camera took at two moments: by its clock, of any time zone."""
        self._load_images({place for pair in verdicts for place in pair})
        image_by_place = self._image_by_place
        return {
            (one, other): verdict
            for (one, other), verdict in verdicts.items()
            if one in image_by_place
            and other in image_by_place
            and not list_copies.are_separate_shots(image_by_place[one], image_by_place[other])
        }

    def _load_images(self, places: set[int]) -> None:
        """Learn of images what is not known yet; those whose files are not there stay unknown."""
        new = np.array(sorted(places - self._image_by_place.keys()), np.int64)
        by_image = dict(zip(self.image_ids[new].tolist(), new.tolist(), strict=True))
        for image in self._store.load_images(self.image_ids[new]):
            if existing_image := self._keep_existing_files(image):
                self._image_by_place[by_image[image.image_id]] = existing_image

    def _keep_existing_files(self, image: ImageWithFiles) -> ImageWithFiles | None:
        list_companions, folder = (
            self.catalog.get_companions().list_files_to_move,
            self.options.folder,
        )
        return list_copies.keep_existing_files(
            image, str(folder) if folder else None, list_companions
        )

    # Groups

    def _make_groups(self, verdicts: PairVerdicts, images: Ids) -> list[DuplicateGroup]:
        repeated = np.isin(self.image_ids, self._store.find_images_with_copies())
        self._load_images(set(np.flatnonzero(repeated).tolist()))
        self._load_images({place for pair in verdicts for place in pair})
        verdicts = {
            pair: verdict
            for pair, verdict in verdicts.items()
            if all(place in self._image_by_place for place in pair)
        }
        groups, grouped = list[DuplicateGroup](), set[int]()
        for keeper, same in group_pairs.group_around_best(
            verdicts, self._rank_image, self._compare_more
        ):
            groups.append(self._make_group(keeper, same))
            grouped |= {keeper, *same}
        for place in np.flatnonzero(repeated).tolist():
            image = self._image_by_place.get(place)
            if image is not None and place not in grouped and len(image.files) > 1:
                groups.append(self._make_group(place, {}))
        groups += self._group_unreadable(images)
        return groups

    def _group_unreadable(self, images: Ids) -> list[DuplicateGroup]:
        """Group the files of images that could not be read: the same bytes are the same."""
        unread_ids = np.setdiff1d(
            np.intersect1d(images, self._store.find_images_with_copies()), self.image_ids
        )
        groups = []
        for image in self._store.load_images(unread_ids):
            existing_image = self._keep_existing_files(image)
            if existing_image is not None and len(existing_image.files) > 1:
                groups.append(list_copies.make_group(list_copies.make_copies(existing_image), []))
        return groups

    def _rank_image(self, place: int) -> tuple[float | str, ...]:
        return min(
            map(choose_keeper.rank_copy, list_copies.make_copies(self._image_by_place[place]))
        )

    def _compare_more(self, pairs: list[tuple[int, int]]) -> Mapping[tuple[int, int], PairVerdict]:
        verdicts, same = self._compare_pairs(np.array(pairs, np.int64))
        self._mark_same_pixels(verdicts, same)  # where they are known: else it is near, which it is
        return verdicts

    def _make_group(self, keeper: int, same: Mapping[int, PairVerdict]) -> DuplicateGroup:
        ours = list_copies.make_copies(self._image_by_place[keeper])
        theirs = []
        for place, verdict in same.items():
            is_keeper_first = keeper < place
            for copy in list_copies.make_copies(self._image_by_place[place]):
                # The keeper lacks something where it is the inner one.
                is_keeper_cropped = verdict.is_second_cropped != is_keeper_first
                theirs.append(
                    (copy, verdict.certainty, verdict.turn, verdict.cut_share, is_keeper_cropped)
                )
        return list_copies.make_group(ours, theirs)

    def _group_look_alikes(
        self, pairs: Ids, cosines: Vectors, groups: Sequence[DuplicateGroup]
    ) -> tuple[DuplicateGroup, ...]:
        """Group what is near by its embedding and no duplicate, around one that has the most."""
        duplicate_ids = {copy.image_id for group in groups for copy in group.others} - {
            group.keeper.image_id for group in groups
        }
        is_similar = cosines >= self._compute_min_cosine(SIMILAR_SHARE)
        is_similar &= ~np.isin(self.image_ids[pairs], list(duplicate_ids)).any(axis=1)
        near = [
            (cosine, one, other)
            for (one, other), cosine in zip(
                pairs[is_similar].tolist(), cosines[is_similar].tolist(), strict=True
            )
        ]
        self._load_images({place for _, *pair in near for place in pair})
        existing_pairs = [
            each for each in near if all(place in self._image_by_place for place in each[1:])
        ]
        found = []
        for first, others in group_pairs.group_look_alikes(existing_pairs):
            copies = [
                min(list_copies.make_copies(self._image_by_place[n]), key=choose_keeper.rank_copy)
                for n in (first, *others)
            ]
            keeper, *rest = sorted(copies, key=choose_keeper.rank_copy)
            found.append(
                DuplicateGroup(
                    keeper,
                    "look-alikes are no duplicates: there is none to keep rather than others",
                    tuple(
                        replace(copy, certainty="similar", difference="another picture")
                        for copy in rest
                    ),
                )
            )
        return tuple(found)
