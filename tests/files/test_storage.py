"""Pictures in object storage: S3 (served by moto), and the folders of an HTTP server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_engine import FakeEngine
from support.library import FakeEngines, RunCommand, index_folder
from support.live_server import serve_library
from support.metadata_files import make_xmp
from support.object_storage import (
    Bucket,
    FakeObjectListing,
    ListingHandler,
    new_bucket,
    run_s3_server,
    serve_folder,
)
from support.paths import ROOT, TESTS
from support.sample_pictures import save_picture
from support.video_files import write_video

from searchapp.catalog import FileTask
from searchapp.errors import FolderError, PictureError
from searchapp.files import scan, storage
from searchapp.files.bucket import BucketStore, ListingPage, PageRequest
from searchapp.files.file_state import make_state
from searchapp.files.gcs import GcsStore
from searchapp.files.ignore_rules import IgnoreRules
from searchapp.files.merge_iterators import merge_iterators
from searchapp.files.roots import resolve_roots
from searchapp.files.s3 import S3Store
from searchapp.indexing.embedding.prefetch import MAX_PREFETCHED_FILES, Prefetcher
from searchapp.library import Library
from searchapp.types import FileFailed, IndexOptions, Query, RunSummary, SearchOptions

MODULE_PATH = os.pathsep.join([str(TESTS), str(ROOT)])


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An S3 server for all tests of this module."""
    with pytest.MonkeyPatch.context() as patch, run_s3_server(patch) as url:
        yield url


@pytest.fixture
def bucket(store: str) -> Bucket:
    """A new bucket for one test."""
    return new_bucket()


@pytest.fixture
def full(bucket: Bucket, photos: Path) -> Bucket:
    """A bucket with a red, a green and a blue picture."""
    bucket.put_folder(photos)
    return bucket


def search_paths(library: Library, text: str, **wanted: Any) -> list[str]:
    hits = library.search(Query(text), SearchOptions(min_score=0.99, **wanted))
    return [path for hit in hits for path in (hit.path, *hit.also)]


# Indexing


def test_a_bucket_is_indexed_like_a_folder(
    opened: Library, full: Bucket, model: Path, fake_engines: FakeEngines
) -> None:
    """A second run reads nothing, with or without a final slash."""
    assert index_folder(opened, full.url, model) == RunSummary(added=3)
    assert search_paths(opened, "blue") == [f"{full.url}/below/blue.jpg"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "read_file", lambda *_: pytest.fail("something was read"))
        assert index_folder(opened, f"{full.url}/", model) == RunSummary(unchanged=3)
    assert fake_engines.embedded_count == 3


def test_changed_moved_and_deleted_objects_are_detected(
    opened: Library, full: Bucket, model: Path, photos: Path, fake_engines: FakeEngines
) -> None:
    """A changed object is embedded again; a moved one is not."""
    index_folder(opened, full.url, model)
    full.put_object("red.jpg", save_picture(photos / "purple.jpg", "purple"))
    full.put_object("elsewhere/green.png", photos / "green.png")
    full.remove_objects("green.png", "below/blue.jpg")
    assert index_folder(opened, full.url, model) == RunSummary(
        added=1, unchanged=0, moved=1, removed=1
    )
    assert fake_engines.embedded_count == 4
    assert search_paths(opened, "purple") == [f"{full.url}/red.jpg"]
    assert search_paths(opened, "green") == [f"{full.url}/elsewhere/green.png"]
    assert search_paths(opened, "red") == search_paths(opened, "blue") == []


def test_two_objects_of_one_size_and_second_differ_by_their_tags() -> None:
    """A time may have milliseconds or not; a tag may have quotes or not."""
    moment = datetime(2026, 1, 1, 12, 0, 0, 345000, tzinfo=UTC)
    state = make_state(10, moment, '"abc"')
    assert state == make_state(10, moment.replace(microsecond=0), "abc")
    assert state != make_state(10, moment, '"abd"')
    assert state.mtime_ns // 10**9 == int(moment.timestamp())


