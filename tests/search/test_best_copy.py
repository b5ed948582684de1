"""Of several files with the same bytes, a hit shows the one that `duplicates` keeps."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.duplicates import find_duplicates
from support.library import index_folder
from support.sample_pictures import save_picture

from searchapp.library import Library
from searchapp.types import Query, SearchOptions


@pytest.mark.parametrize(
    ("names", "best"),
    [
        (("a (1).jpg", "holiday/boat.jpg"), "holiday/boat.jpg"),  # not named like a copy
        (("b.jpg", "2021/boat.jpg"), "2021/boat.jpg"),  # the oldest file
        (("a.jpg", "z/boat.jpg", "z/boat.jpg.xmp"), "z/boat.jpg"),  # with a sidecar
    ],
)
def test_hit_shows_the_file_to_keep(
    opened: Library, tmp_path: Path, model: Path, names: tuple[str, ...], best: str
) -> None:
    folder = tmp_path / "photos"
    original = save_picture(folder / best, "red")
    os.utime(original, (1e9, 1e9))
    for name in names:
        if name != best and not name.endswith(".xmp"):
            shutil.copy(original, folder / name)
    if best.startswith("z/"):
        os.utime(folder / "a.jpg", (1e9, 1e9))
        (folder / "z/boat.jpg.xmp").write_text("<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    index_folder(opened, folder, model)
    (hit,) = opened.search(Query("red"))
    (group,) = find_duplicates(opened).groups
    assert hit.path == group.keeper.path == str(folder / best)
    assert set(hit.also) == {copy.path for copy in group.others}
    for other in hit.also:  # The folder that is searched decides first.
        if Path(other).parent != folder:
            found = opened.search(Query("red"), SearchOptions(folder=Path(other).parent))
            assert found[0].path == other
