"""Test the map: chosen pictures, layout, and the page in a real browser."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.browser import needs_chromium
from support.library import RunCommand
from support.sample_pictures import save_picture

from searchapp.pages.map.choose_pictures import choose_pictures
from searchapp.pages.map.layout import compute_layout, snap_to_grid

ODD_NAME = "<img src=x onerror=alert(1)> & \"'%23#?.jpg"


def make_clusters(
    count: int, each: int, dimensions: int = 64, spread: float = 0.05
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return unit vectors in tight clusters, and the cluster of each."""
    random = np.random.default_rng(1)
    label = np.repeat(np.arange(count), each)
    vectors = random.normal(size=(count, dimensions))[label]
    vectors += spread * random.normal(size=vectors.shape) * np.sqrt(dimensions) / 8
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), label


def pages_of(vectors: NDArray[np.float32]) -> Any:
    def pages(ids: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for start in range(0, len(ids), 70):
            yield ids[start : start + 70], vectors[ids[start : start + 70]]

    return pages


def test_all_pictures_are_chosen_if_they_fit() -> None:
    """Each picture represents itself, and the coordinates keep the distances of the vectors."""
    vectors, _ = make_clusters(5, 20)
    chosen = choose_pictures(np.arange(100), pages_of(vectors), 100)
    assert chosen.ids.tolist() == list(range(100))
    assert chosen.represents.tolist() == [1] * 100
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=-1)
    reduced = np.linalg.norm(chosen.coordinates[:, None] - chosen.coordinates, axis=-1)
    assert np.abs(distances - reduced).max() < 0.2


def test_one_picture_of_each_cluster_is_chosen() -> None:
    """Nearly every cluster has a picture on the map, and together they represent all pictures."""
    vectors, label = make_clusters(40, 50)
    chosen = choose_pictures(np.arange(len(vectors)), pages_of(vectors), 120)
    assert len(chosen.ids) <= 120
    assert len(set(chosen.ids.tolist())) == len(chosen.ids)
    assert chosen.represents.sum() == len(vectors)
    assert len(set(label[chosen.ids].tolist())) >= 36


def test_neighbors_are_next_to_each_other() -> None:
    """Most neighbors of a picture are from its cluster, and no two pictures share a cell."""
    vectors, label = make_clusters(20, 15)
    order = np.random.default_rng(2).permutation(len(vectors))
    chosen = choose_pictures(np.arange(len(vectors)), pages_of(vectors[order]), 1000)
    positions = compute_layout(chosen.coordinates, steps=250)
    cells = snap_to_grid(positions)
    label = label[order]
    for points in (positions, cells.astype(np.float32)):
        distances = np.linalg.norm(points[:, None] - points, axis=-1)
        np.fill_diagonal(distances, np.inf)
        nearest = distances.argsort(axis=1)[:, :3]
        assert (label[nearest] == label[:, None]).mean() > 0.8
    assert len({tuple(cell) for cell in cells.tolist()}) == len(cells)
    columns, rows = cells.max(axis=0) + 1
    assert 1.0 < columns / rows < 2.0


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 9])
def test_few_or_equal_pictures_have_different_cells(count: int) -> None:
    """The layout works for a single picture, and for equal vectors."""
    for vectors in (make_clusters(count, 1)[0], np.ones((count, 4), np.float32) / 2):
        chosen = choose_pictures(np.arange(count), pages_of(vectors), 10)
        cells = snap_to_grid(compute_layout(chosen.coordinates, steps=20))
        assert len({tuple(cell) for cell in cells.tolist()}) == count
        assert cells.min() == 0


@pytest.fixture
def page(run: RunCommand, photos: Path, model: Path, tmp_path: Path) -> Path:
    """Write a map of pictures, some of them with unusual names."""
    for mark, color in enumerate(("yellow", "orange", "navy", "teal", "gray", "pink", ODD_NAME)):
        name = color if color == ODD_NAME else f"{color}.jpg"
        save_picture(photos / name, "purple" if color == ODD_NAME else color, mark)
    save_picture(photos / os.fsdecode(b"caf\xe9.png"), "brown")
    assert run("index", photos, "--model", model).exit_code == 0
    file = tmp_path / "map.html"
    result = run("map", "--html", file)
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert "making thumbnails: 11/11" in lines
    assert lines[-2:] == ["arranging 11 pictures ...", f"wrote a map of 11 pictures to {file}"]
    return file