def test_keys_are_not_url_encoded(
    opened: Library, bucket: Bucket, model: Path, photos: Path
) -> None:
    """Characters with a meaning in URLs and repeated slashes are parts of keys."""
    names = ("a b#c%20é+&.jpg", "x?y=1.jpg", "/double//slash.jpg", "ends.in.dots..jpg")
    urls = {bucket.put_object(f"in/{name}", (photos / "red.jpg").read_bytes()) for name in names}
    bucket.put_object("in/folder/", b"")
    assert index_folder(opened, f"{bucket.url}/in", model).added == 4
    assert set(search_paths(opened, "red")) == urls
    for url in urls:
        assert storage.read_file(url)[0] == (photos / "red.jpg").read_bytes()


def test_buckets_skip_the_same_files_as_folders(
    opened: Library, full: Bucket, model: Path, photos: Path
) -> None:
    """Hidden objects, system files and ignore rules. Objects without a suffix are read."""
    data = (photos / "red.jpg").read_bytes()
    for key in (".hidden/x.jpg", "@eaDir/x.jpg", "Thumbs.db", "below/Out/x.jpg", "notes.txt"):
        full.put_object(key, data)
    full.put_object("nameless", save_picture(photos / "x.png", "white"))
    full.put_object("text", b"no picture")
    assert (
        index_folder(opened, full.url, model, exclude=("Out/",), include=("*.jpg", "name*")).added
        == 3
    )
    assert search_paths(opened, "white") == [f"{full.url}/nameless"]


def test_damaged_objects_are_failures(
    opened: Library, full: Bucket, model: Path, photos: Path
) -> None:
    """They affect no other object, and are not tried again until they change."""
    full.put_object("empty.jpg", b"")
    full.put_object("broken.jpg", (photos / "red.jpg").read_bytes()[:300])
    assert index_folder(opened, full.url, model) == RunSummary(added=3, failed=2)
    assert {(it.path, it.stage) for it in opened.failures()} == {
        (f"{full.url}/empty.jpg", "read"),
        (f"{full.url}/broken.jpg", "decode"),
    }
    assert index_folder(opened, full.url, model) == RunSummary(unchanged=3)


def test_sidecars_and_companions_are_found_by_name(
    opened: Library, full: Bucket, model: Path, run: RunCommand
) -> None:
    """The rating in a sidecar is found; a film with the name of a picture is a companion."""
    stars = make_xmp('xmp:Rating="4"')
    full.put_object("red.jpg.xmp", stars)
    full.put_object("red.mov", b"a film")
    assert index_folder(opened, full.url, model).added == 3
    (hit,) = opened.search(Query("red"), SearchOptions(rating="4"))
    assert (hit.path, hit.companions) == (f"{full.url}/red.jpg", (f"{full.url}/red.mov",))
    full.put_object("red.jpg.xmp", stars.replace(b'"4"', b'"5"'))
    assert index_folder(opened, full.url, model).described == 1
    assert opened.search(Query("red"), SearchOptions(rating="5"))


def test_filters_by_folder_know_buckets(opened: Library, full: Bucket, model: Path) -> None:
    index_folder(opened, full.url, model)
    for folder in (f"{full.url}/below", f"{full.url}/below/"):
        assert search_paths(opened, "blue", folder=folder)
        assert not search_paths(opened, "red", folder=folder)
    names = [name for name, _ in opened.count_facets().folders.values]
    assert set(names) == {full.url, f"{full.url}/below"}


def test_a_single_object_can_be_named(
    opened: Library, full: Bucket, model: Path, photos: Path
) -> None:
    """Only this object is indexed; a folder can have the suffix of a picture."""
    full.put_object("album.jpg/red.jpg", photos / "red.jpg")
    assert index_folder(opened, f"{full.url}/below/blue.jpg", model).added == 1
    assert index_folder(opened, f"{full.url}/below/blue.jpg", model).unchanged == 1
    assert index_folder(opened, f"{full.url}/album.jpg", model).added == 1
    assert sorted(search_paths(opened, "blue")) == [f"{full.url}/below/blue.jpg"]
    with pytest.raises(FolderError, match="no files can be listed at this URL"):
        index_folder(opened, f"{full.url}/nowhere.jpg", model)


# Errors


