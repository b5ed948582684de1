"""The zip of original files: streamed, with safe names, and complete although files are gone."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.api import search_api
from support.library import FakeEngines, index_folder
from support.live_server import serve_library
from support.sample_pictures import save_picture
from support.video_files import write_video

from searchapp.catalog import LocatedImage
from searchapp.errors import PictureError, QueryError
from searchapp.library import Library
from searchapp.server import picture_zip
from searchapp.server.guard import AccessRules
from searchapp.server.picture_zip import stream_zip
from searchapp.server.zip_names import UniqueNames, make_safe_name
from searchapp.server.zip_request import choose_zip_images
from searchapp.types import CatalogedFile, PictureInfo, Query


def make_image(image_id: int, *paths: str, size: int = 10) -> LocatedImage:
    files = tuple(CatalogedFile(path, size, 1_600_000_000 * 10**9) for path in paths)
    info = PictureInfo(format="JPEG", width=1, height=1)
    return LocatedImage(image_id, "k", "s", info, image_id, None, files)


def find_ids(client: Any) -> dict[str, int]:
    return {hit["name"]: hit["id"] for hit in search_api(client, text="red").json()["hits"]}


def load_zip(answer: Any) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        return {name: archive.read(name) for name in archive.namelist()}


def test_zip_has_the_original_files(client: Any, photos: Path, tmp_path: Path) -> None:
    """Each file once, with its bytes and its time, and without its folder."""
    ids = find_ids(client)
    numbers = f"{ids['blue.jpg']},{ids['red.jpg']},{ids['blue.jpg']}"
    answer = client.get(f"/api/v1/zip?ids={numbers}", headers={"Accept-Encoding": "gzip"})
    assert load_zip(answer) == {
        "blue.jpg": (photos / "below/blue.jpg").read_bytes(),
        "red.jpg": (photos / "red.jpg").read_bytes(),
    }
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="2-pictures.zip"'
    assert "content-encoding" not in answer.headers
    assert str(photos).encode() not in answer.content
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        changed_at = archive.getinfo("red.jpg").date_time
    assert abs(changed_at[0] - 2026) <= 100 and changed_at[1] in range(1, 13)
    head = client.head(f"/api/v1/zip?ids={numbers}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-disposition"] == answer.headers["content-disposition"]


def test_other_programs_read_the_zip(client: Any, tmp_path: Path) -> None:
    """Sizes and checksums follow the content, which unzip -t accepts, too."""
    ids = ",".join(map(str, find_ids(client).values()))
    (tmp_path / "x.zip").write_bytes(client.get(f"/api/v1/zip?ids={ids}").content)
    for command in (["unzip", "-tq"], ["bsdtar", "-tf"], ["7z", "t"]):
        try:
            done = subprocess.run(
                [*command, str(tmp_path / "x.zip")], capture_output=True, check=False
            )
        except FileNotFoundError:
            continue
        assert done.returncode == 0, done.stdout + done.stderr


def test_files_that_are_gone_are_named(client: Any, photos: Path) -> None:
    """A vanished file, a changed file and an unknown id do not break the zip."""
    ids = find_ids(client)
    (photos / "below/blue.jpg").unlink()
    save_picture(photos / "green.png", "yellow")
    numbers = ",".join(map(str, [*ids.values(), 99]))
    files = load_zip(client.get(f"/api/v1/zip?ids={numbers}"))
    assert set(files) == {"red.jpg", "missing.txt"}
    lines = files["missing.txt"].decode().splitlines()
    assert lines[:2] == ["These files are not in this zip, or not completely:", ""]
    assert lines[2] == "image 99: the library has no file of it"
    assert "blue.jpg: No such file or directory" in lines
    assert "green.png: the file changed since it was indexed; run `searchapp index` again" in lines
    assert str(photos) not in files["missing.txt"].decode()


def test_zip_without_any_file_is_refused(client: Any, photos: Path) -> None:
    """A zip with nothing but missing.txt looks like a download that worked."""
    ids = find_ids(client)
    (photos / "below/blue.jpg").unlink()
    (photos / "green.png").unlink()
    address = f"/api/v1/zip?ids={ids['blue.jpg']},{ids['green.png']}"
    answer = client.get(address)
    assert (answer.status_code, client.head(address).status_code) == (404, 404)
    assert "no file of these images exists any more" in answer.json()["detail"]


def test_private_file_that_an_import_names_is_left_out(tmp_path: Path) -> None:
    """Even if the import has its real hash, it is no picture."""
    secret = tmp_path / "id_rsa"
    secret.write_text("the private key of the user")
    image = replace(
        make_image(7, str(secret)), sha256=hashlib.sha256(secret.read_bytes()).hexdigest()
    )
    content = b"".join(stream_zip([image], []))
    assert b"private key" not in content
    assert b"id_rsa: not a picture" in content


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("ids=99", 404, "the library has none of these images"),
        ("", 422, "ids"),
        ("ids=", 422, "ids: "),
        ("ids=1,x", 422, "ids[1]: "),
        ("ids=" + ",".join(["1"] * 1001), 422, "at most 1000"),
        ("ids=1&path=/etc/passwd", 422, "there is no such field"),
    ],
)
def test_invalid_requests(client: Any, query: str, status: int, message: str) -> None:
    answer = client.get(f"/api/v1/zip?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (
        status, "application/problem+json",
    )  # fmt: skip
    assert message in answer.json()["detail"]


def test_zip_needs_the_token(library: Path, fake_engines: FakeEngines) -> None:
    with serve_library(library, fake_engines, AccessRules(token="secret")) as url:
        assert httpx.get(f"{url}/api/v1/zip?ids=1").status_code == 401
        bearer = {"Authorization": "Bearer secret"}
        assert httpx.get(f"{url}/api/v1/zip?ids=1", headers=bearer).status_code == 200
        foreign = {**bearer, "Sec-Fetch-Site": "cross-site"}
        assert httpx.get(f"{url}/api/v1/zip?ids=1", headers=foreign).status_code == 403


def test_video_is_streamed_once(
    photos: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """Two frames of one video are one file."""
    clip = write_video(photos / "clip.mp4", [("purple", 4), ("yellow", 4)])
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened:
        index_folder(opened, photos, model)
        found = opened.reader.locate_images_by_id(range(1, 20))
    frames = [id for id, image in found.items() if image.seconds is not None]
    assert len(frames) >= 2
    images, missing = choose_zip_images(frames, found)
    content = b"".join(stream_zip(images, missing))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["clip.mp4"]
        assert archive.read("clip.mp4") == clip.read_bytes()


def test_copy_is_used_if_the_first_file_is_gone(opened: Library, photos: Path, model: Path) -> None:
    (photos / "copies").mkdir()
    (photos / "copies/red.jpg").write_bytes((photos / "red.jpg").read_bytes())
    index_folder(opened, photos, model)
    (red, *_) = opened.search(Query("red"))
    assert red.also
    Path(red.path).unlink()
    found = opened.reader.locate_images_by_id([red.image_id])
    content = b"".join(stream_zip(list(found.values()), []))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["red.jpg"]


def test_size_is_bounded() -> None:
    """The sizes of the catalog count, each file once; nothing is read."""
    found = {id: make_image(id, f"/{id}.mov", size=3 << 30) for id in (1, 2, 3)}
    assert len(choose_zip_images([1, 2, 2], found)[0]) == 2
    with pytest.raises(QueryError, match=r"9\.0 GiB, and a zip can have 8 GiB"):
        choose_zip_images([1, 2, 3], found)


class _EndlessPictures:
    """Stands for open_original: large files, of which some fail after their first bytes."""

    def __init__(self, fails: bool = False) -> None:
        self.opened: list[str] = []
        self.is_closed, self._fails = threading.Event(), fails

    @contextmanager
    def __call__(self, original: Any) -> Iterator[BinaryIO]:
        self.opened.append(original.path)
        try:
            yield io.BytesIO(bytes(8 << 20))
            if self._fails:
                raise PictureError(f"{original.path} changed while it was being read")
        except GeneratorExit:
            self.is_closed.set()
            raise


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of the answer are small, however large the files are."""
    monkeypatch.setattr(picture_zip, "open_original", _EndlessPictures())
    sizes = [len(part) for part in stream_zip([make_image(n, f"/{n}.mov") for n in range(5)], [])]
    assert sum(sizes) > 40 << 20
    assert max(sizes) < 2 * picture_zip.CHUNK_BYTES


