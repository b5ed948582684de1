"""Use the fake reader of text in the worker processes."""

import os

import pytest
from support.paths import TESTS

from searchapp.pictures.recognition import text_reader


@pytest.fixture(autouse=True)
def fake_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let index runs and the command use the fake reader, in one process."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setattr(text_reader, "DEFAULT_READER", "support.fake_reader:FakeReader")
    monkeypatch.setattr(
        "searchapp.indexing.recognition.recognize_texts.count_workers",
        lambda *, is_engine_running: 1,
    )
