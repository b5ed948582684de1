"""Pictures, thumbnails and videos that the server sends: only those that were indexed."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from support.api import search_api
from support.library import FakeEngines, RunCommand, index_folder
from support.live_server import serve_library
from support.pixels import is_close_color
from support.sample_pictures import save_picture
from support.video_files import write_video

from searchapp.library import Library
from searchapp.pictures import thumbnail_cache
from searchapp.types import Query, TextLine

SECRET = b"the private key of the user"


def find_id(client: Any, text: str) -> int:
    return search_api(client, text=text, count=1).json()["hits"][0]["id"]


def find_first_hit(url: str) -> dict[str, Any]:
    with httpx.Client(base_url=url, timeout=120) as client:
        return search_api(client, text="red", count=1).json()["hits"][0]


def get_color(data: bytes) -> tuple[int, ...]:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return image.getpixel((image.width // 2, image.height // 2))


def replace_by_picture(file: Path) -> None:
    """Replace a file by another picture of the same size and time."""
    state = file.stat()
    Image.new("RGB", (8, 8), "yellow").save(file)
    assert file.stat().st_size < state.st_size  # A decoder ignores bytes after the picture.
    os.truncate(file, state.st_size)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def replace_by_link(file: Path) -> None:
    """Replace a file by a link to a private text of the same size and time."""
    state, secret = file.stat(), file.parent.parent / "id_rsa"
    secret.write_bytes(SECRET.ljust(state.st_size))
    os.utime(secret, ns=(state.st_atime_ns, state.st_mtime_ns))
    file.unlink()
    file.symlink_to(secret)


def replace_by_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def replace_by_endless_device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


REPLACEMENTS = (replace_by_picture, replace_by_link, replace_by_pipe, replace_by_endless_device)


@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_a_replaced_picture_is_not_sent(
    client: Any, photos: Path, replace: Callable[[Path], None]
) -> None:
    """Neither the file nor a thumbnail of it; a thumbnail of the indexed picture stays."""
    image_id = find_id(client, "green")
    known = client.get(f"/api/thumbnails/{image_id}?size=640").content
    replace(photos / "green.png")
    for path in ("images/{}", "originals/{}", "thumbnails/{}?size=320"):
        answer = client.get(f"/api/{path.format(image_id)}")
        assert answer.status_code == 400, answer.headers
        assert SECRET not in answer.content
    assert client.get(f"/api/thumbnails/{image_id}?size=640").content == known


def test_a_new_picture_is_not_cached_as_the_old_one(
    client: Any, photos: Path, library: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A thumbnail that is asked for before the next index run must not be wrong for ever."""
    image_id, old = find_id(client, "green"), (photos / "green.png").read_bytes()
    save_picture(photos / "green.png", "yellow")
    assert client.get(f"/api/thumbnails/{image_id}").status_code == 400
    (photos / "green.png").write_bytes(old)
    shown = client.get(f"/api/thumbnails/{image_id}").content
    assert is_close_color(get_color(shown), (0, 128, 0), tolerance=12)


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_an_import_that_names_a_private_file_shows_nothing(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines,
    format: str,
) -> None:  # fmt: skip
    """Although its size and time are right, and the import states that it is a picture."""
    secret = tmp_path / "id_rsa"
    secret.write_bytes(SECRET)
    run("index", photos, "--model", model)
    run("export", tmp_path / "x.json")
    document = json.loads((tmp_path / "x.json").read_text())
    state = secret.stat()
    for image in document["images"]:
        file = {"path": str(secret), "size": state.st_size, "mtime_ns": state.st_mtime_ns}
        image |= {"files": [file], "format": format}
    (tmp_path / "x.json").write_text(json.dumps(document))
    (tmp_path / "library").rename(tmp_path / "before")
    assert run("import", tmp_path / "x.json").exit_code == 0
    with serve_library(tmp_path / "library", fake_engines) as url:
        hit = find_first_hit(url)
        assert hit["path"] == str(secret)
        for path in ("images", "originals", "thumbnails"):
            answer = httpx.get(f"{url}/api/{path}/{hit['id']}")
            assert (answer.status_code, SECRET in answer.content) == (400, False)


