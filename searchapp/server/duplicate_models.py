"""Requests and answers of the routes for duplicates."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from searchapp.duplicates import move_script
from searchapp.duplicates.review_store import SavedReview, SeenChoices
from searchapp.server.api_examples import make_json_body
from searchapp.server.request_fields import ImageIdField, PathText, WebLimit
from searchapp.server.request_models import MAX_HITS, FilterRequest, RequestFields
from searchapp.server.zip_request import MAX_ZIP_PICTURES, split_ids
from searchapp.types import (
    DuplicateCertainty,
    DuplicateFile,
    DuplicateGroup,
    Duplicates,
    ReviewChoice,
)

MAX_GROUPS = 100  # per answer
MAX_SHOWN_FAILURES = 20


class DuplicatesRequest(FilterRequest):
    """Pictures to compare, and whether to search again."""

    look_alikes: Annotated[bool, Field(description="also group look-alikes, as --similar")] = False
    again: Annotated[bool, Field(description="search again if there is a result")] = False


DUPLICATES_REQUEST_SCHEMA = make_json_body(DuplicatesRequest, {"folder": ["/home/ada/Pictures"]})


class ScriptRequest(RequestFields):
    """Groups that a script moves."""

    among: Annotated[
        list[ImageIdField],
        Field(
            default_factory=list,
            max_length=MAX_ZIP_PICTURES,
            description="only groups with one of these, as 7,9,12",
        ),
        BeforeValidator(split_ids),
    ]

    def find_wanted(self, found: Duplicates) -> list[int]:
        """Return the numbers of the groups with one of the wanted images."""
        wanted = set(self.among)
        return [
            number
            for number, group in enumerate((*found.groups, *found.similar))
            if not wanted or any(file.image_id in wanted for file in _list_files(group))
        ]


class GroupsRequest(ScriptRequest):
    """A page of the groups that a search has found."""

    first: Annotated[int, Field(ge=0, description="number of the first group")] = 0
    count: Annotated[int, Field(ge=1, le=MAX_GROUPS)] = 20
    reviewed: Annotated[
        bool, Field(description="also groups of which an earlier review keeps all files")
    ] = False


class ReviewedFile(RequestFields):
    """Choice for one file of a group of duplicates."""

    path: Annotated[str, WebLimit(max_length=4096), PathText()]
    sha256: Annotated[str, WebLimit(max_length=64)]
    stays: Annotated[bool, Field(description="false: the file was chosen to move away")]
    seen: Annotated[
        bool | None,
        Field(
            description="the choice that the client has read, null for none. If the library has "
            "another one now, the group is not saved. Left out: not compared"
        ),
    ] = None


def list_seen_choices(group: Sequence[ReviewedFile]) -> SeenChoices:
    """Return the choices that the client has read, by path; leave out files without `seen`."""
    return {file.path: file.seen for file in group if "seen" in file.model_fields_set}


class ReviewRequest(RequestFields):
    """Groups of duplicates that a person has reviewed, with a choice for each file."""

    groups: Annotated[
        list[Annotated[list[ReviewedFile], WebLimit(max_length=MAX_HITS)]],
        WebLimit(max_length=100 * MAX_HITS),
    ]


REVIEW_REQUEST_SCHEMA = make_json_body(
    ReviewRequest,
    {
        "groups": [
            [
                {"path": "/home/ada/Pictures/boat.jpg", "sha256": "2f1a...", "stays": True},
                {"path": "/home/ada/Pictures/boat (1).jpg", "sha256": "2f1a...", "stays": False},
            ]
        ]
    },
)


class DuplicateFileAnswer(BaseModel):
    """File of a group of duplicates."""

    path: str
    name: str
    folder: str
    size: int = Field(description="bytes")
    width: int
    height: int
    format: str
    taken_at: str | None
    sha256: str
    image_id: int
    certainty: DuplicateCertainty | None = Field(description="null: the file to keep")
    difference: str = Field(description="from the file to keep, in words")
    edits: list[str] = Field(description="grayscale, caption, border: what was done to the picture")
    companions: list[str] = Field(description="files that move along")
    stays: bool = Field(description="by a review, or else by the proposal")
    choice: bool | None = Field(description="of the latest review: whether it stays; null: none")
    can_move: bool = Field(description="whether the script can move the file")

    @classmethod
    def from_file(cls, file: DuplicateFile, *, stays: bool) -> DuplicateFileAnswer:
        """Convert a file into its form in the API."""
        folder, name = os.path.split(file.path)
        return cls(
            path=file.path, name=name, folder=folder, size=file.size, width=file.width,
            height=file.height, format=file.format, taken_at=file.taken_at, sha256=file.sha256,
            image_id=file.image_id, certainty=file.certainty, difference=file.difference,
            edits=list(file.edits), companions=list(file.companions), stays=stays,
            choice=file.stays, can_move=move_script.can_move(file),
        )  # fmt: skip


class DuplicateGroupAnswer(BaseModel):
    """Files with the same picture: the file to keep, then its duplicates, most certain first."""

    number: int = Field(description="in the result of the search")
    certainty: DuplicateCertainty = Field(description="of the least certain duplicate")
    reason: str = Field(description="why the first file is the one to keep")
    is_reviewed: bool = Field(description="whether a review has a choice for one of the files")
    files: list[DuplicateFileAnswer]

    @classmethod
    def from_group(cls, number: int, group: DuplicateGroup) -> DuplicateGroupAnswer:
        """Convert a group into its form in the API."""
        kept = {file.path for file in group.kept}
        files = _list_files(group)
        return cls(
            number=number,
            certainty=group.others[-1].certainty or "near",
            reason=group.reason,
            is_reviewed=any(file.stays is not None for file in files),
            files=[
                DuplicateFileAnswer.from_file(
                    file, stays=file.path in kept or not move_script.can_move(file)
                )
                for file in files
            ],
        )


class UnreadFile(BaseModel):
    """File that could not be read."""

    name: str
    reason: str


class DuplicatesAnswer(BaseModel):
    """Page of the groups that a search has found."""

    groups: list[DuplicateGroupAnswer]
    next: int | None = Field(description="first of the next page; null: this is the last page")
    total: int = Field(description="number of groups, of all pages")
    duplicates: int = Field(description="files that do not stay, of all pages")
    duplicates_bytes: int
    hidden: int = Field(description="groups left out, of which a review keeps all files")
    images: int = Field(description="pictures compared")
    failed: int = Field(description="pictures that could not be read")
    failures: list[UnreadFile] = Field(description="files that could not be read, at most 20")
    missing: int = Field(
        description="pictures whose files are gone or have changed: those of among, or else those "
        "that may be duplicates"
    )
    unreadable: int = Field(description="pages whose text could not be compared")

    @classmethod
    def from_groups(
        cls,
        found: Duplicates,
        groups: Sequence[DuplicateGroup | None],
        request: GroupsRequest,
        among_paths: Sequence[Sequence[str]],
    ) -> DuplicatesAnswer:
        """Return the page of a result that a request asks for.

        groups: those of found, with the choices of reviews; None for a group that is left out.
        among_paths: the existing files of each image of request.among.
        """
        failures, failed, missing = found.failures, found.failed, found.missing
        if request.among:
            first_paths = {paths[0] for paths in among_paths if paths}
            failures = tuple(each for each in failures if each.path in first_paths)
            failed, missing = len(failures), len(set(request.among)) - len(first_paths)
        numbers = request.find_wanted(found)
        shown = [(number, group) for number in numbers if (group := groups[number]) is not None]
        page = [pair for pair in shown if pair[0] >= request.first]
        moved = [file for _, group in shown for file in group.moved]
        return cls(
            groups=[DuplicateGroupAnswer.from_group(*pair) for pair in page[: request.count]],
            next=page[request.count][0] if len(page) > request.count else None,
            total=len(shown),
            duplicates=len(moved),
            duplicates_bytes=sum(file.size for file in moved),
            hidden=len(numbers) - len(shown),
            images=found.images,
            failed=failed,
            failures=[
                UnreadFile(name=os.path.basename(each.path), reason=each.message)  # noqa: PTH119
                for each in failures[:MAX_SHOWN_FAILURES]
            ],
            missing=missing,
            unreadable=found.unreadable,
        )


class ReviewConflict(BaseModel):
    """Group of a review that was not saved: another review has changed its choices."""

    number: int = Field(description="in the request, from 0")
    choices: list[bool | None] = Field(description="present choice of each file; null: none")


class ReviewAnswer(BaseModel):
    """What was kept of a review of duplicates."""

    groups: int
    unknown_files: int = Field(description="the library does not hold them, or with other bytes")
    conflicts: list[ReviewConflict]

    @classmethod
    def from_saved(
        cls, saved: SavedReview, groups: Sequence[Sequence[ReviewChoice]]
    ) -> ReviewAnswer:
        """Convert the result of a review into its form in the API. groups: those of the request."""
        conflicts = [
            ReviewConflict(
                number=number, choices=[present.get(each.path) for each in groups[number]]
            )
            for number, present in saved.conflicts.items()
        ]
        return cls(groups=saved.groups, unknown_files=saved.unknown_files, conflicts=conflicts)


def _list_files(group: DuplicateGroup) -> tuple[DuplicateFile, ...]:
    return (group.keeper, *group.others)
