"""Pictures that an older version embedded with other colors are embedded again when asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from sqlite_utils import Database
from support.icc_profiles import PRO_PHOTO, make_rgb_profile
from support.library import FakeEngines, RunCommand, index_folder, search_file_names
from support.old_library import make_old_library
from support.sample_pictures import save_picture
from support.video_files import write_video

from searchapp.library import Library
from searchapp.pictures import thumbnail_cache

PROFILE = make_rgb_profile(PRO_PHOTO, 1.8)


@pytest.fixture
def old_photos(tmp_path: Path, photos: Path) -> Path:
    """Write pictures of which two have other colors than an older version showed."""
    Image.new("RGB", (64, 64), (90, 140, 90)).save(photos / "profile.png", icc_profile=PROFILE)
    white = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    white.paste((255, 255, 255, 255), (8, 8, 40, 40))
    white.save(photos / "white.png")
    write_video(photos / "film.mp4", (("blue", 1),))
    return photos


def age_embeddings(library: Path) -> None:
    """Make the catalog say that an older version made all embeddings, and read no headers."""
    db = Database(library / "catalog.db")
    db.execute("update decoders set last_embedding = (select max(id) from embeddings)")
    db.execute("update images set colors_since = null, reader = 1")
    db.conn.commit()
    db.close()


def read_vectors(library: Path) -> dict[str, bytes]:
    db = Database(library / "catalog.db")
    rows = db.execute(
        "select f.path, e.vector from files f join embeddings e on e.image_id = f.image_id"
    ).fetchall()
    db.close()
    return {Path(path).name: vector for path, vector in rows}


def test_old_pictures_are_counted_and_embedded_again_when_asked(
    run: RunCommand, tmp_path: Path, old_photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """`info` counts them, `index` leaves them, and `index --update-colors` embeds only them."""
    library = tmp_path / "library"
    assert run("index", old_photos, "--model", model).exit_code == 0
    assert "colors" not in run("info").stdout
    age_embeddings(library)
    assert "colors     not known yet for 6 images of an older version" in run("info").stdout
    count = fake_engines.embedded_count
    assert run("index", old_photos).exit_code == 0
    assert fake_engines.embedded_count == count
    assert "colors     2 images embedded with other colors" in run("info").stdout
    (collection,) = json.loads(run("info", "--json").stdout)["collections"]
    assert (collection["outdated_colors"], collection["unknown_colors"]) == (2, 0)
    dry = run("index", old_photos, "--update-colors", "--dry-run")
    assert "2 files would be read" in dry.stderr
    db = Database(library / "catalog.db")
    db.execute("update embeddings set vector = zeroblob(length(vector)) where image_id in"
               " (select id from images where colors_since = 1)")  # fmt: skip
    db.conn.commit()
    db.close()
    result = run("index", old_photos, "--update-colors", "--json")
    assert json.loads(result.stdout)["added"] == 2
    assert fake_engines.embedded_count == count + 2
    assert all(any(vector) for vector in read_vectors(library).values())
    assert "colors" not in run("info").stdout
    assert run("index", old_photos, "--update-colors").exit_code == 0
    assert fake_engines.embedded_count == count + 2
    assert run("check").exit_code == 0


def test_one_run_after_an_upgrade_is_enough(
    opened: Library, old_photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """The run reads the headers first. So it embeds no picture whose colors are the same."""
    index_folder(opened, old_photos, model)
    age_embeddings(opened.info().path)
    count = fake_engines.embedded_count
    summary = index_folder(opened, old_photos, model, update_colors=True)
    assert (summary.added, fake_engines.embedded_count) == (2, count + 2)
    assert set(search_file_names(opened, "blue")) >= {"blue.jpg"}
    (collection,) = opened.info().collections
    assert (collection.images, collection.index_images) == (6, 6)


def test_a_library_of_an_earlier_version_knows_its_old_colors(
    tmp_path: Path, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The migration marks all embeddings as old; copies and new pictures are not."""
    Image.new("RGB", (64, 64), (90, 140, 90)).save(photos / "profile.png", icc_profile=PROFILE)
    make_old_library(tmp_path / "library", monkeypatch, photos, model)
    with Library.open(tmp_path / "library", start=FakeEngines()) as library:
        (collection,) = library.info().collections
        assert (collection.outdated_colors, collection.unknown_colors) == (0, 4)
        save_picture(photos / "new.png", "yellow", icc_profile=PROFILE)
        index_folder(library, photos, model)
        (collection,) = library.info().collections
        assert (collection.outdated_colors, collection.unknown_colors) == (1, 0)


def test_a_thumbnail_with_other_colors_is_not_shown(tmp_path: Path) -> None:
    """A cached thumbnail of an older version has another name."""
    old = thumbnail_cache.locate_thumbnail(tmp_path, "ab" * 32, 320)
    assert thumbnail_cache.locate_thumbnail(tmp_path, "ab" * 32, 320, None) == old
    new = thumbnail_cache.locate_thumbnail(tmp_path, "ab" * 32, 320, 1)
    thumbnail_cache.save_thumbnail(old, b"old")
    thumbnail_cache.save_thumbnail(new, b"new")
    assert new != old
    assert {*thumbnail_cache.list_thumbnails(tmp_path, "ab" * 32)} == {old, new}
    assert thumbnail_cache.get_key(new) == "ab" * 32
