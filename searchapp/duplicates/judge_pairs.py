"""Judge candidate pairs: by embedding, small copies and capture time, then by pixels and detail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from searchapp.catalog import Catalog, Fingerprints
from searchapp.duplicates import candidates, compare_pairs, list_copies
from searchapp.duplicates import fingerprint as prints
from searchapp.duplicates.borders import Box
from searchapp.duplicates.existing_images import ExistingImages
from searchapp.duplicates.inspect_pairs import (
    Candidate,
    PairInspector,
    PairVerdict,
    PairVerdicts,
)
from searchapp.duplicates.page_texts import PageText, are_other_pages
from searchapp.types import Collection, Progress
from searchapp.vectors import Ids

PAIR_BATCH = 2_000  # pairs compared in one step
# The least cosine of copies whose hashes need not agree: typical + share * (1 - typical).
CLOSE_SHARE = 0.9

PairCandidates = dict[tuple[int, int], list[Candidate]]  # by positions, the lower first


@dataclass(frozen=True)
class Entries:
    """What is compared: each picture, and then the content of each picture with a border.

    A picture is given as its position in image_ids, an entry as its position here.
    """

    hashes: prints.Hashes  # [n]
    owners: Ids  # [n], the picture of each entry
    picture_count: int

    def add_contents(self, pairs: Ids) -> Ids:
        """Return pairs of pictures, [m, 2], and the pairs of one picture with a content."""
        content = np.full(self.picture_count, -1)
        owners = self.owners[self.picture_count :]
        content[owners] = np.arange(self.picture_count, len(self.owners))
        variants = [pairs]
        for side in (0, 1):
            with_content = pairs[content[pairs[:, side]] >= 0].copy()
            with_content[:, side] = content[with_content[:, side]]
            variants.append(with_content)
        return np.concatenate(variants)

    def drop_pairs_without_meaning(self, pairs: Ids) -> Ids:
        """Return the pairs without those of one picture, and without those of two contents."""
        has_picture = (pairs < self.picture_count).any(axis=1)
        kept: Ids = pairs[has_picture & (self.owners[pairs[:, 0]] != self.owners[pairs[:, 1]])]
        return kept


@dataclass(frozen=True)
class PairJudge:
    """Judges whether the two images of a pair are duplicates.

    An image is given as its position in the arrays embedding_ids and image_ids.
    """

    catalog: Catalog
    collection: Collection
    store: Fingerprints
    images: ExistingImages
    embedding_ids: Ids
    image_ids: Ids  # in the same order
    entries: Entries
    inspector: PairInspector
    typical_cosine: float  # median cosine of two pictures

    def find_candidates(self, pairs: Ids) -> tuple[PairCandidates, Ids]:
        """Compare small copies. pairs: of entries, [n, 2].

        Return the pairs that may be near duplicates, and the pairs, [m, 2], whose pixels may be
        equal.
        """
        cosines = candidates.compute_cosines(
            self.catalog, self.collection, self.embedding_ids, self.entries.owners[pairs]
        )
        # Borders, captions and rotations change an embedding: it is only a hint.
        is_possible = cosines >= self.typical_cosine
        min_close = self.typical_cosine + CLOSE_SHARE * (1 - self.typical_cosine)
        turned_pairs = candidates.add_turns(
            pairs[is_possible], self.entries.hashes, cosines[is_possible] >= min_close
        )
        found: PairCandidates = {}
        same_pixel_pairs = [np.empty((0, 2), np.int64)]
        for start in range(0, len(turned_pairs), PAIR_BATCH):
            page = turned_pairs[start : start + PAIR_BATCH]
            may_be_same = self._compare_page(page, found)
            is_picture = (page[:, :2] < self.entries.picture_count).all(axis=1)
            same_pixel_pairs.append(page[may_be_same & is_picture & (page[:, 2] == 0)][:, :2])
        for alternatives in found.values():
            alternatives.sort(key=rank_candidate)
        pairs_to_hash = np.unique(np.concatenate(same_pixel_pairs), axis=0)
        return self._drop_other_pages(self._drop_separate_shots(found)), pairs_to_hash

    def judge_pairs(self, found: PairCandidates, verdicts: PairVerdicts) -> Iterator[Progress]:
        """Inspect candidates in detail, and add the verdicts on the duplicates to `verdicts`.

        verdicts: at first, those on pairs with the same pixels.
        """
        same = list(verdicts)
        yield from self.inspector.inspect_pairs(found, same, verdicts)

    def judge_more_pairs(self, pairs: list[tuple[int, int]]) -> PairVerdicts:
        """Compare pairs of positions in image_ids; return the verdicts on the duplicates."""
        found, same_pixel_pairs = self.find_candidates(
            self.entries.add_contents(np.array(pairs, np.int64))
        )
        # Missing pixel hashes are not computed here: without them, a pair is inspected.
        verdicts = self.find_same_pixels(same_pixel_pairs)
        found = {pair: value for pair, value in found.items() if pair not in verdicts}
        return verdicts | self.inspector.inspect_all_pairs(found)

    def find_same_pixels(self, pairs: Ids) -> PairVerdicts:
        """Return the verdicts on the pairs, [m, 2], whose pixel hashes are known and equal."""
        hash_by_image = self.store.read_pixel_hashes(self.image_ids[np.unique(pairs)])
        verdicts: PairVerdicts = {}
        for pair in pairs.tolist():
            one, other = (hash_by_image.get(int(self.image_ids[position])) for position in pair)
            if one is not None and one == other:
                verdicts[pair[0], pair[1]] = PairVerdict("pixels")
        return verdicts

    def _compare_page(self, page: Ids, found: PairCandidates) -> compare_pairs.Flags:
        """Add the candidates of a page of pairs with turns, [n, 3]; return may_have_same_pixels."""
        needed, rows = np.unique(page[:, :2], return_inverse=True)
        ones, others = rows.reshape(-1, 2).T
        owners = self.entries.owners[needed]
        unique_owners, owner_rows = np.unique(owners, return_inverse=True)
        image_ids = self.image_ids[unique_owners]
        blobs = self.store.read_fingerprints(image_ids)
        frame_counts = prints.count_frames(blobs)[owner_rows]
        sizes = self.store.read_sizes(image_ids)[owner_rows]
        copies, boxes = [blobs[row] for row in owner_rows], dict[int, Box]()
        for number in np.flatnonzero(needed >= self.entries.picture_count).tolist():
            content = prints.unpack_content(copies[number])
            if content is not None:
                boxes[number], copies[number] = content
                sizes[number] = boxes[number].scale(*sizes[number].tolist())
        luma, colors = prints.unpack_copies(copies)
        turns = page[:, 2]
        results = compare_pairs.compare_copies(
            (luma[ones], colors[ones]),
            compare_pairs.turn_copies((luma[others], colors[others]), turns),
            sizes[ones],
            compare_pairs.turn_sizes(sizes[others], turns),
        )
        is_alike = frame_counts[ones] == frame_counts[others]
        for row in np.flatnonzero((results.matched_share > 0) & is_alike).tolist():
            one, other = ones[row], others[row]
            left, top, width, height = results.windows[row].tolist()
            candidate = Candidate(
                int(turns[row]),
                (left, top, width, height),
                bool(results.is_other_inner[row]),
                boxes.get(one),
                boxes.get(other),
                float(results.matched_share[row]),
            )
            pair = int(owners[one]), int(owners[other])
            if pair[0] > pair[1]:
                pair, candidate = pair[::-1], replace(candidate, is_reversed=True)
            found.setdefault(pair, []).append(candidate)
        may_be_same: compare_pairs.Flags = results.may_have_same_pixels & is_alike
        return may_be_same

    def _drop_separate_shots(self, found: PairCandidates) -> PairCandidates:
        """Return the candidates that have files and are not two shots of one camera."""
        self.images.load(position for pair in found for position in pair)
        return {
            (one, other): alternatives
            for (one, other), alternatives in found.items()
            if one in self.images
            and other in self.images
            and not list_copies.are_separate_shots(self.images[one], self.images[other])
        }

    def _drop_other_pages(self, found: PairCandidates) -> PairCandidates:
        """Return the candidates without pages of text in which other text was recognized."""
        positions = np.unique(np.array([*found], np.int64)).tolist()
        ids = self.image_ids[positions].tolist()
        known = self.catalog.recognized_texts.read_texts(ids)
        texts = {
            position: PageText(known[id])
            for position, id in zip(positions, ids, strict=True)
            if id in known
        }
        kept = {
            pair: [one for one in alternatives if not are_other_pages(texts, pair, one.turn)]
            for pair, alternatives in found.items()
        }
        return {pair: alternatives for pair, alternatives in kept.items() if alternatives}


def rank_candidate(candidate: Candidate) -> tuple[float, bool]:
    """Return the sort key of the ways in which two pictures may fit together.

    If the content of a border fits as well as the picture, it comes first: it names the border.
    """
    has_content = candidate.first_content is not None or candidate.second_content is not None
    return -round(candidate.matched_share, 1), not has_content
