"""Test the audit of known vulnerabilities, and that no file names a package registry."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.paths import ROOT

FOUND = "Found 1 known vulnerability in 1 package"
LOST = "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x', port=443): Max retries"


@pytest.mark.parametrize(
    ("output", "status", "expected_status", "shown"),
    [
        ("No known vulnerabilities found", 0, 0, "No known"),
        (f"{FOUND}\nName Version ID\njinja2 2.10 PYSEC-2019-217", 1, 1, "PYSEC-2019-217"),
        (f"{FOUND}\n{LOST}", 1, 1, FOUND),
        (f"Traceback (most recent call last):\n{LOST}", 1, 0, f"reach its service:\n{LOST}"),
        ("Traceback (most recent call last):\nKeyError: 'x'", 1, 1, "KeyError"),
    ],
)
def test_the_audit_fails_unless_it_cannot_look_up(
    tmp_path: Path, output: str, status: int, expected_status: int, shown: str
) -> None:
    """Without a network, the audit succeeds with a note; a vulnerability is a failure."""
    fake = tmp_path / "pip-audit"
    fake.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\nexit {status}\n")
    fake.chmod(0o755)
    process = subprocess.run(
        [ROOT / ".ci" / "audit", fake], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stderr) == (expected_status, "")
    assert shown in process.stdout


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is not a git clone")
def test_no_registry_is_named_in_the_tree() -> None:
    """Only PyTorch's index is named: pip has its own default."""
    hosts = [name + ".org" for name in ("pypi", "pythonhosted")]
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    naming_files = [
        file
        for file in filter(None, files)
        if (ROOT / file).is_file()
        and any(host.encode() in (ROOT / file).read_bytes() for host in hosts)
    ]
    assert naming_files == []
