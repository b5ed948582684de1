"""The starter model on the real vLLM: it finds the demo's pictures by words."""

import importlib.util
import json
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from support.api import search_api
from support.browser import (
    CHROMIUM_PATH,
    BrowserTabs,
    SharedChromium,
    expect_first,
    sync_api,
    type_query,
)
from support.effort import needs_effort
from support.icc_profiles import DISPLAY_P3, PRO_PHOTO, make_rgb_profile, make_rgb_table_profile
from support.imagemagick import needs_imagemagick, render_srgb
from support.library import library_environment
from support.live_server import serve_library
from support.metadata_files import make_xmp
from support.paths import ROOT
from support.real_vllm import VLLM_MARKS, start_starter

from searchapp import models
from searchapp.bench.captions import read_captions
from searchapp.bench.evaluation import Evaluation, evaluate_model
from searchapp.cli import cli
from searchapp.engines import EngineInput, Refusal, Vector
from searchapp.engines.local import LocalEngine
from searchapp.engines.unclosed import UnclosedEngine
from searchapp.errors import EngineError
from searchapp.indexing.embedding.choose_engines import connect_to_cluster
from searchapp.indexing.embedding.cluster.driver_process import ClusterProcess
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.library import Library
from searchapp.pictures import decode
from searchapp.search import query_vector
from searchapp.types import IndexOptions, Query, RunFinished, SearchOptions, Term

