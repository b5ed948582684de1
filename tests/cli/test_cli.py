"""The commands with a fake engine: output on stdout and stderr, and exit codes."""

import functools
import http.server
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from support.library import FakeEngines, RunCommand
from support.metadata_files import make_xmp
from support.sample_pictures import save_picture

from searchapp.cli import COMMANDS
from searchapp.cli.bench import COMMANDS as BENCH
from searchapp.cli.saved import COMMANDS as SAVED
from searchapp.models import MODELS, list_available_models
from searchapp.models.qwen3_vl_reranker import RERANKERS


@pytest.fixture
def indexed(run: RunCommand, photos: Path, model: Path) -> Result:
    """Index the three pictures."""
    return run("index", photos, "--model", model)


def test_index_prints_a_summary_on_stderr(indexed: Result) -> None:
    """The summary is on stderr; stdout is empty."""
    assert indexed.exit_code == 0
    assert indexed.stdout == ""
    assert "3 picture files, 3 to read" in indexed.stderr
    assert "starting vLLM with fake-clip ..." in indexed.stderr
    assert "3 added; " in indexed.stderr


def test_index_prints_one_json_object(run: RunCommand, photos: Path, model: Path) -> None:
    """The keys of the JSON object do not change; new ones come last."""
    (photos / "bad.jpg").touch()
    result = run("index", photos, "--model", model, "--json")
    summary = json.loads(result.stdout)
    assert list(summary) == [
        "added", "unchanged", "moved", "removed", "kept", "failed", "described", "recognized",
        "left_out", "seconds", "images_per_second", "stages", "unlisted",
    ]  # fmt: skip
    assert [summary[key] for key in ("added", "unchanged", "failed")] == [3, 0, 1]
    assert f"skipped {photos}/bad.jpg: the file is empty" in result.stderr


