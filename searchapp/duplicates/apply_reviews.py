"""Apply the choices of earlier reviews to groups of duplicates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from searchapp.catalog.duplicate_reviews import Review
from searchapp.types import DuplicateFile, DuplicateGroup, Duplicates


def apply_reviews(found: Duplicates, reviews: Sequence[Review], *, show_all: bool) -> Duplicates:
    """Return duplicates with the choices of earlier reviews, without files that are all to stay.

    reviews: the latest last. show_all: keep such files in the groups.
    """
    groups = apply_to_groups(found.groups, reviews, show_all=show_all)
    similar = apply_to_groups(found.similar, reviews, show_all=show_all)
    return replace(
        found,
        groups=tuple(group for group in groups if group is not None),
        similar=tuple(group for group in similar if group is not None),
        reviewed=sum(group is None for group in (*groups, *similar)),
    )


def apply_to_groups(
    groups: Iterable[DuplicateGroup], reviews: Sequence[Review], *, show_all: bool
) -> list[DuplicateGroup | None]:
    """Return groups as apply_reviews does, in their order; None for a group of which all stay."""
    applier = _ReviewApplier(reviews, show_all)
    return [applier.apply(group) for group in groups]


class _ReviewApplier:
    """Applies reviews to groups."""

    def __init__(self, reviews: Sequence[Review], show_all: bool) -> None:
        self._reviews, self._show_all = reviews, show_all
        self._numbers_by_sha256: dict[str, set[int]] = defaultdict(set)
        for number, review in enumerate(reviews):
            for choice in review:
                self._numbers_by_sha256[choice.sha256].add(number)

    def apply(self, group: DuplicateGroup) -> DuplicateGroup | None:
        """Return a group with the choices of its reviews; None if nothing of it is undecided."""
        files = (group.keeper, *group.others)
        numbers = set().union(*(self._numbers_by_sha256.get(file.sha256, ()) for file in files))
        if not numbers:
            return group
        choices: list[bool | None] = [None] * len(files)  # of the latest review of each file
        is_settled = [False] * len(files)  # the latest review with the first file keeps both
        for number in sorted(numbers):
            stays_by_position = _match_files(files, self._reviews[number])
            for position, stays in stays_by_position.items():
                choices[position] = stays
                if 0 in stays_by_position and position:
                    is_settled[position] = stays and stays_by_position[0]
        keeper, *others = (
            replace(file, stays=stays) for file, stays in zip(files, choices, strict=True)
        )
        if not self._show_all:
            undecided = zip(others, is_settled[1:], strict=True)
            others = [file for file, settled in undecided if not settled]
        if others:
            return replace(group, keeper=keeper, others=tuple(others))
        return None


def _match_files(files: Sequence[DuplicateFile], review: Review) -> dict[int, bool]:
    """Return the choice for each file that was reviewed, by its position.

    A file that was moved or renamed since then is known by its content. A further file with the
    same content was not reviewed.
    """
    by_path = {choice.path: choice for choice in review}
    matched: dict[int, bool] = {}
    for position, file in enumerate(files):
        choice = by_path.get(file.path)
        if choice is not None and choice.sha256 == file.sha256:
            matched[position] = by_path.pop(file.path).stays
    for position, file in enumerate(files):
        same = [choice for choice in by_path.values() if choice.sha256 == file.sha256]
        if position not in matched and same:
            matched[position] = by_path.pop(same[0].path).stays
    return matched
