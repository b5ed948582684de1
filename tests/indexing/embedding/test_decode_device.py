"""The GPU decodes JPEGs by itself only if enough of the new files may be large JPEGs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_engine import FakeEngine
from support.library import index_folder
from support.sample_pictures import save_picture

from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.indexing.index_run import LARGE_JPEG_BYTES
from searchapp.library import Library
from searchapp.types import DecodeDevice


@pytest.mark.parametrize(
    ("large", "small", "option", "chosen"),
    [
        ("", 3, "auto", "cpu"),
        (".jpg", 3, "auto", "auto"),
        (".JPEG", 3, "auto", "auto"),
        (".nef", 3, "auto", "auto"),
        (".heic", 3, "auto", "cpu"),
        (".jpg", 12, "auto", "cpu"),
        ("", 3, "gpu", "gpu"),
        (".jpg", 1, "cpu", "cpu"),
    ],
)
def test_where_jpegs_are_decoded(
    tmp_path: Path, model: Path, large: str, small: int, option: DecodeDevice, chosen: str
) -> None:
    """One file with the suffix `large`, and some small JPEGs: where are they decoded?"""
    photos = tmp_path / "new"
    for number in range(small):
        save_picture(photos / f"{number}.jpg", "red")
    if large:
        red = (photos / "0.jpg").read_bytes()
        (photos / f"large{large}").write_bytes(red + bytes(LARGE_JPEG_BYTES))
    jobs: list[EmbeddingJob] = []

    def start_many(job: EmbeddingJob, *_: Any) -> None:
        jobs.append(job)

    with Library.open(
        tmp_path / "made", create=True, start=FakeEngine, start_many=start_many
    ) as library:
        index_folder(library, photos, model, decode=option)
        (job,) = jobs
        assert job.decode == chosen
