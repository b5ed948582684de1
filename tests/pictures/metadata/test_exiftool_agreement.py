"""Generated files with many oddities: searchapp agrees with exiftool, or there is a known reason.

`python tests/bench/metadata_agreement.py` compares more files, and prints the reasons.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.exiftool_reference import REASONS, compare_files
from support.metadata_corpus import write_corpus


@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_every_disagreement_with_exiftool_has_a_reason(tmp_path: Path) -> None:
    """Takes 3 s: exiftool writes a third of the files, and reads all, in one call each."""
    result = compare_files(write_corpus(tmp_path, 180, seed=7))
    assert not result.unexplained
    assert result.kinds.keys() <= REASONS.keys()
    assert result.agreement > 0.85
    assert min(result.compared.values()) >= 20
