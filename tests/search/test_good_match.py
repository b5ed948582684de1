"""Collections are calibrated on the side of a search, but only if that is quick."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from PIL import ImageColor
from support.fake_engine import FakeEngine
from support.library import FakeEngines, index_folder
from support.sample_pictures import save_picture

from searchapp.library import Library
from searchapp.search import good_match
from searchapp.search.good_match import FIRST_BATCH, CalibrationPace
from searchapp.types import AUTO_MIN_SCORE, Query, SearchOptions, SearchQuestion, SearchResult

SECONDS_PER_SENTENCE = 1.0
COLORS = [name for name, value in ImageColor.colormap.items() if isinstance(value, str)]


@pytest.fixture
def uncalibrated(
    tmp_path: Path, model: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Library, FakeEngines]]:
    """Index pictures; the library has no calibration, as after an index run with many engines."""
    monkeypatch.setattr(good_match, "CALIBRATION_SENTENCES", tuple(COLORS))
    for number in range(20):
        save_picture(tmp_path / f"photos/{number:02}.jpg", f"#{180 + number:02x}0000", mark=number)
    folder = tmp_path / "library"
    with Library.open(folder, create=True, start=fake_engines) as library:
        index_folder(library, tmp_path / "photos", model)
    with sqlite3.connect(folder / "catalog.db") as db:
        db.execute("delete from calibrations")
    engines = FakeEngines()
    with Library.open(folder, start=engines) as library:
        yield library, engines


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Replace the clock by one that stands still."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    yield now


def test_a_search_by_words_calibrates_once(uncalibrated: tuple[Library, FakeEngines]) -> None:
    """The first search embeds the sentences, so that its hits are judged; the next one does not."""
    library, engines = uncalibrated
    assert library.find(Query("red")).good is not None
    prompts = engines.started_engines[0].prompts
    assert set(COLORS) <= set(prompts)
    count = len(prompts)
    assert library.find(Query("green")).good is not None
    assert len(prompts) == count + 1


@pytest.mark.parametrize("min_score", [None, "auto"])
def test_searches_that_run_together_calibrate_once(
    uncalibrated: tuple[Library, FakeEngines], min_score: Literal["auto"] | None
) -> None:
    """The sentences are embedded before the hits of the first question are judged."""
    library, engines = uncalibrated
    options = SearchOptions(min_score=min_score)
    questions = [SearchQuestion(Query(f"{color} 1"), options) for color in ("red", "green", "blue")]
    outcomes = list(library.find_many(questions))
    assert [isinstance(each, SearchResult) and each.good is not None for each in outcomes] == (
        [True] * 3
    )
    prompts = engines.started_engines[0].prompts
    assert len(prompts) == len(set(prompts)) == len(COLORS) + 3


def test_a_slow_model_does_not_delay_searches(
    uncalibrated: tuple[Library, FakeEngines], clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch shows that the model is too slow. Only --min-score auto waits for it."""
    library, engines = uncalibrated
    embed = FakeEngine.embed

    def embed_slowly(engine: FakeEngine, inputs):  # type: ignore[no-untyped-def]
        clock[0] += SECONDS_PER_SENTENCE * len(inputs)
        return embed(engine, inputs)

    monkeypatch.setattr(FakeEngine, "embed", embed_slowly)
    assert library.find(Query("red")).good is None
    assert library.find(Query("green")).good is None
    assert len(engines.started_engines[0].prompts) == 2 + FIRST_BATCH
    asked = library.find(Query("red"), SearchOptions(min_score=AUTO_MIN_SCORE))
    assert asked.good is not None


def test_the_pace_is_estimated_after_each_batch(clock: list[float]) -> None:
    """Batches end as soon as all sentences would take longer than the limit."""
    sentences = [str(number) for number in range(100)]
    pace = CalibrationPace(sentences, limit_s=50.0)
    done = 0
    for batch in pace:
        done += len(batch)
        clock[0] += len(batch) * (0.4 if done < 50 else 2.0)
    assert pace.is_too_slow
    assert 50 <= done < 100
    assert [text for batch in CalibrationPace(sentences) for text in batch] == sentences