pytestmark = VLLM_MARKS
PHOTOS = ROOT / "data" / "photos"
WORD_PHOTOS = {
    "IMG_9001.jpg": "tiger.jpg", "owl.jpg": "owl.jpg", "boat 1.jpg": "blue-boat-fog.jpg",
    "boat 2.jpg": "boats-rain.jpg", "cows.jpg": "cows.jpg", "bus.jpg": "bus.jpg",
    "rocket.jpg": "rocket.jpg", "football.jpg": "football.jpg", "crab.jpg": "crab.jpg",
}  # fmt: skip
BERTAS_TITLE = (
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Aunt Berta\'s birthday</rdf:li></rdf:Alt>'
    "</dc:title>"
)
LISBON = 'exif:GPSLatitude="38.7121" exif:GPSLongitude="-9.1303"'
MUNICH = 'exif:GPSLatitude="48.1374" exif:GPSLongitude="11.5755"'
CAPTIONS = json.loads((PHOTOS / "captions.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return start_starter()


class RememberingEngine(UnclosedEngine):
    """Embeds each picture and each text once, for whichever test needs it first."""

    def __init__(self, engine: LocalEngine) -> None:
        super().__init__(engine)
        self._vectors: dict[tuple[str, bytes], Vector | Refusal] = {}

    def prepare(self, item: EngineInput) -> EngineInput:
        return item  # Its picture is needed below.

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        keys = [(item.prompt, item.image.tobytes() if item.image else b"") for item in inputs]
        wanted = {
            key: item for key, item in zip(keys, inputs, strict=True) if key not in self._vectors
        }
        self._vectors |= zip(wanted, super().embed(list(wanted.values())), strict=True)
        return [self._vectors[key] for key in keys]


@pytest.fixture(scope="module")
def shared(engine: LocalEngine) -> RememberingEngine:
    return RememberingEngine(engine)


@pytest.fixture(scope="module")
def library(
    shared: RememberingEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Library]:
    """A library with the demo's pictures."""
    folder = tmp_path_factory.mktemp("starter") / "library"
    with Library.open(folder, create=True, start=lambda spec: shared) as library:
        *_, last = library.index([PHOTOS], IndexOptions(model="starter"))
        assert isinstance(last, RunFinished)
        assert (last.summary.added, last.summary.failed) == (len(CAPTIONS), 0)
        yield library


@needs_imagemagick
@pytest.mark.parametrize("name", ["pro-photo", "display-p3", "table"])
def test_a_picture_with_a_profile_embeds_as_its_srgb_rendering(
    engine: LocalEngine, tmp_path: Path, name: str
) -> None:
    """The reference is ImageMagick's rendering."""
    profile = {
        "pro-photo": make_rgb_profile(PRO_PHOTO, 1.8),
        "display-p3": make_rgb_profile(DISPLAY_P3, 2.2),
        "table": make_rgb_table_profile(PRO_PHOTO, 1.8),
    }[name]
    pixels = Image.open(sorted(PHOTOS.rglob("*.jpg"))[0]).convert("RGB")
    pixels.save(tmp_path / "profile.jpg", icc_profile=profile, quality=95, subsampling=0)
    rendered = Image.fromarray(render_srgb(tmp_path / "profile.jpg").astype(np.uint8))
    rendered.save(tmp_path / "srgb.png")
    spec = models.resolve_model("starter")
    prompt = models.make_document_prompt(spec)
    files = (tmp_path / "profile.jpg", tmp_path / "srgb.png")
    prepared = [decode.prepare_picture(file.read_bytes(), spec.image) for file in files]
    one, other = engine.embed([EngineInput(prompt, each.image) for each in prepared])
    assert not isinstance(one, Refusal) and not isinstance(other, Refusal)
    assert float(one @ other) >= 0.99


def load_demo_queries() -> list[tuple[str, Query | list[Term]]]:
    """Return the queries of the demo."""
    spec = importlib.util.spec_from_file_location("demo", ROOT / "data" / "demo.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    queries: list[tuple[str, Query | list[Term]]] = module.QUERIES
    return queries


def find_first_caption(library: Library, query: Query | list[Term]) -> dict[str, object]:
    """Return the caption entry of the first hit."""
    (hit,) = library.search(query, SearchOptions(count=1))
    name = str(Path(hit.path).relative_to(PHOTOS))
    return next(entry for entry in CAPTIONS if entry["file"] == name)


def test_captions_find_their_pictures(library: Library) -> None:
    """At least 9 of 10 captions find their picture first, of one caption for every tenth picture.

    A near duplicate has the captions of its original, and counts as right. The test of `eval`
    below asks for all captions, in batches: a single query takes many times as long.
    """
    entries = [entry for entry in CAPTIONS if "duplicate_of" not in entry][::10]
    wrong = []
    for number, entry in enumerate(entries):
        caption = entry["captions"][number % 3]
        found = find_first_caption(library, Query(caption))
        if entry["file"] not in (found["file"], found.get("duplicate_of")):
            wrong.append((caption, found["file"]))
    assert len(entries) > 10
    assert len(wrong) <= len(entries) / 10, wrong


WORDS = [query for _, query in load_demo_queries() if isinstance(query, Query) and query.text]


@pytest.mark.parametrize("query", WORDS, ids=lambda query: query.text)
def test_demo_queries_find_the_right_picture(library: Library, query: Query) -> None:
    """The caption of the first hit contains the words of the query."""
    found = find_first_caption(library, query)
    query_words = set(str(query.text).split()) - {"a", "an", "the", "in", "on", "at", "of", "with"}
    caption_words = " ".join(found["captions"]).split()  # type: ignore[arg-type]
    assert len(query_words & set(caption_words)) >= len(query_words) - 1, found


def test_the_demo_has_all_kinds_of_queries() -> None:
    """At least five text queries, one by picture, and one by a sum."""
    kinds = [
        type(query) if isinstance(query, list) else query.modality
        for _, query in load_demo_queries()
    ]
    assert kinds.count("text") >= 5
    assert "image" in kinds
    assert list in kinds


def test_a_picture_plus_words_finds_a_picture(library: Library) -> None:
    """The demo's sum: the boat in the fog, but red."""
    (terms,) = [query for _, query in load_demo_queries() if isinstance(query, list)]
    hits = library.search(terms, SearchOptions(count=3))
    files = [str(Path(hit.path).relative_to(PHOTOS)) for hit in hits]
    assert "red-boat" in files[0], files


def test_words_find_pictures_in_every_way(
    shared: RememberingEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name, a caption and a place: in a command, by the API and, with Chromium, in the page."""
    folder, data = tmp_path / "photos", tmp_path / "library"
    folder.mkdir()
    for name, photo in WORD_PHOTOS.items():
        shutil.copyfile(PHOTOS / photo, folder / name)
    (folder / "owl.jpg.xmp").write_bytes(make_xmp("", BERTAS_TITLE))

    def lend(spec: object, **_: object) -> UnclosedEngine:
        return shared

    with Library.open(data, create=True, start=lend) as library:
        *_, last = library.index([folder], IndexOptions("starter"))
        hits = library.search(Query("a boat in Lisbon"), SearchOptions(by="vector"))
        boats = [name for hit in hits if (name := Path(hit.path).name).startswith("boat")]
        # The boat that the vectors rank last is in Lisbon, and so is a picture without a boat.
        for name, position in ((boats[-1], LISBON), ("cows.jpg", LISBON), (boats[0], MUNICH)):
            (folder / f"{name}.xmp").write_bytes(make_xmp(position))
        *_, last = library.index([folder], IndexOptions("starter"))
        assert isinstance(last, RunFinished) and last.summary.described == 3
    expected = (  # question, first picture, why
        ("IMG_9001", "IMG_9001.jpg", "name"),
        ("aunt berta's birthday", "owl.jpg", "caption"),
        ("a boat in Lisbon", boats[-1], "place"),
    )
    monkeypatch.setattr("searchapp.engines.start_engine", lend)
    environment = library_environment(tmp_path)
    for question, name, reason in expected:
        arguments = ["query", question, "--no-daemon", "--json", "--library", str(data)]
        first = json.loads(CliRunner().invoke(cli, arguments, env=environment).stdout)[0]
        assert Path(first["path"]).name == name, (question, first)
        assert reason in {match["by"] for match in first["match"]}
    with serve_library(data, lend) as url, httpx.Client(base_url=url, timeout=120) as client:
        search_api(client, text="red")
        for question, name, reason in expected:
            first = search_api(client, text=question).json()["hits"][0]
            assert first["name"] == name, (question, first)
            assert reason in {match["by"] for match in first["match"]}
        places = client.get("/api/v1/facets").json()["place_names"]["values"]
        assert {("Lisbon", 2), ("Munich", 1), ("Germany", 1)} <= set(map(tuple, places))
        if CHROMIUM_PATH is not None and sync_api is not None:
            browser = SharedChromium()
            page = BrowserTabs(browser.get()).open_page(url)
            for question, name, _ in expected:
                type_query(page, question)
                expect_first(page, name)
            browser.close()


def test_an_unrelated_query_scores_low(library: Library) -> None:
    """Its best score is far below that of a good match."""
    (good,) = library.search(Query("a snowman on a sunny day"), SearchOptions(count=1))
    (bad,) = library.search(Query("a quarterly report on interest rates"), SearchOptions(count=1))
    assert good.score > bad.score + 0.2


def test_vectors_equal_those_of_transformers(engine: LocalEngine) -> None:
    """Pictures, and texts from one word up to the limit, alone and in mixed batches, to 1e-3."""
    import torch
    from transformers import AutoImageProcessor, AutoTokenizer, SiglipModel

    folder = engine.spec.source
    model = SiglipModel.from_pretrained(folder).float().eval()
    processor = AutoImageProcessor.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [" ".join(["red boat at sunset"] * n)[: 6 * n] for n in range(1, 16)]
    files = [PHOTOS / entry["file"] for entry in CAPTIONS[:6]]
    pictures = [
        decode.prepare_picture(file.read_bytes(), engine.spec.image).image for file in files
    ]
    with torch.inference_mode():
        inputs = tokenizer(texts, padding="max_length", return_tensors="pt")
        text_output = model.text_model(input_ids=inputs["input_ids"]).pooler_output.numpy()
        picture_output = model.vision_model(
            **processor(pictures, return_tensors="pt")
        ).pooler_output.numpy()
    items = [query_vector.make_engine_input(engine.spec, Query(text)) for text in texts]
    items += [query_vector.make_engine_input(engine.spec, Query(image=file)) for file in files]
    expected = np.concatenate([text_output, picture_output])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    mixed = items[::2] + items[1::2]
    order = [*range(0, len(items), 2), *range(1, len(items), 2)]
    together = query_vector.embed_queries(engine, mixed)
    for vector, number in zip(together, order, strict=True):
        assert 1 - float(vector @ expected[number]) < 1e-3
    for number in (0, 7, 14, 15):
        (alone,) = query_vector.embed_queries(engine, [items[number]])
        assert 1 - float(alone @ expected[number]) < 1e-3


def test_eval_measures_the_starter(shared: RememberingEngine) -> None:
    """`searchapp eval` on the demo's pictures; near duplicates count as wrong."""
    *_, result = evaluate_model(shared, read_captions(PHOTOS / "captions.json"), PHOTOS)
    assert isinstance(result, Evaluation)
    assert (result.images, result.captions) == (120, 360)
    assert result.text_to_image.r1 > 90
    assert result.text_to_image.r5 > 99


def test_the_wheel_contains_the_starter(tmp_path: Path) -> None:
    """`--model starter` works from an installed wheel of less than 100 MB."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", tmp_path, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 100_000_000
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    for name in ("model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json"):
        assert f"searchapp/starter/{name}" in names
    code = "from searchapp import models; print(models.resolve_model('starter').source)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "installed", capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert result.stdout.strip() == str(tmp_path / "installed/searchapp/starter")


def read_vectors(library: Library) -> dict[str, np.ndarray]:
    """Return the stored vectors by the hash of the picture."""
    with sqlite3.connect(library.folder / "catalog.db") as db:
        rows = db.execute(
            "select sha256, vector from embeddings e join images i on i.id = image_id"
        )
        return {sha256: np.frombuffer(vector, "<f2").astype("f4") for sha256, vector in rows}


@needs_effort
def test_a_ray_engine_gives_the_same_vectors(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An actor with vLLM embeds like the engine of this process."""
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default: it would wait on a busy machine

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ClusterProcess:
        try:
            return connect_to_cluster(job, "local")
        except EngineError as error:
            if str(error).startswith("the Ray cluster at local"):  # Ray itself does not start
                pytest.skip(str(error))
            raise

    with Library.open(tmp_path / "library", create=True, start_many=start) as clustered:
        *_, last = clustered.index([PHOTOS], IndexOptions("starter", limit=12))
        assert isinstance(last, RunFinished)
        assert (last.summary.added, last.summary.failed) == (12, 0)
        ray_vectors, local_vectors = read_vectors(clustered), read_vectors(library)
    assert 0 < len(ray_vectors) <= 12
    for sha256, vector in ray_vectors.items():
        assert vector @ local_vectors[sha256] > 0.999
