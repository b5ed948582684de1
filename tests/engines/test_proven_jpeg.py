"""A lenient decoder is used only where it has proven itself; else Pillow decodes."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from PIL import Image
from support.fake_gpu import FakeGpu, make_picture_job

from searchapp.engines import proven_jpeg

torch = pytest.importorskip("torch")


def test_a_truncated_jpeg_with_an_end_marker_is_given_back() -> None:
    decoder = FakeGpu().start()
    assert decoder.decode_batch([make_picture_job()]) == [None]  # the first of its shape
    shares = (0.5, 0.97, 1.0)
    jobs = [make_picture_job(share, seed=seed) for seed, share in enumerate(shares, 2)]
    made = decoder.decode_batch(jobs)
    assert made[:2] == [None, None]
    assert made[2] is not None
    assert made[2].shape == (64, 64, 3)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("side", [128, 129, 136])
def test_a_missing_corner_is_noticed(subsampling: int, side: int) -> None:
    """Only the last of the blocks that are encoded together is missing."""
    jobs = [make_picture_job(side=side, subsampling=subsampling, seed=seed) for seed in (1, 2)]
    before, complete = FakeGpu(buffer_count=2).decode_files(jobs)
    truncated = complete.clone()
    width, height = (8 if subsampling == 0 else 16), (16 if subsampling == 2 else 8)
    top, left = (side - 1) // height * height, (side - 1) // width * width
    truncated[:, top:, left:] = before[:, top:, left:]
    decoded = torch.stack([before, complete, truncated])
    ends = proven_jpeg._read_ends(decoded, jobs[0].shape)
    assert ends[2] == ends[0] != ends[1]


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("buffer_count", [1, 2, 5])
def test_what_any_earlier_picture_left_is_noticed(buffer_count: int, is_reversed: bool) -> None:
    """Pictures of several sizes, and batches of several lengths, use the same buffers."""
    decoder = FakeGpu(buffer_count=buffer_count, is_reversed=is_reversed).start()
    sides = (128, 256, 128, 136)
    for side in sides:
        for seed in (90, 91):
            decoder.decode_batch([make_picture_job(side=side, seed=seed)])
    accepted = complete = 0
    for first in range(12):
        shares = [0.5 if (number + first) % 3 == 0 else 1.0 for number in range(1 + first % 5)]
        jobs = [
            make_picture_job(share, sides[(number * first) % 4], seed=100 + 10 * first + number)
            for number, share in enumerate(shares)
        ]
        for share, picture in zip(shares, decoder.decode_batch(jobs), strict=True):
            complete += share == 1.0
            accepted += picture is not None
            assert picture is None or share == 1.0
    # A picture whose end another one of the batch shows is given back, too.
    assert complete / 2 < accepted <= complete


def test_a_picture_that_ends_like_another_is_given_back() -> None:
    """It can be complete; that costs only time."""
    decoder = FakeGpu().start()
    white = Image.new("RGB", (64, 128), "white")
    first, second, other = (make_picture_job(seed=seed, right_part=white) for seed in range(3))
    decoder.decode_batch([make_picture_job(seed=9)])
    assert decoder.decode_batch([first])[0] is not None
    assert decoder.decode_batch([first])[0] is not None  # a copy of the file
    assert decoder.decode_batch([second]) == [None]
    # A larger batch begins with other pictures in the buffers.
    made = decoder.decode_batch([second, make_picture_job(), other])
    assert [each is not None for each in made] == [False, True, False]


def test_a_copy_with_other_metadata_is_decoded() -> None:
    decoder, job = FakeGpu().start(), make_picture_job()
    decoder.decode_batch([make_picture_job(seed=2)])
    comment = b"\xff\xfe\x00\x05one"
    copy = replace(
        job,
        data=job.data[:2] + comment + job.data[2:],
        scan_start=job.scan_start + len(comment),
    )
    for each in (job, copy, job):
        assert decoder.decode_batch([each])[0] is not None


def test_a_shape_whose_pictures_end_alike_is_left_to_pillow(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Such as scans with a white margin: the GPU would decode them for nothing."""
    caplog.set_level(logging.INFO)
    gpu, white = FakeGpu(), Image.new("RGB", (64, 128), "white")
    decoder = gpu.start()
    for seed in range(2 * proven_jpeg.MIN_JUDGED):
        decoder.decode_batch([make_picture_job(seed=seed, right_part=white)])
    assert caplog.text.count("too many have the same last pixels") == 1
    gpu.list_pictures()
    assert decoder.decode_batch([make_picture_job(seed=99)]) == [None]
    assert not gpu.list_pictures()


def test_the_number_of_remembered_ends_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proven_jpeg, "MAX_ENDS", 4)
    decoder = FakeGpu().start()
    decoder.decode_batch([make_picture_job(seed=50)])
    for seed in range(12):
        (made,) = decoder.decode_batch([make_picture_job(seed=seed)])
        assert made is not None
        assert decoder.decode_batch([make_picture_job(0.5, seed=seed)]) == [None]
        assert len(decoder._pictures_by_end) <= 4 + 1


def test_after_an_error_the_buffers_are_filled_again() -> None:
    gpu = FakeGpu()
    decoder = gpu.start()
    for seed in range(2):
        decoder.decode_batch([make_picture_job(seed=seed)])
    gpu.refuses_truncated = True
    with pytest.raises(RuntimeError):
        decoder.decode_batch([make_picture_job(0.5, seed=3)])
    gpu.refuses_truncated = False
    gpu.buffers.clear()
    assert decoder.decode_batch([make_picture_job(0.5, seed=4)]) == [None]


def test_the_second_picture_of_a_shape_is_the_proof() -> None:
    gpu = FakeGpu()
    decoder = gpu.start()
    gpu.list_pictures()
    jobs = [make_picture_job(seed=seed) for seed in range(4)]
    assert decoder.decode_batch(jobs[:1]) == [None]
    assert not gpu.list_pictures()
    assert decoder.decode_batch([make_picture_job(side=96)]) == [None]  # another shape
    (made,) = decoder.decode_batch(jobs[1:2])
    assert made is not None
    sizes = [len(job.data) for job in gpu.list_pictures()]
    assert [size < len(jobs[1].data) for size in sizes] == [False, True, True, False]
    assert all(each is not None for each in decoder.decode_batch(jobs[2:]))
    assert gpu.list_pictures() == jobs[2:]


@pytest.mark.parametrize("fault", ["shows_noise", "shows_other_colors"])
def test_a_shape_with_a_fault_is_left_to_pillow(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as a size for which nvJPEG works in another way."""
    caplog.set_level(logging.INFO)
    gpu = FakeGpu(**{fault: True}, fault_from_width=600)
    decoder = gpu.start()
    faulty = make_picture_job(side=600)
    for seed in range(2 + proven_jpeg.MAX_PROOFS):
        made = decoder.decode_batch([faulty, make_picture_job(seed=seed)])
        assert made[0] is None
    assert made[1] is not None
    assert len(caplog.records) == proven_jpeg.MAX_PROOFS
    assert "a JPEG of 600 x 600" in caplog.text
    gpu.list_pictures()
    assert decoder.decode_batch([faulty]) == [None]
    assert not gpu.list_pictures()


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
        ("shows_noise", "parts of other pictures in truncated JPEGs"),
        ("shows_other_colors", "other pixels than the CPU"),
        ("refuses_truncated", "Failed to decode the batch"),
    ],
)
def test_a_gpu_with_a_fault_does_not_start(fault: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        FakeGpu(**{fault: True}).start()