def test_map_takes_filters(run: RunCommand, page: Path, photos: Path, tmp_path: Path) -> None:
    """Filters limit the pictures, unreadable ones are left out, and no match is an error."""
    few = tmp_path / "few.html"
    result_json = json.loads(run("map", "--html", few, "--count", 4, "--json").stdout)
    assert 1 <= result_json["pictures"] <= 4 and result_json["of"] == 11
    assert re.search(r"[1-4] of 11 pictures; each represents a group", few.read_text())
    result_json = json.loads(run("map", "--html", few, "--in", photos / "below", "--json").stdout)
    assert (result_json["pictures"], result_json["of"]) == (1, 1)
    (photos / "teal.jpg").write_bytes(b"")
    assert "skipped 1 picture that cannot be read\n" in run("map", "--html", few).stderr
    result = run("map", "--html", few, "--after", "2030")
    assert result.exit_code == 2 and "no picture for the map" in str(result.exception)
    for file in list(photos.rglob("*.*")):
        file.unlink()
    assert run("prune", "--missing").exit_code == 0
    result = run("map", "--html", few)
    assert "there are no pictures for a map; run `searchapp index FOLDER`" in str(result.exception)
    result = run("map", "--html", tmp_path / "none" / "x.html")
    assert result.exit_code == 1 and "cannot be written" in str(result.exception)


def wait_until(tab: Any, condition: str) -> None:
    """Poll a JavaScript condition; the page's policy forbids Playwright's wait_for_function."""
    ends_at = time.monotonic() + 20
    while not tab.evaluate(condition):
        assert time.monotonic() < ends_at, condition
        tab.wait_for_timeout(50)


@needs_chromium
def test_the_page_in_a_browser(page: Path, photos: Path, chromium: Any) -> None:
    """The page makes no requests, and wheel, keys, touch and clicks work."""
    context = chromium.new_context(viewport={"width": 900, "height": 600}, has_touch=True)
    tab = context.new_page()
    requested_urls: list[str] = []
    errors: list[str] = []
    tab.on("request", lambda request: requested_urls.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    tab.goto(page.as_uri())
    tab.evaluate("globalThis.map = document.querySelector('canvas').pictureMap")
    wait_until(tab, "map.sheets.every((sheet) => sheet.complete && sheet.naturalWidth)")
    tab.wait_for_timeout(100)
    assert tab.evaluate("map.tiles.length") == 11

    middle = """(name) => { const b = map.findBox(map.tiles.find((t) => t.name === name));
        return [b[0] + b[2] / 2, b[1] + b[3] / 2]; }"""
    read_pixel = """([x, y]) => { const pen = document.querySelector('canvas').getContext('2d');
        return Array.from(pen.getImageData(
            x * devicePixelRatio, y * devicePixelRatio, 1, 1).data); }"""
    for name, rgb in (("blue.jpg", (0, 0, 255)), ("red.jpg", (255, 0, 0))):
        seen = tab.evaluate(read_pixel, tab.evaluate(middle, name))
        assert np.abs(np.array(seen[:3]) - rgb).max() < 40, name

    x, y = tab.evaluate(middle, ODD_NAME)
    tab.mouse.move(x, y)
    assert tab.locator("#tip").inner_text() == ODD_NAME
    tab.mouse.click(x, y)
    assert tab.locator("aside .name").inner_text() == ODD_NAME
    assert tab.locator("aside .more").inner_text() == f"{photos}/{ODD_NAME}"
    assert tab.locator("aside a").get_attribute("href") == (photos / ODD_NAME).as_uri()
    wait_until(tab, "document.querySelector('aside img').naturalWidth === 80")  # the file
    tab.keyboard.press("Escape")
    assert tab.locator("aside").is_hidden()

    before = tab.evaluate("map.zoom")
    tab.mouse.wheel(0, -200)
    wait_until(tab, f"map.zoom > {before} * 1.2")
    near = tab.evaluate(middle, ODD_NAME)
    assert abs(near[0] - x) + abs(near[1] - y) < 30  # the picture stays under the pointer
    moved = tab.evaluate("map.left")
    tab.mouse.down()
    tab.mouse.move(x + 40, y)
    tab.mouse.up()
    assert tab.evaluate("map.left") == pytest.approx(moved + 40, abs=2)
    assert tab.locator("aside").is_hidden()  # a drag is no click
    tab.keyboard.press("-")
    tab.keyboard.press("0")
    assert tab.evaluate("map.zoom") == pytest.approx(before)
    tab.keyboard.press("Enter")
    assert tab.locator("aside").is_visible()
    tab.keyboard.press("Escape")
    tab.set_viewport_size({"width": 390, "height": 800})
    wait_until(tab, "innerWidth === 390 && map.width === 390")
    tab.keyboard.press("0")
    tab.touchscreen.tap(*tab.evaluate(middle, "blue.jpg"))
    assert tab.locator("aside .name").inner_text() == "blue.jpg"
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
    assert errors == []
    assert all(url.startswith(("file:", "data:")) for url in requested_urls)