def test_file_that_fails_halfway_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_zip, "open_original", _EndlessPictures(fails=True))
    image = make_image(7, "/private/folder/x.mov", "/private/copy.mov")
    content = b"".join(stream_zip([image], []))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["x.mov", "missing.txt"]
        report = archive.read("missing.txt").decode()
    assert "x.mov: x.mov changed while it was being read" in report
    assert "private" not in report


def test_reading_ends_when_the_client_goes(
    library: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files that follow are not opened."""
    pictures = _EndlessPictures()
    monkeypatch.setattr(picture_zip, "open_original", pictures)
    images = [make_image(number, f"s3://x/{number}.mov") for number in range(100)]
    monkeypatch.setattr(
        "searchapp.server.routes.images.choose_zip_images", lambda ids, found: (images, [])
    )
    with (
        serve_library(library, fake_engines) as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        with client.stream("GET", "/api/v1/zip?ids=1") as answer:
            next(answer.iter_raw())
        assert pictures.is_closed.wait(20)
    assert len(pictures.opened) < 50


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/photos/a.jpg", "a.jpg"),
        ("s3://bucket/key/a b.jpg", "a b.jpg"),
        ("/photos/..", "picture"),
        ("/photos/a\\..\\b.jpg", "a_.._b.jpg"),
        ("/photos/x\n\x1b[2J.jpg", "x_n_x1b[2J.jpg"),
        ("/photos/a:b?.jpg", "a_b_.jpg"),
        ("/photos/con.jpg", "_con.jpg"),
        ("/photos/NUL", "_NUL"),
        (os.fsdecode(b"/photos/\xff.jpg"), "\ufffd.jpg"),
        ("/photos/.hidden.jpg", "hidden.jpg"),
        ("/photos/" + "ä" * 300 + ".jpeg", "ä" * 100 + ".jpeg"),
    ],
)
def test_names_are_safe(path: str, name: str) -> None:
    assert make_safe_name(path) == name


@given(st.lists(st.text(st.characters(codec=None), max_size=40), max_size=8))
def test_names_are_unique_and_without_folders(paths: list[str]) -> None:
    unique = UniqueNames("missing.txt")
    names = [unique.add(make_safe_name(path)) for path in paths]
    assert len({name.casefold() for name in (*names, "missing.txt")}) == len(names) + 1
    for name in names:
        assert name not in ("", ".", "..") and "/" not in name and "\\" not in name
        assert len(name.encode()) <= 255 and name.isprintable()


def test_numbers_precede_the_suffix() -> None:
    unique = UniqueNames()
    names = [unique.add(name) for name in ("a.jpg", "A.JPG", "a.jpg", "e\u0301.jpg", "\u00e9.jpg")]
    assert names == ["a.jpg", "A-2.JPG", "a-3.jpg", "e\u0301.jpg", "\u00e9-2.jpg"]
