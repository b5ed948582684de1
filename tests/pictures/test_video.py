"""Videos: sampled frames, metadata, searches with times, and errors."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from fractions import Fraction
from pathlib import Path

import httpx
import numpy as np
import pytest
from support.fake_engine import REFUSED_COLOR, FakeEngine
from support.library import FakeEngines, RunCommand, index_folder, write_fake_clip
from support.live_server import serve_library
from support.paths import TESTS
from support.pixels import is_close_color
from support.replicas import make_environments
from support.sample_pictures import save_picture
from support.video_files import draw_halves, rotate_video, write_sound_only, write_video

from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.indexing.embedding.replicas import ReplicaPool
from searchapp.library import Library
from searchapp.pictures import hdr, optional_decoders, thumbnails, video
from searchapp.pictures.model_size import ImageInput
from searchapp.types import (
    FileFailed,
    Filter,
    Hit,
    IndexOptions,
    Original,
    PictureInfo,
    Query,
    RunFinished,
    RunSummary,
    ScanFinished,
    SearchOptions,
    format_clock,
)

SQUASHED = ImageInput("squash", side=32)


def sample(file: Path) -> list[tuple[float, tuple[int, ...]]]:
    """Return the times and the center colors of the sampled frames."""
    with storage.open_file(str(file)) as (opened, _):
        _, found = video.sample_frames(opened, SQUASHED)
    return [(frame.seconds, frame.image.getpixel((16, 16))) for frame in found]


def read_info(file: Path) -> PictureInfo:
    with storage.open_file(str(file)) as (opened, _):
        return video.sample_frames(opened, SQUASHED)[0]


def sample_times(file: Path) -> list[float]:
    return [time_s for time_s, _ in sample(file)]


def find_first(library: Library, text: str, **options: object) -> Hit:
    hit, *_ = library.search(Query(text), SearchOptions(**options))
    return hit


@pytest.fixture
def photos_with_clip(photos: Path) -> Path:
    """The photos, and a video of three other scenes."""
    write_video(photos / "clip.mp4", (("cyan", 4), ("yellow", 4), ("purple", 4)))
    return photos


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.mp4", "MP4"), ("a.MOV", "MOV"), ("a.m4v", "MP4"), ("a.mkv", "MKV"), ("a.avi", "AVI"),
     ("a.webm", "WEBM"), ("a.mts", "MTS")],
)  # fmt: skip
def test_every_container_is_decoded(tmp_path: Path, name: str, format: str) -> None:
    """The frames are the key frames at the start of each scene."""
    file = write_video(tmp_path / name.lower())
    sampled = sample(file)
    assert [time_s for time_s, _ in sampled] == [0.0, 4.0, 8.0]
    assert is_close_color(sampled[1][1], (255, 0, 0), tolerance=8)
    info = read_info(file)
    assert (info.format, info.width, info.height) == (format, 96, 64)


def test_sampled_frames_differ(tmp_path: Path) -> None:
    """A scene that continues or returns gives one frame."""
    file = write_video(
        tmp_path / "a.mp4", (("red", 20), ("blue", 20), ("red", 20)), key_interval=10
    )
    assert [time_s < 24 for time_s in sample_times(file)] == [True, True]


def test_scenes_without_key_frames_are_found(tmp_path: Path) -> None:
    """If key frames are rare, as in screen recordings, the frames between them are decoded."""
    scenes = [("red", 5), ("blue", 5), ("lime", 5)]
    file = tmp_path / "a.mp4"
    write_video(
        file,
        scenes,
        codec="libx264",
        options={"x264-params": "scenecut=0"},
        forces_key_frames=False,
    )
    assert len(sample(file)) == 3


def test_a_long_video_has_at_most_max_frames(tmp_path: Path) -> None:
    """They are spread over the duration, even at a low frame rate."""
    colors = [f"#{n * 7:02x}{255 - n * 7:02x}{n * 37 % 256:02x}" for n in range(36)]
    file = write_video(
        tmp_path / "a.mp4", [(color, 600) for color in colors], frames_per_s=1 / 60, key_interval=3
    )
    found = sample_times(file)
    assert 25 <= len(found) <= video.MAX_FRAMES
    assert found[0] < 600 and found[-1] > 20000
    assert min(np.diff(found)) > 300


def test_a_short_clip_has_few_frames(tmp_path: Path) -> None:
    """One second is enough for two scenes; a single frame is a valid video."""
    assert sample_times(write_video(tmp_path / "a.mp4", (("red", 0.6), ("blue", 0.6)))) == [
        0.0,
        0.6,
    ]
    assert sample_times(write_video(tmp_path / "b.mp4", (("red", 0.2),))) == [0.0]


@pytest.mark.parametrize(
    ("degrees", "size", "white"),
    [(90, (64, 96), (16, 4)), (180, (96, 64), (28, 16)), (270, (64, 96), (16, 28))],
)
def test_videos_are_rotated_upright(
    tmp_path: Path, degrees: int, size: tuple[int, int], white: tuple[int, int]
) -> None:
    """Frames, size and thumbnails, as phones record them."""
    file = rotate_video(write_video(tmp_path / "a.mp4", (("red", 2),), draw=draw_halves), degrees)
    with storage.open_file(str(file)) as (opened, _):
        info, (frame, *_) = video.sample_frames(opened, SQUASHED)
    assert (info.width, info.height) == size
    assert is_close_color(frame.image.getpixel(white), (255, 255, 255), tolerance=12)
    assert thumbnails.make_thumbnail(Original(str(file), "", 0.0), 48).size == tuple(
        side // 2 for side in size
    )


def test_non_square_pixels_are_stretched(tmp_path: Path) -> None:
    """As in DV and DVD video: the size is the one that a player shows."""
    file = write_video(tmp_path / "a.mkv", (("red", 1),), pixel_aspect=Fraction(4, 3))
    assert (read_info(file).width, read_info(file).height) == (128, 64)
    assert thumbnails.make_thumbnail(Original(str(file), "", 0.0), 64).size == (64, 32)


def test_video_date_position_and_camera_are_read(tmp_path: Path) -> None:
    """Apple's tags have precedence over those of the container, which have no time zone."""
    tags = {
        "com.apple.quicktime.location.ISO6709": "-33.8600+151.2000+035.0/",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 13",
        "com.apple.quicktime.creationdate": "2023-06-17T21:05:00+0200",
        "creation_time": "2023-06-17T19:05:00.000000Z",
    }
    info = read_info(write_video(tmp_path / "a.mov", (("red", 1),), tags=tags))
    assert (info.taken_at, info.camera) == ("2023-06-17T21:05:00+02:00", "Apple iPhone 13")
    assert (info.latitude, info.longitude) == (-33.86, 151.2)
    only = {"creation_time": "2023-06-17T19:05:00.000000Z"}
    info = read_info(write_video(tmp_path / "b.mp4", (("red", 1),), tags=only))
    assert info.taken_at == "2023-06-17T19:05:00+00:00"
    never = {"creation_time": "1970-01-01T00:00:00.000000Z", "location": "somewhere"}
    info = read_info(write_video(tmp_path / "c.mp4", (("red", 1),), tags=never))
    assert (info.taken_at, info.latitude) == (None, None)


