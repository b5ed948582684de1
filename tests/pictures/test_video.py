"""Videos: their frames are found at their times."""

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
    PictureInfo,
    Query,
    RunFinished,
    RunSummary,
    ScanFinished,
    SearchOptions,
    format_clock,
)

SQUASHED = ImageInput("squash", side=32)


def shots(file: Path) -> list[tuple[float, tuple[int, ...]]]:
    """The times and colours of the frames chosen."""
    with storage.open_file(str(file)) as (opened, _):
        _, found = video.sample_frames(opened, SQUASHED)
    return [(shot.seconds, shot.image.getpixel((16, 16))) for shot in found]


def info(file: Path) -> PictureInfo:
    with storage.open_file(str(file)) as (opened, _):
        return video.sample_frames(opened, SQUASHED)[0]


def seconds(file: Path) -> list[float]:
    return [at for at, _ in shots(file)]


def first(library: Library, text: str, **options: object) -> Hit:
    hit, *_ = library.search(Query(text), SearchOptions(**options))
    return hit


@pytest.fixture
def clips(photos: Path) -> Path:
    """The pictures, and a video of three other scenes."""
    write_video(photos / "clip.mp4", (("cyan", 4), ("yellow", 4), ("purple", 4)))
    return photos


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.mp4", "MP4"), ("a.MOV", "MOV"), ("a.m4v", "MP4"), ("a.mkv", "MKV"), ("a.avi", "AVI"),
     ("a.webm", "WEBM"), ("a.mts", "MTS")],
)  # fmt: skip
def test_every_container_is_read(tmp_path: Path, name: str, format: str) -> None:
    """Each scene is found where it begins, at its key frame."""
    file = write_video(tmp_path / name.lower())
    (at, *rest) = shots(file)
    assert [at[0], *(it[0] for it in rest)] == [0.0, 4.0, 8.0]
    assert is_close_color(rest[0][1], (255, 0, 0), tolerance=8)
    told = info(file)
    assert (told.format, told.width, told.height) == (format, 96, 64)


def test_frames_show_different_things(tmp_path: Path) -> None:
    """A scene that goes on, or comes back, is one frame."""
    file = write_video(
        tmp_path / "a.mp4", (("red", 20), ("blue", 20), ("red", 20)), key_interval=10
    )
    assert [at < 24 for at in seconds(file)] == [True, True]


def test_scenes_without_key_frames_are_found(tmp_path: Path) -> None:
    """Where key frames are rare, as of a recorded screen, what lies between is decoded."""
    scenes = [("red", 5), ("blue", 5), ("lime", 5)]
    file = tmp_path / "a.mp4"
    write_video(
        file,
        scenes,
        codec="libx264",
        options={"x264-params": "scenecut=0"},
        forces_key_frames=False,
    )
    assert len(shots(file)) == 3


def test_a_long_video_has_a_bounded_number_of_frames(tmp_path: Path) -> None:
    """They are spread over its length; few frames a second are no trouble."""
    colours = [f"#{n * 7:02x}{255 - n * 7:02x}{n * 37 % 256:02x}" for n in range(36)]
    file = write_video(
        tmp_path / "a.mp4", [(it, 600) for it in colours], frames_per_s=1 / 60, key_interval=3
    )
    found = seconds(file)
    assert 25 <= len(found) <= video.MAX_FRAMES
    assert found[0] < 600 and found[-1] > 20000
    assert min(np.diff(found)) > 300


def test_a_short_clip_has_few_frames(tmp_path: Path) -> None:
    """A second is enough for two scenes, one frame is a video."""
    assert seconds(write_video(tmp_path / "a.mp4", (("red", 0.6), ("blue", 0.6)))) == [0.0, 0.6]
    assert seconds(write_video(tmp_path / "b.mp4", (("red", 0.2),))) == [0.0]


