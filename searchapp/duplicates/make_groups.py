"""Make the groups of a duplicates search: duplicates around a file to keep, and look-alikes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from searchapp.catalog import Fingerprints
from searchapp.duplicates import group_pairs, list_copies
from searchapp.duplicates.existing_images import ExistingImages
from searchapp.duplicates.inspect_pairs import PairVerdict, PairVerdicts
from searchapp.duplicates.judge_pairs import PairJudge
from searchapp.files import choose_keeper
from searchapp.types import DuplicateFile, DuplicateGroup
from searchapp.vectors import Ids, Vectors

LOOK_ALIKE_REASON = "look-alikes are different pictures: keep them all"


@dataclass(frozen=True)
class GroupMaker:
    """Makes groups of duplicates, and groups of look-alikes.

    An image is given as its position in image_ids.
    """

    store: Fingerprints
    images: ExistingImages
    image_ids: Ids
    judge: PairJudge
    edits_by_position: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def make_duplicate_groups(
        self, verdicts: PairVerdicts, selected_ids: Ids
    ) -> list[DuplicateGroup]:
        """Return groups of duplicates, in no particular order.

        selected_ids: the images that match the filter, including images without a fingerprint.
        """
        ids_with_copies = self.store.find_images_with_copies()
        has_copies = np.flatnonzero(np.isin(self.image_ids, ids_with_copies)).tolist()
        self.images.load(has_copies)
        self.images.load(position for pair in verdicts for position in pair)
        verdicts = {
            pair: verdict
            for pair, verdict in verdicts.items()
            if all(position in self.images for position in pair)
        }
        self.edits_by_position.update(collect_edits(verdicts))
        groups, grouped = list[DuplicateGroup](), set[int]()
        for keeper, verdict_by_other in group_pairs.group_around_best(
            verdicts, self._rank_image, self.judge.judge_more_pairs, self._get_tier
        ):
            groups.append(self._make_group(keeper, verdict_by_other))
            grouped |= {keeper, *verdict_by_other}
        for position in has_copies:
            is_open = position not in grouped and position in self.images
            if is_open and len(self.images[position].files) > 1:
                groups.append(self._make_group(position, {}))
        unread_ids = np.setdiff1d(np.intersect1d(selected_ids, ids_with_copies), self.image_ids)
        groups += self._group_unread_images(unread_ids)
        return groups

    def make_look_alike_groups(
        self, pairs: Ids, cosines: Vectors, min_cosine: float, groups: Sequence[DuplicateGroup]
    ) -> Iterator[DuplicateGroup]:
        """Yield groups of pictures with near embeddings that are not duplicates.

        groups: the groups of duplicates. From each of these groups, only the file to keep can be a
        look-alike.
        """
        duplicate_ids = {copy.image_id for group in groups for copy in group.others} - {
            group.keeper.image_id for group in groups
        }
        is_similar = cosines >= min_cosine
        is_similar &= ~np.isin(self.image_ids[pairs], list(duplicate_ids)).any(axis=1)
        similar = [
            (cosine, one, other)
            for (one, other), cosine in zip(
                pairs[is_similar].tolist(), cosines[is_similar].tolist(), strict=True
            )
        ]
        self.images.load(position for _, *pair in similar for position in pair)
        existing = [
            (cosine, one, other)
            for cosine, one, other in similar
            if one in self.images and other in self.images
        ]
        for first, others in group_pairs.group_look_alikes(existing):
            copies = [
                min(
                    list_copies.make_duplicate_files(self.images[position]),
                    key=choose_keeper.rank_copy,
                )
                for position in (first, *others)
            ]
            keeper, *rest = sorted(copies, key=choose_keeper.rank_copy)
            yield DuplicateGroup(
                keeper,
                LOOK_ALIKE_REASON,
                tuple(
                    replace(copy, certainty="similar", difference="another picture")
                    for copy in rest
                ),
            )

    def _group_unread_images(self, image_ids: Ids) -> Iterator[DuplicateGroup]:
        """Yield groups of files with the same bytes, for images without a fingerprint."""
        for image in self.images.load_by_id(image_ids):
            if len(image.files) > 1:
                yield list_copies.make_group(list_copies.make_duplicate_files(image), [])

    def _rank_image(self, position: int) -> tuple[float | str, ...]:
        return min(map(choose_keeper.rank_copy, self._make_files(position)))

    def _get_tier(self, position: int) -> tuple[float | str, ...]:
        if position in self.judge.inspector.unreadable_positions:
            # Another copy of the page must not join pages that this one could not confirm.
            return ("unreadable", position)
        return min(map(choose_keeper.get_tier, self._make_files(position)))

    def _make_files(self, position: int) -> list[DuplicateFile]:
        edits = self.edits_by_position.get(position, ())
        return list_copies.make_duplicate_files(self.images[position], edits)

    def _make_group(
        self, keeper: int, verdict_by_other: Mapping[int, PairVerdict]
    ) -> DuplicateGroup:
        other_copies = []
        for position, verdict in verdict_by_other.items():
            # The pair is stored with the lower position first.
            is_keeper_cropped = verdict.is_second_cropped != (keeper < position)
            edits = verdict.second_edits if keeper < position else verdict.first_edits
            other_copies += [
                list_copies.OtherCopy(
                    copy,
                    verdict.certainty,
                    verdict.turn,
                    verdict.cut_share,
                    is_keeper_cropped,
                    edits,
                )
                for copy in self._make_files(position)
            ]
        return list_copies.make_group(self._make_files(keeper), other_copies)


def collect_edits(verdicts: PairVerdicts) -> dict[int, tuple[str, ...]]:
    """Return what was done to each image, from the verdicts on pairs.

    Two duplicates without an edit between them have the same edits, compared with a third one.
    """
    parts = group_pairs.UnionFind(
        pair
        for pair, verdict in verdicts.items()
        if not verdict.first_edits and not verdict.second_edits
    )
    for position in {position for pair in verdicts for position in pair}:
        parts.join(position, position)
    own_edits: dict[int, set[str]] = {}
    for (one, other), verdict in verdicts.items():
        own_edits.setdefault(one, set()).update(verdict.first_edits)
        own_edits.setdefault(other, set()).update(verdict.second_edits)
    edits_by_position: dict[int, tuple[str, ...]] = {}
    for part in parts.list_parts():
        edits = set[str]().union(*(own_edits[position] for position in part))
        edits_by_position |= dict.fromkeys(part, tuple(sorted(edits)))
    return edits_by_position
