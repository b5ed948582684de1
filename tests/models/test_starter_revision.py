"""A library that was made with an earlier starter model."""

from pathlib import Path

import numpy as np
import pytest
from support.library import FakeEngines, index_folder, write_fake_clip
from support.paths import ROOT

from searchapp.errors import ModelError
from searchapp.library import Library
from searchapp.models import starter
from searchapp.types import IndexOptions, Query, RunSummary, SearchOptions

MODEL_FILES = {
    "config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
}  # fmt: skip
QUERIES = (SearchOptions(), SearchOptions(model="starter"), SearchOptions(collection="starter"))


@pytest.fixture
def starter_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights of a small model that is installed as the starter."""
    folder = write_fake_clip(tmp_path / "installed" / "starter", b"first model")
    monkeypatch.setattr(starter, "STARTER_FOLDERS", (folder,))
    return folder / "model.safetensors"


def test_the_folder_has_no_json_files_beside_the_model() -> None:
    """Each JSON file changes the revision, and all collections would have to be embedded again."""
    assert {file.name for file in (ROOT / "data" / "starter").glob("*.json")} == MODEL_FILES


def test_an_old_collection_names_both_revisions_and_the_way_out(
    opened: Library, photos: Path, starter_weights: Path
) -> None:
    """The error says what happened, why, and the command that embeds again; nothing is searched."""
    index_folder(opened, photos, Path("starter"))
    old = opened.info().collections[0].revision
    starter_weights.write_bytes(b"second model")
    for options in QUERIES:
        with pytest.raises(ModelError) as error:
            opened.search(Query("red"), options)
        message = str(error.value)
        assert "the collection starter was made with another revision of the model starter" in (
            message
        )
        assert f"({old}; now " in message
        assert "run `searchapp index FOLDER --model starter` to embed the pictures again" in message
    with pytest.raises(ModelError, match="another revision"):
        list(opened.index([photos]))


def test_embedding_again_never_mixes_vectors(
    opened: Library, photos: Path, starter_weights: Path, fake_engines: FakeEngines
) -> None:
    """The command in the error makes a new collection; the old vectors stay as they are."""
    index_folder(opened, photos, Path("starter"))
    starter_weights.write_bytes(b"second model")
    assert index_folder(opened, photos, Path("starter")) == RunSummary(added=3)
    assert fake_engines.embedded_count == 6
    found = {c.name: (c.images, c.revision) for c in opened.info().collections}
    assert found.keys() == {"starter", "starter-2"}
    assert [images for images, _ in found.values()] == [3, 3]
    assert len({revision for _, revision in found.values()}) == 2
    for options in (SearchOptions(), SearchOptions(model="starter")):
        assert len(opened.search(Query("red"), options)) == 3
    with pytest.raises(ModelError, match="another revision"):
        opened.search(Query("red"), SearchOptions(collection="starter"))


def test_the_model_name_finds_the_new_collection_before_a_run_is_complete(
    opened: Library, photos: Path, starter_weights: Path
) -> None:
    """An interrupted run leaves some pictures in the new collection; --model searches them."""
    index_folder(opened, photos, Path("starter"))
    starter_weights.write_bytes(b"second model")
    events = opened.index([photos], IndexOptions("starter", batch_size=1))
    while sum(c.images for c in opened.info().collections if c.name == "starter-2") < 1:
        next(iter(events))
    events.close()  # type: ignore[attr-defined]
    hits = opened.search(Query("red"), SearchOptions(model="starter"))
    assert 1 <= len(hits) <= 3
    assert np.isfinite([hit.score for hit in hits]).all()