def test_a_missing_or_empty_bucket_is_an_error(opened: Library, full: Bucket, model: Path) -> None:
    """The catalog keeps all files."""
    with pytest.raises(FolderError, match="no files can be listed at this URL"):
        index_folder(opened, f"{full.url}/nowhere", model)
    with pytest.raises(FolderError, match="no files can be listed at this URL"):
        index_folder(opened, "s3://no-such-bucket", model)
    index_folder(opened, full.url, model)
    full.remove_objects("red.jpg", "green.png", "below/blue.jpg")
    with pytest.raises(FolderError, match="no files can be listed at this URL"):
        index_folder(opened, full.url, model)
    full.put_object("notes.txt", b"a text")
    with pytest.raises(
        FolderError, match=r"the library knows 3 pictures in it\. Nothing was changed"
    ):
        index_folder(opened, full.url, model)
    assert opened.info().files == 3
    assert index_folder(opened, full.url, model, prune=True).removed == 3


def test_many_vanished_objects_are_kept(
    opened: Library, bucket: Bucket, model: Path, photos: Path
) -> None:
    """As on an unmounted drive, unless an ignore rule excludes them."""
    for number in range(30):
        bucket.put_object(
            f"{number % 2}/{number}.png", save_picture(photos / "x.png", "red", mark=number + 1)
        )
    assert index_folder(opened, bucket.url, model).added == 30
    assert index_folder(opened, bucket.url, model, exclude=("1/",)).removed == 15
    assert index_folder(opened, bucket.url, model).moved == 0
    bucket.remove_objects(*(f"1/{number}.png" for number in range(1, 30, 2)))
    assert index_folder(opened, bucket.url, model).kept == 15
    assert index_folder(opened, bucket.url, model, prune=True).removed == 15