def test_the_summary_names_failures_only_for_what_it_lists(
    run: RunCommand, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`failures` lists files. A folder that cannot be read is named by the run."""
    (photos / "bad.jpg").touch()
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if str(folder).endswith("below"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    result = run("index", photos, "--model", model)
    assert f"skipped {photos}/below: " in result.stderr
    assert "1 skipped (see `searchapp failures`), 1 skipped (named above); " in result.stderr
    assert len(run("failures", "--paths").stdout.splitlines()) == 1


def test_index_says_once_that_no_gpu_decodes(run: RunCommand, photos: Path, model: Path) -> None:
    """By default, nothing is said."""
    message = "decoding JPEGs on the CPU: there is no GPU"
    assert message not in run("index", photos, "--model", model).stderr
    save_picture(photos / "new.jpg", "orange")
    result = run("index", photos, "--decode", "gpu")
    assert result.exit_code == 0
    assert "1 added, 3 unchanged; " in result.stderr
    assert result.stderr.count(message) == 1
    assert run("index", photos, "--decode", "tpu").exit_code == 2


def test_query_shows_scores_and_paths(run: RunCommand, indexed: Result, photos: Path) -> None:
    """There is one line for each image, best first."""
    lines = run("query", "blue", "-k", 2).stdout.splitlines()
    assert len(lines) == 2
    assert lines[0] == f"1.000  {photos}/below/blue.jpg  [name]"
    assert "[" not in lines[1]


def test_query_by_text(run: RunCommand, indexed: Result, photos: Path) -> None:
    """Words in names and captions find pictures; the output says why, and no model is needed."""
    title = "<dc:title><rdf:Alt><rdf:li>The House by the Sea</rdf:li></rdf:Alt></dc:title>"
    (photos / "red.jpg.xmp").write_bytes(make_xmp(elements=title))
    run("index", photos)
    result = run("query", "house sea", "--by", "text")
    assert result.stdout == f"0.800  {photos}/red.jpg  [caption: The House by the Sea]\n"
    (hit,) = json.loads(run("query", '"by the sea"', "--by", "text", "--json").stdout)
    assert hit["match"] == [{"by": "caption", "snippet": "The House by the Sea", "boxes": []}]
    assert run("query", "--by", "text", "nothing").stderr.endswith("no match\n")
    result = run("query", "--by", "text", "--image", photos / "red.jpg")
    assert result.exit_code == 2
    assert "a search by text needs words" in str(result.exception)


def test_query_prints_json(run: RunCommand, indexed: Result, photos: Path) -> None:
    """There is one object for each image; other files with the same bytes are in `also`."""
    (photos / "copy.jpg").write_bytes((photos / "red.jpg").read_bytes())
    run("index", photos)
    hits = json.loads(run("query", "--image", photos / "red.jpg", "--json").stdout)
    assert list(hits[0]) == [
        "path", "score", "sha256", "width", "height", "also", "taken_at", "date", "date_from",
        "camera", "lens", "rating", "keywords", "title", "latitude", "longitude", "city", "region",
        "country", "seconds", "moments", "companions", "match", "good_match",
        "rerank_score",
    ]  # fmt: skip
    assert hits[0]["path"] == str(photos / "red.jpg")
    assert hits[0]["score"] > 0.999
    assert hits[0]["also"] == [str(photos / "copy.jpg")]
    assert len(hits) == 3


def test_query_feeds_xargs(run: RunCommand, indexed: Result, photos: Path) -> None:
    """Paths keep their bytes, one on each line or each with a null byte."""
    strange = photos / "two\nlines.jpg"
    (photos / "red.jpg").rename(strange)
    run("index", photos)
    assert run("query", "red", "-0", "-k", 1).stdout_bytes == f"{strange}\0".encode()
    assert run("query", "red", "--paths", "-k", 1).stdout_bytes == f"{strange}\n".encode()
    assert run("query", "red", "-k", 1).stdout == f"1.000  {photos}/two\\nlines.jpg\n"


def test_query_within_limits(run: RunCommand, indexed: Result, photos: Path) -> None:
    """No hit is a success, with a note on stderr."""
    result = run("query", "red", "--in", photos / "below", "--paths")
    assert result.stdout == f"{photos}/below/blue.jpg\n"
    result = run("query", "red", "--in", photos / "below", "--min-score", 0.9)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no picture matches the query within its filters and limits" in result.stderr
    assert run("query", "red", "--min-score", 2, "--json").stdout == "[]\n"


def test_query_writes_a_page(run: RunCommand, indexed: Result, tmp_path: Path) -> None:
    """The page contains the pictures, and loads nothing from the network."""
    page = tmp_path / "found.html"
    result = run("query", "red", "-k", 2, "--html", page)
    assert f"wrote 2 pictures to {page}" in result.stderr
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 2
    assert "red.jpg" in text
    assert "http://" not in text and "https://" not in text


@pytest.fixture
def server(photos: Path) -> Iterator[str]:
    """Serve the photos over HTTP."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(photos))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_a_picture_by_url(run: RunCommand, indexed: Result, photos: Path, server: str) -> None:
    """--image accepts a URL; a failed download is an error with its reason."""
    assert run("query", "--image", f"{server}/red.jpg", "--paths", "-k", 1).stdout == (
        f"{photos}/red.jpg\n"
    )
    result = run("query", "--image", f"{server}/none.jpg")
    assert result.exit_code == 1
    assert f"{server}/none.jpg: the picture cannot be fetched: the server answers 404" in str(
        result.exception
    )
    result = run("query", "--image", "http://127.0.0.1:9/x.jpg")
    assert result.exit_code == 1
    assert "the picture cannot be fetched: " in str(result.exception)


def test_embed_prints_one_list(run: RunCommand, photos: Path, model: Path) -> None:
    """The vector of a text or picture has length one; no library is needed."""
    for arguments in (["--modality", "text", "--text", "red"], ["--image", photos / "red.jpg"]):
        vector = json.loads(run("embed", "--model", model, *arguments).stdout)
        assert len(vector) == 48
        assert sum(x * x for x in vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", ""], "--modality image needs --image FILE or URL"),
        (["--modality", "text", "--text", ""], "--modality text needs --text"),
        (["--modality", "text+image", "--text", "a"], "needs --image"),
        (["--modality", "text", "--text", "a", "--image", "b"], "text takes no --image"),
        (["--modality", "image", "--text", "a", "--image", "b"], "image takes no --text"),
    ],
)
def test_embed_says_what_it_needs(
    run: RunCommand, model: Path, arguments: list[str], message: str
) -> None:
    """A missing input is a usage error."""
    result = run("embed", "--model", model, *arguments)
    assert result.exit_code == 2
    assert message in str(result.exception)


