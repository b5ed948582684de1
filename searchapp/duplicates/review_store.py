"""Keep the choices of people who reviewed duplicates, and read them from files."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from searchapp.catalog import Catalog, raise_library_errors
from searchapp.duplicates.apply_reviews import apply_reviews, apply_to_groups
from searchapp.errors import QueryError
from searchapp.files import storage
from searchapp.files.enter_path import enter_path
from searchapp.files.local import read_bounded_file
from searchapp.types import DuplicateGroup, Duplicates, ReviewChoice

# Choices of reviews by path, as a person has seen them; None: no review had a choice.
SeenChoices = Mapping[str, bool | None]
logger = logging.getLogger(__name__)
REVIEW_KEY = "searchapp_review"  # of the file that the review page saves
REVIEW_VERSION = 1
MAX_REVIEW_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class SavedReview:
    """What was saved of a review."""

    groups: int
    unknown_files: int  # the library does not hold them, or with other bytes
    # Choices by path of each group that was not saved, because another review has changed them;
    # by the number of the group.
    conflicts: Mapping[int, Mapping[str, bool]] = field(default_factory=dict)


class ReviewStore:
    """The reviews of duplicates in an open library. Not thread-safe.

    All methods raise LibraryError if the catalog cannot be read or written.
    """

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        """Use the catalog of an open library; the caller closes it."""
        self.folder = folder
        self._table = catalog.get_duplicate_reviews()

    @raise_library_errors
    def apply(self, found: Duplicates, *, show_all: bool) -> Duplicates:
        """Return duplicates with the choices of earlier reviews: see apply_reviews."""
        return apply_reviews(found, self._table.read_reviews(), show_all=show_all)

    @raise_library_errors
    def apply_to_groups(
        self, groups: Iterable[DuplicateGroup], *, show_all: bool
    ) -> list[DuplicateGroup | None]:
        """Return groups with the choices of earlier reviews: see apply_to_groups."""
        return apply_to_groups(groups, self._table.read_reviews(), show_all=show_all)

    @raise_library_errors
    def save(
        self, groups: Iterable[Sequence[ReviewChoice]], seen_choices: Iterable[SeenChoices] = ()
    ) -> SavedReview:
        """Save what a person chose for groups of duplicates; the next search begins with it.

        A pair of which both files stay is not found again. A group needs two files, of which one
        stays. No file is moved.
        seen_choices: for each group, the choices that the person has seen. A group is not saved if
        a later review has changed one of them: see SavedReview.conflicts.
        """
        known, unknown_count = list[Sequence[ReviewChoice]](), 0
        conflicts = dict[int, Mapping[str, bool]]()
        with self._table.begin_write():
            numbered = enumerate(zip_longest(groups, seen_choices, fillvalue=()))
            for number, (group, seen) in numbered:
                choices = [
                    each for each in group if self._table.find_sha256(each.path) == each.sha256
                ]
                unknown_count += len(group) - len(choices)
                present = self._find_conflict(choices, dict(seen))
                if present is not None:
                    conflicts[number] = present
                elif len(choices) > 1 and any(choice.stays for choice in choices):
                    known.append(choices)
            self._table.save_reviews(known)
        logger.info(
            "Saved the review of %d groups of duplicates; %d conflicts.", len(known), len(conflicts)
        )
        return SavedReview(len(known), unknown_count, conflicts)

    def _find_conflict(
        self, choices: Sequence[ReviewChoice], seen: SeenChoices
    ) -> dict[str, bool] | None:
        """Return the present choices if one of them is neither seen nor chosen again."""
        if not seen:
            return None
        present = self._table.find_choices({each.path: each.sha256 for each in choices})
        for choice in choices:
            is_compared = choice.path in present and choice.path in seen
            if is_compared and present[choice.path] not in (seen[choice.path], choice.stays):
                return present
        return None

    def load(self, file: str | Path) -> SavedReview:
        """Save the choices in a file that the review page has written: see save().

        Raises QueryError if the file is not such a file.
        """
        path = enter_path(file, QueryError)
        try:
            document = json.loads(read_bounded_file(path, MAX_REVIEW_BYTES))
            if document[REVIEW_KEY] != REVIEW_VERSION:
                raise ValueError(f"its version is not {REVIEW_VERSION}")
            groups = [[_parse_choice(values) for values in group] for group in document["groups"]]
        except OSError as error:
            raise QueryError(f"{path} cannot be read: {error.strerror or error}") from error
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            raise QueryError(
                f"{path} is not a review of duplicates ({error}). Save the choices on the page "
                "again."
            ) from error
        return self.save(groups)

    @raise_library_errors
    def keep_all(self, files: Iterable[str | Path]) -> None:
        """Save that files are no duplicates of each other: all of them stay.

        Raises QueryError if the library does not hold one of them, or if there is only one.
        """
        paths = dict.fromkeys(storage.normalize_folder(file, QueryError) for file in files)
        choices = list[ReviewChoice]()
        for path in paths:
            sha256 = self._table.find_sha256(path)
            if sha256 is None:
                raise QueryError(f"{path}: the library does not hold this file; index it first")
            choices.append(ReviewChoice(path, sha256, stays=True))
        if len(choices) < 2:
            raise QueryError("keeping files needs two or more of them; give --keep another one")
        self._table.save_reviews([choices])


def _parse_choice(values: Any) -> ReviewChoice:
    choice = ReviewChoice(values["path"], values["sha256"], values["stays"])
    if not (isinstance(choice.path, str) and isinstance(choice.sha256, str)):
        raise TypeError("a path or a sha256 is not a text")
    if not isinstance(choice.stays, bool):
        raise TypeError("stays is not true or false")
    return choice