def test_an_incomplete_listing_removes_nothing(
    opened: Library, full: Bucket, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that were not listed may still exist."""
    index_folder(opened, full.url, model)
    ask = S3Store._fetch_page

    def broken(self: S3Store, asked: PageRequest) -> ListingPage:
        if asked.max_keys > 1 and not asked.is_folded:
            raise OSError(5, "the line is dead")
        return ask(self, asked)

    full.put_object("new.jpg", b"")
    monkeypatch.setattr(S3Store, "_fetch_page", broken)
    with pytest.raises(FolderError, match="the library knows 3 pictures in it"):
        index_folder(opened, full.url, model)
    monkeypatch.undo()
    assert opened.info().files == 3


def test_the_next_run_retries_failed_fetches(
    opened: Library, full: Bucket, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture deleted since the listing is a read failure, not a fetch failure."""
    read = S3Store.read_bytes

    def fails(self: S3Store, url: str, most: int) -> bytes:
        if "blue" in url:
            raise OSError(5, "slow down")
        if "green" in url:
            raise FileNotFoundError(url)
        return read(self, url, most)

    monkeypatch.setattr(S3Store, "read_bytes", fails)
    assert index_folder(opened, full.url, model) == RunSummary(added=1, failed=2)
    told = {Path(it.path).name: (it.message, it.stage) for it in opened.failures()}
    assert told == {
        "blue.jpg": ("the file cannot be fetched: slow down", "fetch"),
        "green.png": ("the file no longer exists", "read"),
    }
    monkeypatch.undo()
    assert index_folder(opened, full.url, model) == RunSummary(added=1, unchanged=1)


def test_an_unreachable_store_ends_the_run(
    opened: Library, bucket: Bucket, model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a run would report a failure for each of a million pictures."""
    for number in range(120):
        bucket.put_object(
            f"{number:03}.png", save_picture(photos / "x.png", "red", mark=number + 1)
        )
    read, given = S3Store.read_bytes, list[str]()

    def fails(self: S3Store, url: str, most: int) -> bytes:
        if len(given) >= 20:
            raise OSError(5, "no route to host")
        given.append(url)
        return read(self, url, most)

    monkeypatch.setattr(S3Store, "read_bytes", fails)
    with pytest.raises(
        FolderError,
        match=r"no route to host\. The 49 files before this file failed, too\..*to continue",
    ):
        index_folder(opened, bucket.url, model, batch_size=8)
    monkeypatch.undo()
    before = opened.info().files
    assert before == len(given)
    assert index_folder(opened, bucket.url, model) == RunSummary(
        added=120 - before, unchanged=before
    )


def test_an_object_that_changes_while_it_is_read_is_a_failure(full: Bucket, photos: Path) -> None:
    """If its length shows the change; otherwise the next listing detects it."""
    url = f"{full.url}/red.jpg"
    state = storage.read_file(url)[1]
    full.put_object("red.jpg", b"longer than it was" * 1000)
    with pytest.raises(PictureError, match="changed while it was being read"):
        storage.read_file(url, state)
    with pytest.raises(PictureError, match="changed while"), storage.open_file(url) as (file, _):
        file.read(10)
        full.put_object("red.jpg", b"x")
    with pytest.raises(PictureError, match=r"the file has \d+ MiB; the limit is"):
        storage.read_file(url, replace(state, size=storage.MAX_PICTURE_BYTES + 1))


def test_listing_errors_are_one_line(
    run: RunCommand, full: Bucket, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No credentials, an extra that is not installed, an unknown scheme."""
    said = run("index", "ftp://host/photos", "--model", model)
    assert said.exit_code == 1
    assert "no such folder; URLs must begin with one of s3://, gs://" in str(said.exception)
    with monkeypatch.context() as patch:
        patch.delenv("AWS_ACCESS_KEY_ID")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("HOME", "/nowhere")
        storage.clear_store_cache()
        said = run("index", full.url, "--model", model)
        assert "Unable to locate credentials. Set them as for the aws command" in str(
            said.exception
        )
    with monkeypatch.context() as patch:
        patch.setattr(storage, "find_spec", lambda name: None)
        storage.clear_store_cache()
        said = run("index", full.url, "--model", model)
        assert (
            "s3:// URLs need an extra that is not installed. Install it: pip install -e '.[s3]'"
            in str(said.exception)
        )
    storage.clear_store_cache()
    said = run("watch", full.url)
    assert "object stores and web servers do not report changes" in str(said.exception)


def test_a_local_folder_needs_no_store(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_get_store", lambda url: pytest.fail(f"{url} was asked for"))
    assert index_folder(opened, photos, model).added == 3


# Use of hits


def test_hits_are_copied_and_shown(
    run: RunCommand, full: Bucket, model: Path, tmp_path: Path, photos: Path
) -> None:
    """Copies have the bytes and time of the object; links are refused; pages show pictures."""
    assert run("index", full.url, "--model", model).exit_code == 0
    copied = tmp_path / "copied"
    assert "copied 1 picture " in run("query", "red", "-k", "1", "--copy-to", copied).stderr
    assert (copied / "red.jpg").read_bytes() == (photos / "red.jpg").read_bytes()
    assert abs((copied / "red.jpg").stat().st_mtime - time.time()) < 60
    assert "copied 0 pictures" in run("query", "red", "-k", "1", "--copy-to", copied).stderr
    said = run("query", "red", "-k", "1", "--link-to", tmp_path / "linked")
    assert str(said.exception).startswith("cannot create a link to ")
    assert ": it is in object storage. Use --copy-to" in str(said.exception)
    page = tmp_path / "found.html"
    assert run("query", "red", "-k", "1", "--html", page).exit_code == 0
    assert f'<a href="{full.url}/red.jpg"><img src="data:image' in page.read_text()
    assert run("query", "red", "--paths", "-k", "1").stdout == f"{full.url}/red.jpg\n"
    assert run("map", "--html", tmp_path / "map.html").exit_code == 0
    said = run("query", "--image", f"{full.url}/red.jpg", "-k", "1", "--json")
    assert json.loads(said.stdout)[0]["path"] == f"{full.url}/red.jpg"
    said = run("query", "--image", f"{full.url}/none.jpg")
    assert f"{full.url}/none.jpg: the file no longer exists" in str(said.exception)


def test_check_and_prune_ask_the_store(
    run: RunCommand, full: Bucket, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deleted object is missing; an object whose store fails is not."""
    run("index", full.url, "--model", model)
    assert "no faults found" in run("check").stderr
    full.remove_objects("red.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(
            S3Store, "read_state", lambda self, url: (_ for _ in ()).throw(OSError(5, "away"))
        )
        assert run("prune", "--missing").stderr.startswith("0 vanished files")
    assert run("prune", "--missing").stderr.startswith(
        "1 vanished file, 1 image with 1 embedding removed"
    )


def test_the_duplicates_script_moves_no_objects(
    run: RunCommand, full: Bucket, model: Path, photos: Path, tmp_path: Path
) -> None:
    """The script moves local files; objects are comments in it."""
    full.put_object("copies/red copy.jpg", photos / "red.jpg")
    run("index", full.url, "--model", model)
    script, page = tmp_path / "script.sh", tmp_path / "page.html"
    said = run("duplicates", "--json", "--script", script, "--html", page)
    (group,) = json.loads(said.stdout)["groups"]
    assert group["others"][0]["path"] == f"{full.url}/copies/red copy.jpg"
    assert f"# this script cannot move: {full.url}/copies/red copy.jpg" in script.read_text()
    assert f'href="{full.url}/copies/red%20copy.jpg"' in page.read_text()


def test_the_page_shows_pictures_and_plays_videos(
    full: Bucket, model: Path, tmp_path: Path
) -> None:
    """Thumbnails, pictures and byte ranges of a video, from the store."""
    clip = write_video(tmp_path / "clip.mp4")
    full.put_object("clip.mp4", clip)
    with Library.open(tmp_path / "library", create=True, start=FakeEngine) as opened:
        assert index_folder(opened, full.url, model).added == 4
        (hit,) = opened.search(Query("lime"), SearchOptions(min_score=0.9, count=1))
        (red,) = opened.search(Query("red"), SearchOptions(count=1, format="jpeg"))
    assert (hit.path, hit.seconds) == (f"{full.url}/clip.mp4", 8.0)
    with serve_library(tmp_path / "library", lambda spec: FakeEngine(spec)) as url:
        for path in (f"thumbnails/{red.image_id}", f"thumbnails/{hit.image_id}"):
            answer = httpx.get(f"{url}/api/{path}", timeout=30)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
        shown = httpx.get(f"{url}/api/images/{red.image_id}")
        assert shown.content == storage.read_file(red.path)[0]
        data, video = clip.read_bytes(), f"{url}/api/videos/{hit.image_id}"
        assert httpx.get(video).content == data
        for wanted, part, said in (
            ("bytes=5-9", data[5:10], f"bytes 5-9/{len(data)}"),
            ("bytes=-4", data[-4:], f"bytes {len(data) - 4}-{len(data) - 1}/{len(data)}"),
            ("bytes=7-", data[7:], f"bytes 7-{len(data) - 1}/{len(data)}"),
        ):
            answer = httpx.get(video, headers={"Range": wanted})
            assert (answer.status_code, answer.content) == (206, part)
            assert answer.headers["content-range"] == said
        assert httpx.get(video, headers={"Range": "bytes=99999999-"}).status_code == 416


def test_an_export_is_imported_into_another_library(
    run: RunCommand, full: Bucket, site: str, model: Path, tmp_path: Path
) -> None:
    """Objects count at once; web files are recognized by content when they are indexed."""
    run("index", full.url, site, "--model", model)
    assert run("export", tmp_path / "all.json").exit_code == 0
    (tmp_path / "library").rename(tmp_path / "before")
    assert run("import", tmp_path / "all.json").exit_code == 0
    found = json.loads(run("query", "red", "-k", "1", "--json").stdout)
    assert (found[0]["path"], found[0]["also"]) == (f"{full.url}/red.jpg", [])
    assert "3 added" in run("index", site).stderr
    (hit,) = json.loads(run("query", "red", "-k", "1", "--json").stdout)
    # The older copy comes first; the objects and the files may be of the same second.
    assert {hit["path"], *hit["also"]} == {f"{full.url}/red.jpg", f"{site}/red.jpg"}


# Listing


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("ab/-.é", min_size=1, max_size=7), max_size=60, unique=True),
    st.sampled_from(["", "a", "a/b"]),
    st.sampled_from([S3Store, GcsStore]),
)
def test_a_list_in_parts_is_complete(keys: list[str], below: str, kind: type[BucketStore]) -> None:
    """However the list is divided, no key is missing and none comes twice."""
    prefix = f"{below}/" if below else ""
    expected = sorted(k for k in keys if k.startswith(prefix) and not k.endswith("/"))
    bucket, store = f"{kind.SCHEME}bucket/", kind(FakeObjectListing(keys))
    listed = store.list_files(f"{bucket}{below}".rstrip("/"), lambda url: True)
    assert sorted(it.path.removeprefix(bucket) for it in listed) == expected
    assert store.has_files(f"{bucket}{below}".rstrip("/")) == any(
        key.startswith(prefix) or key == below for key in keys
    )


def test_a_list_is_divided_by_all_its_folders() -> None:
    """Also by folders beyond the first page: otherwise most keys would be in the last part."""
    keys = [f"{folder:03}/{number}" for folder in range(200) for number in range(3)]
    bounds = S3Store(FakeObjectListing(keys))._find_boundaries("bucket", "")
    assert len(bounds) > 50
    assert bounds[-1] >= "195/"


def test_a_failed_part_is_reported_and_the_others_are_listed() -> None:
    keys = [f"{folder}/{number}" for folder in "abcdefgh" for number in range(20)]
    told = list(
        S3Store(FakeObjectListing(keys, failing_request=12)).list_files(
            "s3://bucket", lambda url: True
        )
    )
    failed = [it for it in told if isinstance(it, storage.ListingFailure)]
    assert failed
    assert {(it.path, it.reason) for it in failed} == {("s3://bucket", "the line is dead")}
    assert 0 < len(told) - len(failed) < len(keys)


def test_a_listing_stops_when_its_reader_stops() -> None:
    """A bucket of any size needs the memory of a few pages."""
    fake = FakeObjectListing([f"{number:05}" for number in range(3000)])
    listed = S3Store(fake).list_files("s3://bucket", lambda url: True)
    next(iter(listed))
    time.sleep(0.3)
    assert fake.request_count < 40
    listed.close()  # type: ignore[attr-defined]


def test_merge_iterators_raises_the_error_of_an_iterator() -> None:
    """After the items that came before it."""

    def fails() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(merge_iterators([fails, lambda: iter([2])], 2))


# Fetching


def test_prefetching_is_ordered_and_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pictures are fetched during decoding; at most MAX_PREFETCHED_FILES are in memory."""
    under_way, most, order, lock = 0, 0, list[str](), threading.Lock()
    enough = threading.Event()

    def read(path: str, known: storage.FileState) -> tuple[bytes, storage.FileState]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            order.append(path)
            if under_way == MAX_PREFETCHED_FILES:
                enough.set()
        assert enough.wait(20)  # Blocks until the maximum is in flight.
        if path.endswith("7"):
            raise PictureError("cannot be fetched", "fetch")
        return path.encode(), known

    monkeypatch.setattr(storage, "read_file", read)
    fetching = Prefetcher()
    works = [FileTask(f"s3://bucket/{number}", number, 0, None) for number in range(100)]
    takes = [fetching.start_fetch(work) for work in works]
    assert enough.wait(20)
    time.sleep(0.05)
    assert len(order) == MAX_PREFETCHED_FILES  # The others wait until a picture is taken.
    for work, take in zip(works, takes, strict=True):
        if work.path.endswith("7"):
            with pytest.raises(PictureError):
                take()
        else:
            assert take()[0] == work.path.encode()
        with lock:
            under_way -= 1
    assert most == MAX_PREFETCHED_FILES
    assert sorted(order) == sorted(work.path for work in works)
    fetching.close()


# Folders of an HTTP server


@pytest.fixture
def site(photos: Path) -> Iterator[str]:
    """The photos on a web server that lists its folders."""
    with serve_folder(photos.parent) as url:
        yield f"{url}/photos"


def test_folders_of_a_web_server_are_indexed(
    opened: Library, photos: Path, site: str, model: Path, fake_engines: FakeEngines
) -> None:
    """Files are recognized by size and date; hidden folders are not listed."""
    save_picture(photos / "a b & c#1.png", "purple")
    save_picture(photos / ".hidden" / "x.png", "white")
    assert index_folder(opened, site, model) == RunSummary(added=4)
    assert search_paths(opened, "purple") == [f"{site}/a%20b%20%26%20c%231.png"]
    assert search_paths(opened, "blue") == [f"{site}/below/blue.jpg"]
    assert index_folder(opened, site, model) == RunSummary(unchanged=4)
    later = time.time() + 100
    save_picture(photos / "red.jpg", "yellow")
    os.utime(photos / "red.jpg", (later, later))
    (photos / "green.png").unlink()
    assert index_folder(opened, site, model) == RunSummary(added=1, unchanged=2, removed=1)
    with pytest.raises(FolderError, match="no files can be listed at this URL"):
        index_folder(opened, f"{site}/nowhere", model)
    assert storage.path_to_uri(f"{site}/red.jpg") == f"{site}/red.jpg"


def test_a_server_that_fails_loses_no_file(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only 404 and 410 mean that a file is gone; other answers and a silent server do not."""
    gone, kept = f"{site}/none.jpg", f"{site}/red.jpg"
    unreachable = ["http://127.0.0.1:9/x.jpg", "http://[/x.jpg", "http://host:99999/x.jpg"]
    assert list(storage.find_missing([gone, kept, *unreachable])) == [gone]
    for url in unreachable:
        with pytest.raises(PictureError, match="the file cannot be fetched") as raised:
            storage.read_state(url)
        assert raised.value.stage == "fetch"
    monkeypatch.setattr(ListingHandler, "do_HEAD", lambda handler: handler.send_error(503))
    monkeypatch.setattr(ListingHandler, "do_GET", lambda handler: handler.send_error(503))
    assert list(storage.find_missing([kept])) == []


def test_a_bad_bucket_name_is_explained(store: str) -> None:
    """The message of the store's client library is complete, in one line."""
    with pytest.raises(FolderError, match=r"cannot be listed: .*[Ii]nvalid bucket name") as raised:
        resolve_roots(["s3://[/x"])
    assert "\n" not in str(raised.value)


def test_a_password_in_a_url_is_refused(
    opened: Library, site: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are stored and shown, so fsspec's settings must carry the password."""
    with pytest.raises(FolderError, match="Remove it from the URL") as raised:
        index_folder(opened, site.replace("://", "://me:secret@"), model)
    assert "secret" not in str(raised.value)
    get, head = ListingHandler.do_GET, ListingHandler.do_HEAD

    def asks(answer: Any) -> Any:
        def answered(self: ListingHandler) -> None:
            if self.headers["Authorization"] == "Bearer secret":
                answer(self)
            else:
                self.send_error(401)

        return answered

    monkeypatch.setattr(ListingHandler, "do_GET", asks(get))
    monkeypatch.setattr(ListingHandler, "do_HEAD", asks(head))
    with pytest.raises(FolderError, match="cannot be listed: the server answers 401"):
        index_folder(opened, site, model)
    headers = json.dumps({"headers": {"Authorization": "Bearer secret"}})
    monkeypatch.setenv("FSSPEC_HTTPS", headers)
    environment = {**os.environ, "SEARCHAPP_LIBRARY": str(opened.folder), "PYTHONPATH": MODULE_PATH}
    code = f"""
from searchapp.files import storage
from searchapp.files.scan import walk_folder
print(sum(len(storage.read_file(it.path)[0]) > 0 for it in walk_folder({site!r})))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "3\n", done.stderr


def test_an_unreadable_web_folder_is_reported(
    opened: Library, photos: Path, site: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog keeps the files below it."""
    index_folder(opened, site, model)
    send = ListingHandler.list_directory
    monkeypatch.setattr(
        ListingHandler,
        "list_directory",
        lambda self, path: self.send_error(403) if "below" in str(path) else send(self, path),
    )
    events = list(opened.index([site], IndexOptions(model=str(model))))
    (failed,) = [event.failure for event in events if isinstance(event, FileFailed)]
    assert (failed.path, failed.stage) == (f"{site}/below", "scan")
    assert "403" in failed.message
    assert opened.info().files == 3


def test_the_depth_of_web_folders_is_limited(monkeypatch: pytest.MonkeyPatch, site: str) -> None:
    """Each folder of this server links to one more."""
    asked = list[str]()

    def endless(self: ListingHandler) -> None:
        asked.append(self.path)
        body = b'<a href="deeper/">deeper</a>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    monkeypatch.setattr(ListingHandler, "do_GET", endless)
    assert list(scan.walk_folder(site)) == []
    assert len(asked) < 50


def test_ignore_rules_apply_to_urls() -> None:
    rules = IgnoreRules.from_options("s3://b/r", ("*.jpg",), ("out/",))
    for path, wanted in (("x.jpg", True), ("out/x.jpg", False), ("in/x.png", False)):
        assert scan.is_wanted(f"s3://b/r/{path}", "s3://b/r", rules) == wanted
