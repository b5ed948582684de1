"""Test that recognized text tells pages apart, and that errors of the recognition do not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support import near_duplicates
from support.duplicates import find_duplicates
from support.library import index_folder

from searchapp.catalog import Catalog
from searchapp.duplicates.page_texts import PageText, are_other_pages
from searchapp.library import Library
from searchapp.types import TextLine

LETTER = """The committee met on Tuesday and approved the budget for the new library building.
Construction starts in spring, once the ground has thawed and the permits are signed."""
INVOICE = """Invoice 20931 for repairs of two bicycles: new chain, front brake, rear wheel
Please pay within thirty days to the account below, and mention the number above."""


def misread(text: str, share: float) -> str:
    """Return a text with a share of the letters replaced."""
    pen = random.Random(1)
    return "".join(
        pen.choice("abcdefgh") if each.isalpha() and pen.random() < share else each for each in text
    )


def test_clearly_different_texts_are_other_pages() -> None:
    """Errors, missing lines and few words make no other page; numbers of a table do."""
    letter = PageText(LETTER)
    assert letter.is_other_page(PageText(INVOICE))
    assert not letter.is_other_page(PageText(misread(LETTER, 0.1)))
    assert not letter.is_other_page(PageText(LETTER.splitlines()[0]))
    assert not letter.is_other_page(PageText("EXIT  No parking"))
    tables = [
        "\n".join(str(pen.randrange(100, 99999)) for _ in range(100))
        for pen in map(random.Random, (1, 2))
    ]
    assert PageText(tables[0]).is_other_page(PageText(tables[1]))
    assert not PageText(tables[0]).is_other_page(PageText(tables[0]))


@pytest.mark.parametrize("turn", range(8))
def test_mirrored_letters_cannot_be_read(turn: int) -> None:
    """The text of a page and of its mirrored copy differ; that of a rotated copy does not."""
    texts = {3: PageText(LETTER), 5: PageText(INVOICE)}
    assert are_other_pages(texts, (3, 5), turn) == (turn in (0, 3, 5, 6))
    assert not are_other_pages(texts, (3, 7), turn)


@pytest.mark.parametrize(("second", "is_near"), [(INVOICE, False), (misread(LETTER, 0.1), True)])
def test_pages_with_other_text_are_not_near(
    opened: Library, tmp_path: Path, model: Path, second: str, is_near: bool
) -> None:
    """Pages that look the same are duplicates only if the same text was recognized in both."""
    page = near_duplicates.render_scene(near_duplicates.make_scene(6, 0.5))
    (tmp_path / "p").mkdir()
    page.save(tmp_path / "p/one.jpg", quality=92)
    page.save(tmp_path / "p/other.jpg", quality=80)
    index_folder(opened, tmp_path / "p", model)
    catalog = Catalog.open(opened.folder / "catalog.db")
    ids = catalog._db.execute("select image_id from files order by path").fetchall()
    outcomes = [
        (image_id, [TextLine(line) for line in text.splitlines()])
        for (image_id,), text in zip(ids, (LETTER, second), strict=True)
    ]
    catalog.recognized_texts.save_outcomes(outcomes, "reader 1")
    catalog.close()
    assert len(find_duplicates(opened).groups) == is_near