def test_info_models_and_failures(
    run: RunCommand, indexed: Result, photos: Path, model: Path
) -> None:
    """The commands print text and JSON."""
    (photos / "bad.jpg").touch()
    run("index", photos)
    assert "3 in 3 files" in run("info").stdout
    info = json.loads(run("info", "--json").stdout)
    assert (info["images"], info["collections"][0]["model"]) == (3, str(model))
    assert run("failures").stdout == f"{photos}/bad.jpg: the file is empty (read)\n"
    (failure,) = json.loads(run("failures", "--json").stdout)
    assert failure == {
        "path": f"{photos}/bad.jpg", "stage": "read", "message": "the file is empty",
    }  # fmt: skip
    listed = json.loads(run("models", "--json").stdout)
    names = [entry["name"] for entry in listed]
    assert names == [*(spec.name for spec in list_available_models()), *RERANKERS]
    assert set(MODELS) <= set(names)
    assert all(name in run("models").stdout for name in names)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["query"], 2, "nothing to look for"),
        (["query", "--rating", "4+", "--min-score", "0.3"], 2, "nothing to look for"),
        (["query", "--rating", "4+", "--by", "text"], 2, "nothing to look for"),
        (["query", "x", "-k", "0"], 2, "0 is not in the range"),
        (["query", "x"], 1, "no library at"),
        (["info"], 1, "no library at"),
        (["index"], 2, "Missing argument 'FOLDER|FILE|URL...'"),
        (["index", "/nowhere"], 1, "/nowhere: no such folder"),
        (["index", "/tmp", "--model", "nonsense"], 1, "unknown model nonsense; use starter, "),
        (
            ["index", "/tmp", "--model", "./nowhere"],
            1,
            "there is no model folder at ./nowhere; give another",
        ),
        (["index", "/tmp", "--batch-size", "0"], 2, "0 is not in the range"),
    ],
)
def test_every_mistake_has_its_message(
    run: RunCommand, arguments: list[str], code: int, message: str
) -> None:
    """Each error has a message and an exit code, and no traceback."""
    result = run(*arguments)
    assert result.exit_code == code
    assert message in (str(result.exception) if code == 1 else f"{result.stderr}{result.exception}")


def test_what_is_no_library(run: RunCommand, photos: Path, model: Path, tmp_path: Path) -> None:
    """A file, garbage, a foreign database and a catalog of a newer version are refused."""
    library = tmp_path / "library"
    library.write_text("a file")
    result = run("index", photos, "--model", model)
    assert result.exit_code == 1
    assert "is a file, but a library is a folder" in str(result.exception)
    library.unlink()
    library.mkdir()

    (library / "catalog.db").write_text("garbage" * 1000)
    assert "cannot be opened as a catalog" in str(run("info").exception)
    (library / "catalog.db").unlink()

    with sqlite3.connect(library / "catalog.db") as other:
        other.execute("create table theirs (id)")
    assert "is not a searchapp catalog. Choose another library folder" in str(run("info").exception)
    (library / "catalog.db").unlink()

    run("index", photos, "--model", model)
    with sqlite3.connect(library / "catalog.db") as newer:
        newer.execute(
            "insert into _sqlite_migrations (migration_set, name, applied_at)"
            " values ('searchapp', 'm999_future', '2030-01-01')"
        )
    assert "written by a newer version of searchapp. Upgrade searchapp:" in str(
        run("info").exception
    )


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "because it has no config.json"),
        ("tokenizer.json", "the folder has no tokenizer"),
        ("preprocessor_config.json", "the folder has no image processor"),
        ("model.safetensors", "the folder has no weights"),
    ],
)
def test_an_incomplete_model_folder(
    run: RunCommand, photos: Path, model: Path, missing: str, message: str
) -> None:
    """The message names the missing file."""
    (model / missing).unlink()
    result = run("index", photos, "--model", model)
    assert result.exit_code == 1
    assert message in str(result.exception)


