"""Test when two pictures are two shots of one camera."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.duplicates import make_near_copy

from searchapp.catalog import ImageWithFiles
from searchapp.duplicates.list_copies import are_separate_shots
from searchapp.files import choose_keeper


def make_image(taken_at: str | None, camera: str | None = "Q4") -> ImageWithFiles:
    return ImageWithFiles(1, "", "JPEG", 1, 1, taken_at, camera, ())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2024-06-01T10:00:00", "2024-06-01T10:00:01"),
        ("2024-11-06T10:00:00.450", "2024-11-06T10:00:00.780"),  # a burst
        ("2024-06-01T10:00:00+02:00", "2024-06-01T11:00:00+02:00"),  # a time lapse
        ("2024-06-01T10:00:00+02:00", "2024-06-01T10:00:00+01:00"),  # the same clock, other zones
    ],
)
def test_separate_shots(one: str, other: str) -> None:
    """One camera took them at two times."""
    assert are_separate_shots(make_image(one), make_image(other))
    assert are_separate_shots(make_image(other), make_image(one))
    assert not are_separate_shots(make_image(one), make_image(other, "another camera"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2024-06-01T10:00:00", "2024-06-01T10:00:00"),
        ("2024-06-01T10:00:00", None),
        ("2024-06-01T10:00:00", "2024-06-01T08:00:00"),  # a program may have stored UTC
        ("2024-06-01T10:00:00", "2024-06-01T08:00:00+00:00"),
        ("2024-06-01T10:00:00+02:00", "2024-06-01T08:00:00+00:00"),  # the same instant
        ("2024-06-01T10:00:00.450", "2024-06-01T10:00:00"),  # a program dropped the fraction
        ("2024-06-01T10:00:00.950", "2024-06-01T10:00:00+02:00"),
        ("no date", "2024-06-01T10:00:00"),
    ],
)
def test_perhaps_one_shot(one: str, other: str | None) -> None:
    """The times are equal, or one of them is not known well enough."""
    assert not are_separate_shots(make_image(one), make_image(other))


def test_the_reason_of_a_keeper_that_does_not_rank_first() -> None:
    """A smaller file that matches more copies is kept, and its size is not the reason."""
    small, large = make_near_copy(Path("/album/a.jpg"), 9), make_near_copy(Path("/album/b.jpg"), 99)
    assert choose_keeper.explain_choice(large, [small]).startswith("largest file")
    assert choose_keeper.explain_choice(small, [large]) == choose_keeper.MOST_MATCHES_REASON
