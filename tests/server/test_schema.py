"""Fuzz the HTTP API by its OpenAPI schema: no request causes a server error."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.effort import EFFORT, scale
from support.library import FakeEngines, index_folder
from support.live_server import serve_with_engine

from searchapp.library import Library

SCHEMATHESIS = shutil.which("schemathesis", path=str(Path(sys.executable).parent))


@pytest.mark.skipif(SCHEMATHESIS is None, reason="schemathesis is not installed")
def test_nothing_that_fits_the_schema_is_a_server_error(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Schemathesis sends valid and invalid requests by the schema; none has a status of 5xx."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    with serve_with_engine(tmp_path / "library", fake_engines, has_reranker=True) as url:
        result = subprocess.run(
            [str(SCHEMATHESIS), "run", f"{url}/openapi.json", "--checks", "not_a_server_error",
             "--max-examples", str(scale(6)), "--seed", "7", "--no-color",
             "--exclude-path", "/metrics"],
            capture_output=True, text=True, check=False, timeout=1800 * EFFORT, cwd=tmp_path,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]
    assert "generated" in result.stdout
