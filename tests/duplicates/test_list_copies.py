"""Test when two pictures are two shots of one camera."""

from __future__ import annotations

import pytest

from searchapp.catalog import ImageWithFiles
from searchapp.duplicates.list_copies import are_separate_shots


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