def test_10_bit_and_hdr_colors_become_srgb(tmp_path: Path) -> None:
    """Colors with 10 bits are kept. In HDR, diffuse white is light, and gray stays gray."""
    ten = write_video(
        tmp_path / "a.mp4", (("red", 1),), codec="libx264", pixel_format="yuv420p10le"
    )
    assert is_close_color(sample(ten)[0][1], (255, 0, 0), tolerance=8)
    pq_white = int(0.58 * 65535)  # 203 cd/m², by BT.2408
    sheet = hdr.convert_hdr_to_srgb(np.full((1, 1, 3), pq_white, np.uint16), hdr.PQ)[0, 0]
    assert sheet.min() >= 215 and sheet.max() - sheet.min() <= 2
    hlg_white = int(0.75 * 65535)
    sheet = hdr.convert_hdr_to_srgb(np.full((1, 1, 3), hlg_white, np.uint16), hdr.HLG)[0, 0]
    assert sheet.min() >= 215 and sheet.max() - sheet.min() <= 2
    black, white = (
        hdr.convert_hdr_to_srgb(np.full((1, 1, 3), n, np.uint16), hdr.PQ) for n in (0, 65535)
    )
    assert black.max() <= 2 and white.min() == 255


@pytest.mark.parametrize(
    ("transfer", "white"), [("smpte2084", "#949494"), ("arib-std-b67", "#bfbfbf")]
)
def test_hdr_frames_are_tone_mapped(tmp_path: Path, transfer: str, white: str) -> None:
    """Without tone mapping, diffuse white of a phone's HDR video would be gray."""
    x264_params = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    options = {"x264-params": x264_params}
    file = tmp_path / "a.mp4"
    write_video(file, ((white, 1),), codec="libx264", pixel_format="yuv420p10le", options=options)
    assert min(sample(file)[0][1]) >= 210