@pytest.mark.parametrize(
    ("degrees", "size", "white"),
    [(90, (64, 96), (16, 4)), (180, (96, 64), (28, 16)), (270, (64, 96), (16, 28))],
)
def test_videos_are_turned_as_they_say(
    tmp_path: Path, degrees: int, size: tuple[int, int], white: tuple[int, int]
) -> None:
    """As phones are held; frames, size and thumbnails alike."""
    file = rotate_video(write_video(tmp_path / "a.mp4", (("red", 2),), draw=draw_halves), degrees)
    with storage.open_file(str(file)) as (opened, _):
        told, (shot, *_) = video.sample_frames(opened, SQUASHED)
    assert (told.width, told.height) == size
    assert is_close_color(shot.image.getpixel(white), (255, 255, 255), tolerance=12)
    assert thumbnails.make_thumbnail(str(file), 48, 0.0).size == tuple(it // 2 for it in size)


def test_pixels_that_are_not_square_are_shown_as_they_are_meant(tmp_path: Path) -> None:
    """As of DV and DVDs: the size is the one that a player shows."""
    file = write_video(tmp_path / "a.mkv", (("red", 1),), pixel_aspect=Fraction(4, 3))
    assert (info(file).width, info(file).height) == (128, 64)
    assert thumbnails.make_thumbnail(str(file), 64, 0.0).size == (64, 32)


def test_a_video_says_when_where_and_with_what(tmp_path: Path) -> None:
    """Apple's tags come before the container's own, which knows no time zone."""
    tags = {
        "com.apple.quicktime.location.ISO6709": "-33.8600+151.2000+035.0/",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 13",
        "com.apple.quicktime.creationdate": "2023-06-17T21:05:00+0200",
        "creation_time": "2023-06-17T19:05:00.000000Z",
    }
    told = info(write_video(tmp_path / "a.mov", (("red", 1),), tags=tags))
    assert (told.taken_at, told.camera) == ("2023-06-17T21:05:00+02:00", "Apple iPhone 13")
    assert (told.latitude, told.longitude) == (-33.86, 151.2)
    only = {"creation_time": "2023-06-17T19:05:00.000000Z"}
    told = info(write_video(tmp_path / "b.mp4", (("red", 1),), tags=only))
    assert told.taken_at == "2023-06-17T19:05:00+00:00"
    never = {"creation_time": "1970-01-01T00:00:00.000000Z", "location": "somewhere"}
    told = info(write_video(tmp_path / "c.mp4", (("red", 1),), tags=never))
    assert (told.taken_at, told.latitude) == (None, None)


def test_deep_colours_are_brought_to_what_screens_show(tmp_path: Path) -> None:
    """Ten bits keep their colours; of HDR, a white sheet is light, and grey stays grey."""
    ten = write_video(
        tmp_path / "a.mp4", (("red", 1),), codec="libx264", pixel_format="yuv420p10le"
    )
    assert is_close_color(shots(ten)[0][1], (255, 0, 0), tolerance=8)
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
def test_frames_of_hdr_are_as_light_as_they_are_shown(
    tmp_path: Path, transfer: str, white: str
) -> None:
    """As a phone writes them: a white sheet would be grey without."""
    said = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    options = {"x264-params": said}
    file = tmp_path / "a.mp4"
    write_video(file, ((white, 1),), codec="libx264", pixel_format="yuv420p10le", options=options)
    assert min(shots(file)[0][1]) >= 210


def test_what_is_no_whole_video_says_so(tmp_path: Path) -> None:
    """Broken, empty, without pictures, lists of other files: a stated error for each."""
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
            shots(tmp_path / name)
    with pytest.raises(PictureError, match="it may hold only sound"):
        shots(write_sound_only(tmp_path / "sound.mp4"))
    with pytest.raises(PictureError, match=r"no frame|no video stream|broken|cut off"):
        shots(nothing)
    with (
        pytest.raises(PictureError, match="raise --max-megapixels"),
        storage.open_file(str(whole)) as (file, _),
    ):
        video.sample_frames(file, SQUASHED, max_megapixels=0.001)


def test_what_is_there_of_a_video_that_was_cut_off_is_taken(tmp_path: Path) -> None:
    """Its index comes first: the beginning plays, and is found."""
    file = write_video(tmp_path / "a.mp4", options={"movflags": "faststart"})
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 6 // 10])
    assert seconds(file)[0] == 0.0


def test_a_video_is_found_at_its_time(
    opened: Library, clips: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """One hit a video, its best frame, with the time; its files count as one image."""
    assert index_folder(opened, clips, model) == RunSummary(added=4)
    assert fake_engines.embedded_count == 3 + 3
    hit = first(opened, "yellow")
    assert (Path(hit.path).name, hit.seconds) == ("clip.mp4", 4.0)
    hits = opened.search(Query("yellow"))
    assert [Path(it.path).name for it in hits].count("clip.mp4") == 1
    assert len(hits) == 4
    assert first(opened, "red").seconds is None
    assert hits[0].moments != () and 4.0 not in hits[0].moments
    assert opened.info().images == 4
    assert index_folder(opened, clips, model) == RunSummary(unchanged=4)
    assert fake_engines.embedded_count == 6


def test_filters_reach_the_frames_of_a_video(opened: Library, clips: Path, model: Path) -> None:
    """By folder, date, format and SQL: what holds for the video holds for its frames."""
    tags = {"creation_time": "2023-06-17T19:05:00.000000Z"}
    write_video(clips / "below/dated.mkv", (("cyan", 3), ("gold", 3)), tags=tags)
    index_folder(opened, clips, model)
    for wanted in (
        Filter(format="mp4"), Filter(where="format = 'mp4'"), Filter(where="path like '%clip%'")
    ):  # fmt: skip
        options = {name: getattr(wanted, name) for name in ("format", "where")}
        hits = opened.search(Query("purple"), SearchOptions(**options))
        assert [(Path(hit.path).name, hit.seconds) for hit in hits] == [("clip.mp4", 8.0)]
    hits = opened.search(Query("gold"), SearchOptions(folder=clips / "below"))
    assert [Path(hit.path).name for hit in hits] == ["dated.mkv", "blue.jpg"]
    assert hits[0].seconds == 3.0
    dated = opened.search(Query("gold"), SearchOptions(before="2023", taken=True))
    assert [hit.path for hit in dated] == [hits[0].path]
    assert (dated[0].date, dated[0].date_from) == ("2023-06-17T19:05:00+00:00", "exif")
    facets = opened.count_facets()  # where a video counts once
    assert dict(facets.formats.values)["mp4"] == 1
    assert (facets.images, sum(month.images for month in facets.months)) == (5, 5)
    assert hits[0].taken_at == hits[0].date == "2023-06-17T19:05:00+00:00"
    assert first(opened, "gold", after="2023-06-17", before="2023-06-18").path == hits[0].path


def test_two_models_share_the_frames_of_a_video(
    opened: Library, clips: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """Each has its own embeddings of them."""
    other = write_fake_clip(tmp_path / "models" / "other-clip", b"other weights")
    index_folder(opened, clips, model)
    assert index_folder(opened, clips, other) == RunSummary(added=4)
    assert fake_engines.embedded_count == 12
    assert [it.images for it in opened.info().collections] == [6, 6]
    for name in ("fake-clip", "other-clip"):
        assert first(opened, "purple", collection=name).seconds == 8.0


def test_copies_and_moves_of_a_video_cost_nothing(
    opened: Library, clips: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """The same bytes are the same video, with all its frames."""
    index_folder(opened, clips, model)
    shutil.copy(clips / "clip.mp4", clips / "copy.mp4")
    assert index_folder(opened, clips, model) == RunSummary(added=1, unchanged=4)
    (clips / "clip.mp4").rename(clips / "below" / "moved.mp4")
    assert index_folder(opened, clips, model) == RunSummary(unchanged=4, moved=1)
    assert fake_engines.embedded_count == 6
    hit = first(opened, "purple")
    assert hit.seconds == 8.0
    assert [Path(path).name for path in (hit.path, *hit.also)] == ["copy.mp4", "moved.mp4"]


def test_a_video_goes_with_all_its_frames(opened: Library, clips: Path, model: Path) -> None:
    """Found no more when its file is gone; prune removes it, check is content."""
    index_folder(opened, clips, model)
    (clips / "clip.mp4").unlink()
    assert all(Path(hit.path).name != "clip.mp4" for hit in opened.search(Query("purple")))
    assert index_folder(opened, clips, model) == RunSummary(unchanged=3, removed=1)
    pruned = opened.prune()
    assert (pruned.images, pruned.embeddings) == (3, 3)
    assert list(opened.check()) == []
    assert [it.images for it in opened.info().collections] == [3]


def test_prune_keeps_the_frames_of_a_video_that_is_there(
    opened: Library, clips: Path, model: Path
) -> None:
    """They have no file of their own, and need none."""
    index_folder(opened, clips, model)
    assert opened.prune().images == 0
    assert first(opened, "purple").seconds == 8.0
    with (clips / "clip.mp4").open("r+b") as file:
        state = (clips / "clip.mp4").stat()
        file.write(b"damaged!")
    os.utime(clips / "clip.mp4", ns=(state.st_mtime_ns, state.st_mtime_ns))
    (fault,) = opened.check(files=None)
    assert "clip.mp4: the content changed since it was indexed" in fault.what


def test_a_bad_vector_of_a_frame_is_mended(
    opened: Library, clips: Path, model: Path, tmp_path: Path
) -> None:
    """Check deletes it, and index embeds the video again, whole."""
    index_folder(opened, clips, model)
    with sqlite3.connect(tmp_path / "library/catalog.db") as db:
        db.execute(
            "update embeddings set vector = zeroblob(length(vector)) where image_id in"
            " (select image_id from frames where seconds = 8)"
        )
    db.close()
    assert [fault.mended for fault in opened.check(repair=True)][:1] == [True]
    assert index_folder(opened, clips, model) == RunSummary(added=1, unchanged=3)
    assert first(opened, "purple").seconds == 8.0
    assert opened.info().collections[0].images == 6
    assert list(opened.check()) == []


def test_a_video_is_no_question(run: RunCommand, clips: Path, model: Path) -> None:
    """It says what to do instead."""
    run("index", clips, "--model", model)
    result = run("query", "--image", clips / "clip.mp4")
    assert "clip.mp4: is a video; use a picture" in str(result.exception)


@pytest.mark.parametrize("suffix", [".json", ".npy", ".parquet"])
def test_videos_go_to_another_library(
    opened: Library, clips: Path, model: Path, tmp_path: Path, suffix: str
) -> None:
    """With their frames and times, by which they are found there."""
    index_folder(opened, clips, model)
    assert opened.export(tmp_path / f"x{suffix}") == 6
    with Library.open(tmp_path / "other", create=True, start=FakeEngine) as other:
        loaded = other.load(tmp_path / f"x{suffix}")
        assert (loaded.images, loaded.files) == (6, 4)
        assert first(other, "purple").seconds == 8.0
        assert other.info().images == 4
        assert index_folder(other, clips, model).unchanged == 4


def test_frames_that_the_model_refuses_cost_themselves(
    opened: Library, photos: Path, model: Path
) -> None:
    """The first that it takes stands for the video; none at all is a failure."""
    refused = "#{:02x}{:02x}{:02x}".format(*REFUSED_COLOR)
    options = {"codec": "ffv1", "pixel_format": "bgr0"}
    write_video(photos / "a.mkv", ((refused, 3), ("cyan", 3)), **options)
    write_video(photos / "b.mkv", ((refused, 3),), **options)
    assert index_folder(opened, photos, model) == RunSummary(added=4, failed=1)
    assert first(opened, "cyan").seconds == 3.0
    (failure,) = opened.failures()
    assert (Path(failure.path).name, failure.stage) == ("b.mkv", "embed")


def test_without_the_extra_videos_are_counted(
    run: RunCommand, opened: Library, clips: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One note says how to get them; none is a failure, and those that are known stay."""
    write_video(clips / "other.mp4", (("gold", 2),))
    index_folder(opened, clips, model, exclude=("other.mp4",))
    has = optional_decoders.is_installed
    with monkeypatch.context() as patched:
        patched.setattr(optional_decoders, "is_installed", lambda it: it != "video" and has(it))
        result = run("index", clips, "--model", model)
        assert "1 videos left out; to read them: pip install -e '.[video]'" in result.stderr
        assert opened.failures() == []
        assert first(opened, "purple").seconds == 8.0
    result = run("index", clips, "--model", model, "--no-video")
    assert "videos left out" not in result.stderr
    assert index_folder(opened, clips, model) == RunSummary(added=1, unchanged=4)


def test_workers_read_videos_too(tmp_path: Path, clips: Path, model: Path) -> None:
    """In processes of their own, with their frames and times."""

    def start_many(job: object, files: int, wanted: int | None) -> ReplicaPool:
        from dataclasses import replace

        return ReplicaPool(
            replace(job, engine="support.fake_engine:FakeEngine", starts_early=True),
            make_environments(2),
        )

    for number in range(5):
        write_video(clips / f"{number}.mp4", (("gold", 2 + number), ("gray", 2)))
    with Library.open(tmp_path / "many", create=True, start_many=start_many) as library:
        assert index_folder(library, clips, model).added == 9
    with Library.open(tmp_path / "many", start=FakeEngine) as library:
        assert first(library, "purple").seconds == 8.0
        times = {
            hit.seconds
            for hit in library.search(Query("gray"), SearchOptions(where="path like '%_.mp4'"))
        }
        assert {2.0, 3.0, 4.0, 5.0, 6.0} <= times
        assert library.info().collections[0].images == 3 + 3 + 5 * 2


def test_a_run_that_is_killed_loses_and_doubles_nothing(
    clips: Path, model: Path, tmp_path: Path
) -> None:
    """A video's frames come together, or not at all."""
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
    arguments = [str(TESTS), tmp_path / "library", clips, model]
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], check=False
    )
    assert result.returncode == -9
    with Library.open(tmp_path / "library", start=FakeEngine) as library:
        embedded = library.info().collections[0].images
        assert embedded <= 3, "of the video, nothing"
        assert index_folder(library, clips, model).added == 4 - embedded
        assert library.info().collections[0].images == 6
        assert first(library, "yellow").seconds == 4.0
        assert list(library.check()) == []


def test_events_and_exit_after_a_broken_video(opened: Library, clips: Path, model: Path) -> None:
    """It is a failure with a reason, and the others are embedded."""
    (clips / "bad.mov").write_bytes(b"\0\0\0\x18ftypqt  " + bytes(100))
    write_sound_only(clips / "sound.mp4")
    events = list(opened.index([clips], IndexOptions(str(model))))
    failed = {Path(e.failure.path).name for e in events if isinstance(e, FileFailed)}
    assert failed == {"bad.mov", "sound.mp4"}
    assert isinstance(events[0], ScanFinished) and events[0].skipped_videos == 0
    assert isinstance(events[-1], RunFinished) and events[-1].summary.added == 4


def test_the_list_the_json_and_the_sheet_say_when(
    run: RunCommand, clips: Path, model: Path, tmp_path: Path
) -> None:
    """`clip.mp4 @ 0:08` for people, seconds for programs, a link to play from there."""
    run("index", clips, "--model", model)
    assert run("query", "purple", "-k", 1).stdout.strip().endswith("clip.mp4 @ 0:08")
    (hit,) = json.loads(run("query", "purple", "-k", 1, "--json").stdout)
    assert (hit["seconds"], hit["moments"], hit["companions"]) == (8.0, [], [])
    run("query", "purple", "-k", 1, "--html", tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    assert "clip.mp4#t=8" in page and "clip.mp4 @ 0:08" in page and "data:image/jpeg" in page


def test_videos_are_no_duplicates_and_on_the_map(
    run: RunCommand, clips: Path, model: Path, tmp_path: Path
) -> None:
    """Copies of a video are not told; the map shows its frames, beside the pictures."""
    shutil.copy(clips / "clip.mp4", clips / "copy.mp4")
    run("index", clips, "--model", model)
    assert "no duplicates; 3 pictures compared" in run("duplicates").stderr
    told = json.loads(run("map", "--html", tmp_path / "map.html", "--json").stdout)
    assert (told["pictures"], told["left_out"]) == (6, 0)


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0:00"), (83.9, "1:23"), (3723, "1:02:03"), (36000, "10:00:00")]
)
def test_clock(seconds: float, told: str) -> None:
    assert format_clock(seconds) == told


def test_the_server_shows_frames_and_plays_parts(
    opened: Library, clips: Path, model: Path, tmp_path: Path
) -> None:
    """A thumbnail and a picture of the frame; the video itself by ranges; and of no picture."""
    index_folder(opened, clips, model)
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
        other = next(it for it in rest if it["seconds"] is None)
        assert httpx.get(f"{url}/api/videos/{other['id']}").status_code == 400
        assert httpx.get(f"{url}/api/videos/99999").status_code == 404
        like = httpx.get(f"{url}/api/similar/{hit['id']}").json()["hits"]
        assert (like[0]["id"], like[0]["seconds"]) == (hit["id"], 8.0)


def _middle(data: bytes) -> tuple[int, ...]:
    from searchapp.pictures import decode

    image = decode.decode_thumbnail(data, 64)
    return image.getpixel((image.width // 2, image.height // 2))


def test_nothing_of_it_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is larger than any picture may be is hashed and read in parts."""
    file = write_video(tmp_path / "a.mp4")
    with file.open("ab") as opened:  # a box of nothing, to the end of the file
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
