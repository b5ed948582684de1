"""Texts that are not UTF-8 are stated errors, before SQLite, FAISS or a tokenizer sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.library import RunCommand

from searchapp.errors import QueryError
from searchapp.library import Library
from searchapp.types import IndexOptions, ModelOptions, Query, SearchOptions

UNDECODABLE = "ph\udcff"


@pytest.mark.parametrize(
    "make",
    [
        Query,
        lambda text: SearchOptions(camera=text),
        lambda text: SearchOptions(lens=text),
        lambda text: SearchOptions(format=text),
        lambda text: SearchOptions(where=text),
        lambda text: SearchOptions(keyword=("red", text)),
        lambda text: IndexOptions(collection=text),
        lambda text: IndexOptions(index=text),
        lambda text: ModelOptions(instruction=text),
    ],
)
def test_undecodable_texts_are_refused(make: Callable[[str], Any]) -> None:
    """The message names the text; any other text is accepted."""
    with pytest.raises(QueryError, match=r"is not valid UTF-8: 'ph\\udcff'"):
        make(UNDECODABLE)
    make("gr\u00fcn \u2603\0")


def test_undecodable_paths_are_accepted() -> None:
    """A folder and a picture can have any bytes in their names, but must be paths."""
    Query(image=UNDECODABLE)
    SearchOptions(folder=UNDECODABLE)
    with pytest.raises(QueryError, match="the condition folder is not a path"):
        SearchOptions(folder="\ud800")


def test_sizes_are_numbers() -> None:
    """NaN compares with nothing; infinity is a bound."""
    SearchOptions(min_size=0, max_size=float("inf"))
    for name in ("min_size", "max_size"):
        with pytest.raises(QueryError, match=f"the condition {name} is not a number"):
            SearchOptions(**{name: float("nan")})


def test_undecodable_names_of_collections_are_refused(
    run: RunCommand, opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """`index` and `import` create no collection whose name SQLite cannot store."""
    for arguments in (["--collection", UNDECODABLE], ["--index", UNDECODABLE]):
        result = run("index", photos, "--model", model, *arguments)
        assert isinstance(result.exception, QueryError)
    assert run("index", photos, "--model", model).exit_code == 0
    assert run("export", tmp_path / "x.json").exit_code == 0
    run("index", photos, "--model", model, "--collection", "other")
    with pytest.raises(QueryError, match="the name of the collection is not valid UTF-8"):
        opened.load(tmp_path / "x.json", UNDECODABLE)