def test_a_picture_is_sent_with_its_real_type(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """An import can state another format than that of the file."""
    run("index", photos, "--model", model)
    run("export", tmp_path / "x.json")
    text = (tmp_path / "x.json").read_text().replace('"format": "JPEG"', '"format": "PNG"')
    (tmp_path / "x.json").write_text(text)
    (tmp_path / "library").rename(tmp_path / "before")
    run("import", tmp_path / "x.json")
    with serve_library(tmp_path / "library", fake_engines) as url:
        hit = find_first_hit(url)
        answer = httpx.get(f"{url}/api/images/{hit['id']}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"


def test_an_original_is_sent_unchanged(
    photos: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """A browser saves it under its own name, also if this is not UTF-8, and never shows it."""
    file = photos / os.fsdecode('"é"; ü\udcff\n.tif'.encode(errors="surrogateescape"))
    save_picture(file, "purple")
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened:
        index_folder(opened, photos, model)
        (hit, *_) = opened.search(Query("purple"))
    with serve_library(tmp_path / "library", fake_engines) as url:
        answer = httpx.get(f"{url}/api/originals/{hit.image_id}?sha256={hit.sha256[:16]}")
        assert httpx.get(f"{url}/api/originals/{hit.image_id}?sha256={'0' * 16}").status_code == 404
        tag = {"If-None-Match": answer.headers["etag"]}
        assert httpx.get(f"{url}/api/originals/{hit.image_id}", headers=tag).status_code == 304
    assert answer.content == file.read_bytes()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''%22%C3%A9%22%3B%20%C3%BC%FF%0A.tif"
    )


def test_a_replaced_video_is_not_sent(
    photos: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """Neither completely nor in ranges, even if size and time are those of the video."""
    clip = write_video(photos / "clip.mp4", (("purple", 2),))
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened:
        index_folder(opened, photos, model)
        (hit, *_) = opened.search(Query("purple"))
    assert hit.path == str(clip)
    with serve_library(tmp_path / "library", fake_engines) as url:
        video = f"{url}/api/videos/{hit.image_id}"
        whole = httpx.get(video)
        assert (whole.status_code, whole.content) == (200, clip.read_bytes())
        tag = {"If-None-Match": whole.headers["etag"]}
        assert httpx.get(video, headers=tag).status_code == 304
        part = {"Range": "bytes=0-3", "If-Range": whole.headers["etag"]}
        assert httpx.get(video, headers=part).content == whole.content[:4]
        assert httpx.get(video, headers=part | {"If-Range": '"x"'}).content == whole.content
        original = httpx.get(f"{url}/api/originals/{hit.image_id}")
        assert original.headers["content-disposition"] == "attachment; filename*=UTF-8''clip.mp4"
        assert original.content == clip.read_bytes()
        size = httpx.head(f"{url}/api/originals/{hit.image_id}").headers["content-length"]
        assert int(size) == clip.stat().st_size
        replace_by_link(clip)
        for headers in ({}, {"Range": "bytes=0-99"}):
            answer = httpx.get(video, headers=headers)
            assert (answer.status_code, SECRET in answer.content) == (400, False)
        assert httpx.get(f"{url}/api/originals/{hit.image_id}").status_code == 400
        clip.unlink()
        write_video(clip, (("gold", 3),))
        assert httpx.get(video).status_code == 400


@pytest.mark.parametrize("broken", [b"", bytes(300), b"RIFF\x10\0\0\0WEBPVP8 "])
def test_a_broken_thumbnail_is_made_again(
    client: Any, library: Path, run: RunCommand, broken: bytes
) -> None:
    """After a power cut: empty, full of zeros, or cut off. `check` finds it too."""
    image_id = find_id(client, "red")
    good = client.get(f"/api/thumbnails/{image_id}").content
    (file,) = thumbnail_cache.list_thumbnails(library)
    file.write_bytes(broken)
    assert client.get(f"/api/thumbnails/{image_id}").content == good == file.read_bytes()
    file.write_bytes(broken)
    found = run("check")
    assert (found.exit_code, found.stdout) == (1, "1 empty or cut-off thumbnail\n")
    assert run("check", "--repair").exit_code == 0
    assert not file.exists()
    assert run("check").exit_code == 0


def test_thumbnails_are_written_durably(
    client: Any, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes reach the disk before the name: fsync, then rename."""
    calls, replace, fsync = list[str](), Path.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("fsync"), fsync(file))[1])
    monkeypatch.setattr(
        Path, "replace", lambda file, new: (calls.append("replace"), replace(file, new))[1]
    )
    client.get(f"/api/thumbnails/{find_id(client, 'red')}")
    assert calls[:2] == ["fsync", "replace"]


def test_image_ids_are_not_used_again(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """A URL in a browser must not show another picture after prune."""
    index_folder(opened, photos, model)
    hits = opened.search(Query("red"))
    for hit in hits:
        Path(hit.path).unlink()
    index_folder(opened, photos, model, prune=True)
    assert opened.prune().images == 3
    save_picture(photos / "new.png", "yellow")
    index_folder(opened, photos, model)
    (new,) = opened.search(Query("yellow"))
    assert new.image_id > max(hit.image_id for hit in hits)


def test_browsers_ask_again_unless_the_url_names_the_content(client: Any) -> None:
    """An id means another picture in another library at the same address."""
    hit = search_api(client, text="red", count=1).json()["hits"][0]
    start = hit["sha256"][:16]
    for path in (f"/api/thumbnails/{hit['id']}?size=320", f"/api/images/{hit['id']}?"):
        plain, named = client.get(path), client.get(f"{path}&sha256={start}")
        assert plain.headers["cache-control"] == "private, no-cache"
        assert named.headers["cache-control"] == "private, max-age=86400"
        assert plain.content == named.content
        for tag in (plain.headers["etag"], f'"x", W/{plain.headers["etag"]}'):
            again = client.get(path, headers={"If-None-Match": tag})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == plain.headers["etag"]
        assert client.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
        assert client.get(f"{path}&sha256={'0' * 16}").status_code == 404
    assert client.get(f"/api/images/{hit['id']}?sha256=%25").status_code == 422


def test_previews_and_pages_show_no_replaced_picture(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """In a terminal, on a contact sheet, on a map and in the review of duplicates."""
    (photos / "copy.png").write_bytes((photos / "green.png").read_bytes())
    run("index", photos, "--model", model)
    sheet, review = tmp_path / "sheet.html", tmp_path / "review.html"

    def count_thumbnails() -> tuple[int, ...]:
        run("query", "green", "-k", 1, "--html", sheet)
        run("duplicates", "--html", review)
        mapped = json.loads(run("map", "--html", tmp_path / "map.html", "--json").stdout)
        counts = (page.read_text().count("data:image/") for page in (sheet, review))
        return (*counts, mapped["pictures"])

    assert count_thumbnails() == (1, 2, 3)
    for name in ("green.png", "copy.png"):
        replace_by_picture(photos / name)
    shown = run("query", "green", "-k", 1, "--preview=blocks").stdout
    assert "the file changed since it was indexed" in shown
    assert count_thumbnails() == (0, 0, 2)


def test_the_lines_of_text_are_sent(client: Any, library: Path) -> None:
    """A hit has the words that match; this address has all lines."""
    image_id = find_id(client, "red")
    address = f"/api/v1/texts/{image_id}"
    assert client.get(address).json() == {"is_read": False, "lines": []}
    box = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.2), (0.1, 0.2))
    lines = [TextLine("Pharmacy", box, 0.9), TextLine("open", box, 0.8)]
    with Library.open(library) as opened:
        opened._catalog.recognized_texts.save_outcomes([(image_id, lines)], "reader 1")
    answer = client.get(address).json()
    assert answer["is_read"]
    assert answer["lines"] == [line.to_dict() for line in lines]
    hit = search_api(client, text="pharmacy", by="text").json()["hits"][0]
    assert hit["match"] == [{"by": "text", "snippet": "Pharmacy", "boxes": [list(map(list, box))]}]
    assert client.get("/api/v1/texts/999").status_code == 404
