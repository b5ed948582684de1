"""Judge candidate pairs: by the embedding first, then by small copies, pixels and capture time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchapp.catalog import Catalog, Fingerprints
from searchapp.duplicates import candidates, compare_pairs, list_copies
from searchapp.duplicates import fingerprint as prints
from searchapp.duplicates.existing_images import ExistingImages
from searchapp.types import Collection, DuplicateCertainty
from searchapp.vectors import Ids

EMBEDDING_SAFE_TURNS = (0, 1)  # upright, and mirrored: these hardly change an embedding
PAIR_BATCH = 2_000  # pairs compared in one step


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """How the second image of a pair duplicates the first."""

    certainty: DuplicateCertainty
    turn: int  # index in fingerprint.TURNS
    cut_share: float  # share of a side that the cropped image lacks
    is_second_cropped: bool  # the second image is the cropped one, not the first


PairVerdicts = dict[tuple[int, int], PairVerdict]  # by positions, the lower first


@dataclass(frozen=True)
class PairJudge:
    """Judges whether the two images of a pair are duplicates.

    An image is given as its position in the arrays embedding_ids, image_ids and hashes.
    """

    catalog: Catalog
    collection: Collection
    store: Fingerprints
    images: ExistingImages
    embedding_ids: Ids
    image_ids: Ids  # in the same order
    hashes: prints.Hashes  # in the same order
    typical_cosine: float  # median cosine of two pictures
    near_cosine: float  # minimal cosine of near duplicates

    def judge_pairs(self, pairs: Ids) -> tuple[PairVerdicts, Ids]:
        """Compare pairs of images, given as positions in image_ids, [n, 2].

        Return a verdict for each pair of near duplicates, and the pairs, [m, 2], whose pixels may
        be equal.
        """
        turned_pairs = candidates.add_turns(pairs, self.hashes)
        cosines = candidates.compute_cosines(
            self.catalog, self.collection, self.embedding_ids, turned_pairs
        )
        is_upright = np.isin(turned_pairs[:, 2], EMBEDDING_SAFE_TURNS)
        # A rotation changes the embedding of a picture: then the cosine is only a hint.
        min_cosines = np.where(is_upright, self.near_cosine, self.typical_cosine)
        turned_pairs = turned_pairs[cosines >= min_cosines]
        verdicts: PairVerdicts = {}
        same_pixel_pairs = [np.empty((0, 2), np.int64)]
        for start in range(0, len(turned_pairs), PAIR_BATCH):
            page = turned_pairs[start : start + PAIR_BATCH]
            results = self._compare_page(page)
            same_pixel_pairs.append(page[results.may_have_same_pixels & (page[:, 2] == 0)][:, :2])
            for (one, other, turn), cut_share, is_other_inner in zip(
                page[results.is_near].tolist(),
                results.cut_share[results.is_near].tolist(),
                results.is_other_inner[results.is_near].tolist(),
                strict=True,
            ):
                verdict = PairVerdict("near", turn, cut_share, is_other_inner)
                verdicts.setdefault((one, other), verdict)
        pairs_to_hash = np.unique(np.concatenate(same_pixel_pairs), axis=0)
        return self._drop_separate_shots(verdicts), pairs_to_hash

    def judge_more_pairs(self, pairs: list[tuple[int, int]]) -> PairVerdicts:
        """Compare pairs of images, given as positions in image_ids.

        Return a verdict for each pair that is a duplicate, and nothing for other pairs.
        """
        verdicts, same_pixel_pairs = self.judge_pairs(np.array(pairs, np.int64))
        # Missing pixel hashes are not computed here: without them, a pair stays "near".
        self.mark_same_pixels(verdicts, same_pixel_pairs)
        return verdicts

    def mark_same_pixels(self, verdicts: PairVerdicts, pairs: Ids) -> None:
        """Set the verdict "pixels" for pairs, [m, 2], whose pixel hashes are known and equal."""
        hash_by_image = self.store.read_pixel_hashes(self.image_ids[np.unique(pairs)])
        for pair in pairs.tolist():
            one, other = (hash_by_image.get(int(self.image_ids[position])) for position in pair)
            if one is not None and one == other:
                verdicts[pair[0], pair[1]] = PairVerdict("pixels", 0, 0.0, True)

    def _compare_page(self, page: Ids) -> compare_pairs.ComparisonResults:
        needed, rows = np.unique(page[:, :2], return_inverse=True)
        ones, others = rows.reshape(-1, 2).T
        image_ids = self.image_ids[needed]
        luma, colors = prints.unpack_copies(self.store.read_small_copies(image_ids))
        sizes = self.store.read_sizes(image_ids)
        return compare_pairs.compare_copies(
            (luma[ones], colors[ones]),
            compare_pairs.turn_copies((luma[others], colors[others]), page[:, 2]),
            sizes[ones],
            compare_pairs.turn_sizes(sizes[others], page[:, 2]),
        )

    def _drop_separate_shots(self, verdicts: PairVerdicts) -> PairVerdicts:
        """Return the verdicts without pairs that lack a file or are two shots of one camera."""
        self.images.load(position for pair in verdicts for position in pair)
        return {
            (one, other): verdict
            for (one, other), verdict in verdicts.items()
            if one in self.images
            and other in self.images
            and not list_copies.are_separate_shots(self.images[one], self.images[other])
        }