def test_invalid_videos_are_errors(tmp_path: Path) -> None:
    """Broken, empty, sound only, or a playlist: each has its own message."""
    whole = write_video(tmp_path / "whole.mp4")
    data = whole.read_bytes()
    nothing = tmp_path / "nothing.mp4"
    nothing.write_bytes(write_video(tmp_path / "x.mp4", (("red", 0),)).read_bytes())
    for name, content, reason in (
        ("cut.mp4", data[: len(data) // 2], "broken, cut off, or not a video"),
        ("text.mkv", b"hello, world" * 100, "broken, cut off, or not a video"),
        (
            "picture.mp4",
            (save_picture(tmp_path / "x.png")).read_bytes(),
            "broken, cut off, or not a video",
        ),
        ("empty.mov", b"", "the file is empty"),
        ("list.mp4", f"#EXTM3U\n#EXTINF:5,\nfile://{whole}\n".encode(), "not a video"),
        ("concat.mp4", f"ffconcat version 1.0\nfile {whole}\n".encode(), "not a video"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PictureError, match=reason):
            sample(tmp_path / name)
    with pytest.raises(PictureError, match="it may hold only sound"):
        sample(write_sound_only(tmp_path / "sound.mp4"))
    with pytest.raises(PictureError, match=r"no frame|no video stream|broken|cut off"):
        sample(nothing)
    with (
        pytest.raises(
            PictureError, match=r"a frame of the video has .* megapixels, the limit is 0"
        ),
        storage.open_file(str(whole)) as (file, _),
    ):
        video.sample_frames(file, SQUASHED, max_megapixels=0.001)


def test_the_start_of_a_truncated_video_is_used(tmp_path: Path) -> None:
    """Its index comes first, so the start can be decoded."""
    file = write_video(tmp_path / "a.mp4", options={"movflags": "faststart"})
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 6 // 10])
    assert sample_times(file)[0] == 0.0


def test_a_video_is_found_at_its_time(
    opened: Library, photos_with_clip: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A video is one hit at its best frame, and its files count as one image."""
    assert index_folder(opened, photos_with_clip, model) == RunSummary(added=4)
    assert fake_engines.embedded_count == 3 + 3
    hit = find_first(opened, "yellow")
    assert (Path(hit.path).name, hit.seconds) == ("clip.mp4", 4.0)
    hits = opened.search(Query("yellow"))
    assert [Path(each.path).name for each in hits].count("clip.mp4") == 1
    assert len(hits) == 4
    assert find_first(opened, "red").seconds is None
    assert hits[0].moments != () and 4.0 not in hits[0].moments
    assert opened.info().images == 4
    assert index_folder(opened, photos_with_clip, model) == RunSummary(unchanged=4)
    assert fake_engines.embedded_count == 6


def test_filters_apply_to_the_frames_of_a_video(
    opened: Library, photos_with_clip: Path, model: Path
) -> None:
    """Folder, date, format and SQL of the video apply to its frames."""
    tags = {"creation_time": "2023-06-17T19:05:00.000000Z"}
    write_video(photos_with_clip / "below/dated.mkv", (("cyan", 3), ("gold", 3)), tags=tags)
    index_folder(opened, photos_with_clip, model)
    for wanted in (
        Filter(format="mp4"), Filter(where="format = 'mp4'"), Filter(where="path like '%clip%'")
    ):  # fmt: skip
        options = {name: getattr(wanted, name) for name in ("format", "where")}
        hits = opened.search(Query("purple"), SearchOptions(**options))
        assert [(Path(hit.path).name, hit.seconds) for hit in hits] == [("clip.mp4", 8.0)]
    hits = opened.search(Query("gold"), SearchOptions(folder=photos_with_clip / "below"))
    assert [Path(hit.path).name for hit in hits] == ["dated.mkv", "blue.jpg"]
    assert hits[0].seconds == 3.0
    dated = opened.search(Query("gold"), SearchOptions(before="2023", taken=True))
    assert [hit.path for hit in dated] == [hits[0].path]
    assert (dated[0].date, dated[0].date_from) == ("2023-06-17T19:05:00+00:00", "exif")
    facets = opened.count_facets()  # A video counts once.
    assert dict(facets.formats.values)["mp4"] == 1
    assert (facets.images, sum(month.images for month in facets.months)) == (5, 5)
    assert hits[0].taken_at == hits[0].date == "2023-06-17T19:05:00+00:00"
    assert find_first(opened, "gold", after="2023-06-17", before="2023-06-18").path == hits[0].path


def test_two_models_share_the_frames_of_a_video(
    opened: Library, photos_with_clip: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """Each model has its own embeddings of the same frames."""
    other = write_fake_clip(tmp_path / "models" / "other-clip", b"other weights")
    index_folder(opened, photos_with_clip, model)
    assert index_folder(opened, photos_with_clip, other) == RunSummary(added=4)
    assert fake_engines.embedded_count == 12
    assert [each.images for each in opened.info().collections] == [6, 6]
    for name in ("fake-clip", "other-clip"):
        assert find_first(opened, "purple", collection=name).seconds == 8.0


def test_copies_and_moves_of_a_video_are_not_embedded(
    opened: Library, photos_with_clip: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """The same bytes are the same video, with all its frames."""
    index_folder(opened, photos_with_clip, model)
    shutil.copy(photos_with_clip / "clip.mp4", photos_with_clip / "copy.mp4")
    assert index_folder(opened, photos_with_clip, model) == RunSummary(added=1, unchanged=4)
    (photos_with_clip / "clip.mp4").rename(photos_with_clip / "below" / "moved.mp4")
    assert index_folder(opened, photos_with_clip, model) == RunSummary(unchanged=4, moved=1)
    assert fake_engines.embedded_count == 6
    hit = find_first(opened, "purple")
    assert hit.seconds == 8.0
    assert {Path(path).name for path in (hit.path, *hit.also)} == {"copy.mp4", "moved.mp4"}


def test_a_deleted_video_loses_all_its_frames(
    opened: Library, photos_with_clip: Path, model: Path
) -> None:
    """It is not found without its file; prune removes it, and check finds no fault."""
    index_folder(opened, photos_with_clip, model)
    (photos_with_clip / "clip.mp4").unlink()
    assert all(Path(hit.path).name != "clip.mp4" for hit in opened.search(Query("purple")))
    assert index_folder(opened, photos_with_clip, model) == RunSummary(unchanged=3, removed=1)
    pruned = opened.prune()
    assert (pruned.images, pruned.embeddings) == (3, 3)
    assert list(opened.check()) == []
    assert [each.images for each in opened.info().collections] == [3]


def test_prune_keeps_the_frames_of_an_existing_video(
    opened: Library, photos_with_clip: Path, model: Path
) -> None:
    """Frames have no file of their own."""
    index_folder(opened, photos_with_clip, model)
    assert opened.prune().images == 0
    assert find_first(opened, "purple").seconds == 8.0
    with (photos_with_clip / "clip.mp4").open("r+b") as file:
        state = (photos_with_clip / "clip.mp4").stat()
        file.write(b"damaged!")
    os.utime(photos_with_clip / "clip.mp4", ns=(state.st_mtime_ns, state.st_mtime_ns))
    (fault,) = opened.check(files=None)
    assert "clip.mp4: the content of the file has changed since indexing" in fault.what


def test_a_bad_vector_of_a_frame_is_repaired(
    opened: Library, photos_with_clip: Path, model: Path, tmp_path: Path
) -> None:
    """Check deletes it, and index embeds the complete video again."""
    index_folder(opened, photos_with_clip, model)
    with sqlite3.connect(tmp_path / "library/catalog.db") as db:
        db.execute(
            "update embeddings set vector = zeroblob(length(vector)) where image_id in"
            " (select image_id from frames where seconds = 8)"
        )
    db.close()
    assert [fault.mended for fault in opened.check(repair=True)][:1] == [True]
    assert index_folder(opened, photos_with_clip, model) == RunSummary(added=1, unchanged=3)
    assert find_first(opened, "purple").seconds == 8.0
    assert opened.info().collections[0].images == 6
    assert list(opened.check()) == []


def test_a_video_cannot_be_a_query(run: RunCommand, photos_with_clip: Path, model: Path) -> None:
    """The message says what to do instead."""
    run("index", photos_with_clip, "--model", model)
    result = run("query", "--image", photos_with_clip / "clip.mp4")
    assert "clip.mp4: the file is a video; use a picture" in str(result.exception)


@pytest.mark.parametrize("suffix", [".json", ".npy", ".parquet"])
def test_videos_are_exported_and_imported(
    opened: Library, photos_with_clip: Path, model: Path, tmp_path: Path, suffix: str
) -> None:
    """With their frames and times, by which they are found."""
    index_folder(opened, photos_with_clip, model)
    assert opened.export(tmp_path / f"x{suffix}") == 6
    with Library.open(tmp_path / "other", create=True, start=FakeEngine) as other:
        loaded = other.load(tmp_path / f"x{suffix}")
        assert (loaded.images, loaded.files) == (6, 4)
        assert find_first(other, "purple").seconds == 8.0
        assert other.info().images == 4
        assert index_folder(other, photos_with_clip, model).unchanged == 4


def test_refused_frames_are_left_out(opened: Library, photos: Path, model: Path) -> None:
    """The first accepted frame represents the video; without one, the video fails."""
    refused = "#{:02x}{:02x}{:02x}".format(*REFUSED_COLOR)
    options = {"codec": "ffv1", "pixel_format": "bgr0"}
    write_video(photos / "a.mkv", ((refused, 3), ("cyan", 3)), **options)
    write_video(photos / "b.mkv", ((refused, 3),), **options)
    assert index_folder(opened, photos, model) == RunSummary(added=4, failed=1)
    assert find_first(opened, "cyan").seconds == 3.0
    (failure,) = opened.failures()
    assert (Path(failure.path).name, failure.stage) == ("b.mkv", "embed")


def test_videos_without_the_extra_are_counted(
    run: RunCommand,
    opened: Library,
    photos_with_clip: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One note names the extra; no video fails, and indexed videos stay."""
    write_video(photos_with_clip / "other.mp4", (("gold", 2),))
    index_folder(opened, photos_with_clip, model, exclude=("other.mp4",))
    is_installed = optional_decoders.is_installed
    with monkeypatch.context() as patched:
        patched.setattr(
            optional_decoders, "is_installed", lambda name: name != "video" and is_installed(name)
        )
        result = run("index", photos_with_clip, "--model", model)
        assert "1 video skipped; to read videos: pip install -e '.[video]'" in result.stderr
        assert opened.failures() == []
        assert find_first(opened, "purple").seconds == 8.0
    result = run("index", photos_with_clip, "--model", model, "--no-video")
    assert "videos skipped" not in result.stderr
    assert index_folder(opened, photos_with_clip, model) == RunSummary(added=1, unchanged=4)


def test_workers_embed_videos(tmp_path: Path, photos_with_clip: Path, model: Path) -> None:
    """Separate processes embed the frames with their times."""

    def start_many(job: object, files: int, wanted: int | None) -> ReplicaPool:
        from dataclasses import replace

        return ReplicaPool(
            replace(job, engine="support.fake_engine:FakeEngine", starts_early=True),
            make_environments(2),
        )

    for number in range(5):
        write_video(photos_with_clip / f"{number}.mp4", (("gold", 2 + number), ("gray", 2)))
    with Library.open(tmp_path / "many", create=True, start_many=start_many) as library:
        assert index_folder(library, photos_with_clip, model).added == 9
    with Library.open(tmp_path / "many", start=FakeEngine) as library:
        assert find_first(library, "purple").seconds == 8.0
        times = {
            hit.seconds
            for hit in library.search(Query("gray"), SearchOptions(where="path like '%_.mp4'"))
        }
        assert {2.0, 3.0, 4.0, 5.0, 6.0} <= times
        assert library.info().collections[0].images == 3 + 3 + 5 * 2


def test_a_killed_run_loses_and_duplicates_nothing(
    photos_with_clip: Path, model: Path, tmp_path: Path
) -> None:
    """The frames of a video are saved together, or not at all."""
    code = """
        import os, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from support.fake_engine import FakeEngine
        from searchapp.catalog.writer import CatalogWriter
        from searchapp.library import Library
        from searchapp.types import IndexOptions
        save = CatalogWriter.save_embeddings
        def killed(self, collection, vectors):
            save(self, collection, dict(list(vectors.items())[:2]))
            if len(vectors) > 2:
                os.kill(os.getpid(), 9)
            save(self, collection, vectors)
        CatalogWriter.save_embeddings = killed
        with Library.open(sys.argv[2], create=True, start=FakeEngine) as library:
            list(library.index([sys.argv[3]], IndexOptions(sys.argv[4], batch_size=1)))
    """
    arguments = [str(TESTS), tmp_path / "library", photos_with_clip, model]
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], check=False
    )
    assert result.returncode == -9
    with Library.open(tmp_path / "library", start=FakeEngine) as library:
        embedded = library.info().collections[0].images
        assert embedded <= 3, "of the video, nothing"
        assert index_folder(library, photos_with_clip, model).added == 4 - embedded
        assert library.info().collections[0].images == 6
        assert find_first(library, "yellow").seconds == 4.0
        assert list(library.check()) == []


def test_a_broken_video_is_one_failure(
    opened: Library, photos_with_clip: Path, model: Path
) -> None:
    """It has a reason, and the other files are embedded."""
    (photos_with_clip / "bad.mov").write_bytes(b"\0\0\0\x18ftypqt  " + bytes(100))
    write_sound_only(photos_with_clip / "sound.mp4")
    events = list(opened.index([photos_with_clip], IndexOptions(str(model))))
    failed = {Path(e.failure.path).name for e in events if isinstance(e, FileFailed)}
    assert failed == {"bad.mov", "sound.mp4"}
    assert isinstance(events[0], ScanFinished) and events[0].skipped_videos == 0
    assert isinstance(events[-1], RunFinished) and events[-1].summary.added == 4


def test_hits_show_the_time_of_the_frame(
    run: RunCommand, photos_with_clip: Path, model: Path, tmp_path: Path
) -> None:
    """`clip.mp4 @ 0:08` for people, seconds for programs, a link that plays from there."""
    run("index", photos_with_clip, "--model", model)
    assert run("query", "purple", "-k", 1).stdout.strip().endswith("clip.mp4 @ 0:08")
    (hit,) = json.loads(run("query", "purple", "-k", 1, "--json").stdout)
    assert (hit["seconds"], hit["moments"], hit["companions"]) == (8.0, [], [])
    run("query", "purple", "-k", 1, "--html", tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    assert "clip.mp4#t=8" in page and "clip.mp4 @ 0:08" in page and "data:image/jpeg" in page


def test_videos_are_on_the_map_but_not_in_duplicates(
    run: RunCommand, photos_with_clip: Path, model: Path, tmp_path: Path
) -> None:
    """Copies of a video are not reported; the map shows its frames next to the pictures."""
    shutil.copy(photos_with_clip / "clip.mp4", photos_with_clip / "copy.mp4")
    run("index", photos_with_clip, "--model", model)
    assert "no duplicates; 3 pictures compared" in run("duplicates").stderr
    result = json.loads(run("map", "--html", tmp_path / "map.html", "--json").stdout)
    assert (result["pictures"], result["left_out"]) == (6, 0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (83.9, "1:23"), (3723, "1:02:03"), (36000, "10:00:00")]
)
def test_format_clock(seconds: float, text: str) -> None:
    assert format_clock(seconds) == text


def test_the_server_sends_frames_and_byte_ranges(
    opened: Library, photos_with_clip: Path, model: Path, tmp_path: Path
) -> None:
    """Thumbnail and picture of the frame, ranges of the video, errors for pictures."""
    index_folder(opened, photos_with_clip, model)
    with serve_library(tmp_path / "library", FakeEngine) as url:
        for _ in range(500):
            found = httpx.post(f"{url}/api/search", json={"text": "purple"})
            if found.status_code != 503:
                break
            time.sleep(0.02)
        hit, *rest = found.json()["hits"]
        assert (hit["name"], hit["seconds"]) == ("clip.mp4", 8.0)
        for address in (f"thumbnails/{hit['id']}?size=320", f"images/{hit['id']}"):
            data = httpx.get(f"{url}/api/{address}").content
            assert is_close_color(_middle(data), (128, 0, 128), tolerance=12)
        part = httpx.get(f"{url}/api/videos/{hit['id']}", headers={"Range": "bytes=4-7"})
        assert (part.status_code, part.content) == (206, b"ftyp")
        assert part.headers["content-type"] == "video/mp4"
        other = next(each for each in rest if each["seconds"] is None)
        assert httpx.get(f"{url}/api/videos/{other['id']}").status_code == 400
        assert httpx.get(f"{url}/api/videos/99999").status_code == 404
        like = httpx.get(f"{url}/api/similar/{hit['id']}").json()["hits"]
        assert (like[0]["id"], like[0]["seconds"]) == (hit["id"], 8.0)


def _middle(data: bytes) -> tuple[int, ...]:
    from searchapp.pictures import decode

    image = decode.decode_thumbnail(data, 64)
    return image.getpixel((image.width // 2, image.height // 2))


def test_a_huge_video_is_never_read_completely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file above the size limit of pictures is hashed and read in parts."""
    file = write_video(tmp_path / "a.mp4")
    with file.open("ab") as opened:  # an empty box up to the end of the file
        opened.write(b"\0\0\0\1free" + (1 << 33).to_bytes(8, "big"))
        opened.truncate(file.stat().st_size + (1 << 33))
    reads = list[int]()
    with storage.open_file(str(file)) as (opened_file, _):

        class Counting:
            def __getattr__(self, name: str) -> object:
                return getattr(opened_file, name)

            def read(self, size: int = -1) -> bytes:
                reads.append(size)
                return opened_file.read(size)

        _, found = video.sample_frames(Counting(), SQUASHED)
    assert len(found) == 3
    assert min(reads) > 0 and sum(reads) < 1 << 24
