"""`bench index`: its files, its rows, and what it prints."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from support.library import RunCommand
from support.replicas import make_environments

from searchapp.bench import synthetic_photos
from searchapp.bench.synthetic_photos import PhotoKind
from searchapp.indexing.embedding import choose_engines
from searchapp.indexing.embedding.replicas import ReplicaPool
from searchapp.indexing.embedding.worker import EmbeddingJob

SMALL_MIX = (
    PhotoKind(80, 60, "HEIF", share=3),
    PhotoKind(60, 80, orientation=6, share=2),
    PhotoKind(40, 40, "PNG"),
    PhotoKind(64, 48, is_progressive=True),
)


@pytest.fixture
def planned_jobs(monkeypatch: pytest.MonkeyPatch) -> list[EmbeddingJob]:
    """Engines without a model; the jobs that they got."""
    jobs: list[EmbeddingJob] = []

    def plan(job: EmbeddingJob, files: int, replicas: int | None) -> ReplicaPool:
        jobs.append(job)
        fake = replace(job, engine="support.fake_engine:FakeEngine")
        return ReplicaPool(fake, make_environments(replicas or 2))

    monkeypatch.setattr(choose_engines, "plan_replicas", plan)
    return jobs


def test_each_number_of_engines_and_each_decoder_is_a_row(
    run: RunCommand, model: Path, planned_jobs: list[EmbeddingJob]
) -> None:
    arguments = ["bench", "index", "--model", str(model), "--pictures", "64", "--size", "64x48",
                 "--only-pipeline"]  # fmt: skip
    report = json.loads(
        run(*arguments, "--engines", "1,auto", "--decode", "cpu,gpu,auto", "--json").stdout
    )
    rows = report["rows"]
    assert [(row["engines"], row["decode"]) for row in rows] == [
        (1, "cpu"), (1, "gpu"), (1, "auto"), (2, "cpu"), (2, "gpu"), (2, "auto"),
    ]  # fmt: skip
    # The pictures are small.
    assert [job.decode for job in planned_jobs] == ["cpu", "gpu", "cpu"] * 2
    assert all(row["images_per_s"] > 0 and row["gpu_decoded"] == 0 for row in rows)
    assert report["pipeline_images_per_s"] == rows[0]["images_per_s"]
    assert report["replicas"] == 1
    shown = run(*arguments, "--replicas", 1, "--decode", "cpu").stdout.splitlines()
    assert [line.split()[:3] for line in shown if " cpu " in line] == [["1", "1", "cpu"]]


@pytest.mark.parametrize(
    "arguments", [["--engines", "0"], ["--engines", "two"], ["--decode", "tpu"], ["--mix", "film"]]
)
def test_wrong_values_are_usage_errors(run: RunCommand, arguments: list[str]) -> None:
    assert run("bench", "index", *arguments).exit_code == 2


def test_a_mix_has_all_kinds_and_only_different_files(tmp_path: Path) -> None:
    synthetic_photos.write_mix(tmp_path, 70, SMALL_MIX)
    files = sorted(file for file in tmp_path.rglob("*") if file.is_file())
    assert len({file.read_bytes() for file in files}) == len(files) == 70
    for part in (files[:7], files[-7:]):
        found = Counter[tuple[object, ...]]()
        for file in part:
            with Image.open(file) as image:
                image.load()
                turn, is_progressive = image.getexif().get(0x0112, 1), "progressive" in image.info
                found[image.format, image.size, turn, is_progressive] += 1
        assert found == {
            ("HEIF", (80, 60), 1, False): 3,
            ("JPEG", (60, 80), 6, False): 2,
            ("PNG", (40, 40), 1, False): 1,
            ("JPEG", (64, 48), 1, True): 1,
        }
