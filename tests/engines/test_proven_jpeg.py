"""A lenient decoder is used only where it has proven itself; else Pillow decodes."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from support.fake_gpu import FakeGpu, make_picture_job

from searchapp.engines import proven_jpeg
from searchapp.engines.reduce_jpegs import reduce_pictures

pytest.importorskip("torch")


def test_a_truncated_jpeg_with_an_end_marker_is_given_back() -> None:
    decoder = FakeGpu().start()
    assert decoder.decode_batch([make_picture_job()]) == [None]  # the first of its shape
    jobs = [make_picture_job(share, seed=2) for share in (1.0, 0.5, 0.9, 0.97, 1.0)]
    made = decoder.decode_batch(jobs)
    assert [each is not None for each in made] == [True, False, False, False, True]
    assert made[0] is not None
    assert made[0].shape == (64, 64, 3)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("side", [128, 129, 136])
def test_a_missing_corner_is_noticed(subsampling: int, side: int) -> None:
    """Only the last of the blocks that are encoded together is missing."""
    gpu, job = FakeGpu(), make_picture_job(side=side, subsampling=subsampling)
    gpu.mark_memory([job])
    (decoded,) = gpu.decode_files([job])
    (complete,) = reduce_pictures([decoded], [job])
    assert proven_jpeg._find_marked_ends([decoded]) == [False]
    assert not proven_jpeg._has_mark(complete)
    width, height = (8 if subsampling == 0 else 16), (16 if subsampling == 2 else 8)
    top, left = (side - 1) // height * height, (side - 1) // width * width
    for plane, level in zip(decoded, proven_jpeg.MARK, strict=True):
        plane[top:, left:] = level
    assert proven_jpeg._find_marked_ends([decoded]) == [True]


def test_pictures_of_the_same_size_may_exchange_their_memory() -> None:
    gpu = FakeGpu(exchanges_memory=True)
    decoder = gpu.start()
    jobs = [make_picture_job(seed=seed) for seed in range(3)]
    jobs[1] = jobs[1].cut(0.5)
    for job in jobs[::2]:
        decoder.decode_batch([job])
    assert [each is not None for each in decoder.decode_batch(jobs)] == [True, False, True]


def test_the_memory_of_a_picture_of_another_size_is_refused() -> None:
    """Its planes of red, green and blue begin elsewhere, so that the mark is wrong."""
    decoder = FakeGpu().start()
    jobs = [make_picture_job(side=side) for side in (128, 256)]
    for job in 2 * jobs:
        decoder.decode_batch([job])
    mark_memory = decoder._mark_memory
    decoder._mark_memory = lambda jobs: list(reversed(mark_memory(jobs)))
    with pytest.raises(RuntimeError, match="in other memory than expected"):
        decoder.decode_batch(jobs)


def test_a_missing_part_in_the_middle_is_noticed() -> None:
    """Such as an interval between two restart markers."""
    gpu, job = FakeGpu(), make_picture_job(subsampling=1)
    gpu.mark_memory([job])
    (decoded,) = gpu.decode_files([job])
    for plane, level in zip(decoded, proven_jpeg.MARK, strict=True):
        plane[64:72, 48:64] = level
    assert proven_jpeg._find_marked_ends([decoded]) == [False]
    (reduced,) = reduce_pictures([decoded], [job])
    assert proven_jpeg._has_mark(reduced)


def test_the_second_picture_of_a_shape_is_the_proof() -> None:
    gpu = FakeGpu()
    decoder = gpu.start()
    gpu.decoded.clear()
    jobs = [make_picture_job(seed=seed) for seed in range(4)]
    assert decoder.decode_batch(jobs[:1]) == [None]
    assert not gpu.decoded
    assert decoder.decode_batch([make_picture_job(side=96)]) == [None]  # another shape
    (made,) = decoder.decode_batch(jobs[1:2])
    assert made is not None
    assert [len(job.data) < len(jobs[1].data) for job in gpu.decoded] == [False, True, True, False]
    gpu.decoded.clear()
    assert all(each is not None for each in decoder.decode_batch(jobs[2:]))
    assert gpu.decoded == jobs[2:]


@pytest.mark.parametrize("fault", ["has_inner_memory", "shows_other_colors"])
def test_a_shape_with_a_fault_is_left_to_pillow(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as a size for which nvJPEG works in another way."""
    caplog.set_level(logging.INFO)
    gpu = FakeGpu(**{fault: True}, fault_from_width=600)
    decoder = gpu.start()
    faulty, good = make_picture_job(side=600), make_picture_job()
    for _ in range(2 + proven_jpeg.MAX_PROOFS):
        made = decoder.decode_batch([faulty, good])
        assert made[0] is None
    assert made[1] is not None
    assert len(caplog.records) == proven_jpeg.MAX_PROOFS
    assert "a JPEG of 600 x 600" in caplog.text
    gpu.decoded.clear()
    assert decoder.decode_batch([faulty]) == [None]
    assert not gpu.decoded


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_fine_grain_is_no_fault(subsampling: int, factor: int) -> None:
    """The means of squares differ from what libjpeg shows, but not in the end."""
    decoder = FakeGpu().start()
    job = make_picture_job(side=301, subsampling=subsampling, has_grain=True)
    job = replace(job, shape=replace(job.shape, factor=factor))
    for _ in range(2):
        (made,) = decoder.decode_batch([job])
    assert made is not None


def test_a_truncated_picture_does_not_condemn_its_shape() -> None:
    decoder = FakeGpu().start()
    for share in (1.0, 0.5):
        assert decoder.decode_batch([make_picture_job(share)]) == [None]
    (made,) = decoder.decode_batch([make_picture_job()])
    assert made is not None


def test_the_number_of_remembered_shapes_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proven_jpeg, "MAX_SHAPES", 3)
    decoder = FakeGpu().start()
    for side in range(64, 96):
        assert decoder.decode_batch([make_picture_job(side=side)]) == [None]
        assert len(decoder._picture_counts) <= 3


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("has_inner_memory", "parts of other pictures in truncated JPEGs"),
        ("lends_other_memory", "in other memory than expected"),
        ("shows_other_colors", "other pixels than the CPU"),
        ("refuses_truncated", "Failed to decode the batch"),
    ],
)
def test_a_gpu_with_a_fault_does_not_start(fault: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        FakeGpu(**{fault: True}).start()


def test_a_color_like_the_mark_in_a_photo_costs_only_time() -> None:
    picture = np.full((4, 4, 3), 200, np.uint8)
    for channel, level in enumerate(proven_jpeg.MARK):
        assert not proven_jpeg._has_mark(picture)
        picture[2, 1, channel] = level
    assert proven_jpeg._has_mark(picture)