def test_a_model_with_an_unknown_architecture(run: RunCommand, photos: Path, model: Path) -> None:
    """The message names the architecture, or what is wrong with config.json."""
    (model / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    result = run("index", photos, "--model", model)
    assert (
        "searchapp does not know the prompts of models with the architecture BertModel; "
        "if vLLM can embed pictures with it, write a model file"
    ) in str(result.exception)
    (model / "config.json").write_text(json.dumps({"architectures": ["CLIPModel"]}))
    assert "the model's configuration lacks" in str(
        run("index", photos, "--model", model).exception
    )
    (model / "config.json").write_text("{")
    assert "cannot be read" in str(run("index", photos, "--model", model).exception)


def test_variables_set_options(
    run: RunCommand, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option has a SEARCHAPP_ variable."""
    monkeypatch.setenv("SEARCHAPP_MODEL", str(model))
    monkeypatch.setenv("SEARCHAPP_LIMIT", "2")
    assert "2 added" in run("index", photos).stderr


def test_a_dry_run_changes_nothing(
    run: RunCommand, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """It prints the work, starts no engine, and makes no library."""
    result = run("index", photos, "--model", model, "--dry-run")
    assert "3 files would be read, 0 would be forgotten; nothing was changed" in result.stderr
    assert fake_engines.started_engines == []
    assert "no library at" in str(run("info").exception)


def test_relative_folders(
    run: RunCommand, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are stored as absolute paths; --in is relative to the current folder."""
    monkeypatch.chdir(photos)
    run("index", ".", "--model", model)
    save_picture(photos / "below" / "x.jpg", "yellow")
    assert run("query", "blue", "--in", "below", "--paths", "-k", 1).stdout == (
        f"{photos}/below/blue.jpg\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name in COMMANDS),
        *(["bench", n] for n in BENCH),
        *(["saved", n] for n in SAVED),
    ],
)
def test_every_listed_command_exists(run: RunCommand, command: list[str]) -> None:
    """Each command prints its help."""
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


def test_query_copies_links_and_opens_hits(
    run: RunCommand, indexed: Result, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hit is copied or linked once; a different file of the same name gets a number."""
    copies, links = tmp_path / "copies", tmp_path / "links"
    done = run("query", "red", "--no-daemon", "--copy-to", copies, "--link-to", links)
    assert "copied 3 pictures" in done.stderr and "created links to 3 pictures" in done.stderr
    assert sorted(p.name for p in copies.iterdir()) == ["blue.jpg", "green.png", "red.jpg"]
    assert (copies / "red.jpg").read_bytes() == (photos / "red.jpg").read_bytes()
    assert (links / "blue.jpg").resolve() == photos / "below" / "blue.jpg"
    assert "copied 0 pictures" in run("query", "red", "--no-daemon", "--copy-to", copies).stderr
    (copies / "red.jpg").write_bytes(b"another")
    assert "copied 1 picture " in run("query", "red", "--no-daemon", "--copy-to", copies).stderr
    assert (copies / "red-2.jpg").read_bytes() == (photos / "red.jpg").read_bytes()
    assert (copies / "red.jpg").read_bytes() == b"another"
    opened: list[str] = []
    monkeypatch.setattr("searchapp.cli.query.open_in_viewer", opened.append)
    run("query", "red", "--no-daemon", "--open")
    assert opened == [str(photos / "red.jpg")]
    (tmp_path / "file").touch()
    done = run("query", "red", "--no-daemon", "--copy-to", tmp_path / "file" / "below")
    assert done.exit_code == 1 and "Not a directory" in str(done.exception)
