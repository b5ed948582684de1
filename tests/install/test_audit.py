"""The look-up of known vulnerabilities, and which registries the tree names: none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.paths import ROOT

FOUND = "Found 1 known vulnerability in 1 package"
LOST = "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x', port=443): Max retries"


@pytest.mark.parametrize(
    ("said", "status", "expected", "shown"),
    [
        ("No known vulnerabilities found", 0, 0, "No known"),
        (f"{FOUND}\nName Version ID\njinja2 2.10 PYSEC-2019-217", 1, 1, "PYSEC-2019-217"),
        (f"{FOUND}\n{LOST}", 1, 1, FOUND),
        (f"Traceback (most recent call last):\n{LOST}", 1, 0, f"reach its service:\n{LOST}"),
        ("Traceback (most recent call last):\nKeyError: 'x'", 1, 1, "KeyError"),
    ],
)
def test_the_audit_fails_unless_it_cannot_look_up(
    tmp_path: Path, said: str, status: int, expected: int, shown: str
) -> None:
    """Without a network the check goes on and says so; a vulnerability fails it."""
    fake = tmp_path / "pip-audit"
    fake.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexit {status}\n")
    fake.chmod(0o755)
    done = subprocess.run(
        [ROOT / ".ci" / "audit", fake], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (expected, "")
    assert shown in done.stdout


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is not a git clone")
def test_no_registry_is_named_in_the_tree() -> None:
    """PyTorch's own index excepted: pip and its relatives know theirs by themselves."""
    hosts = [name + ".org" for name in ("pypi", "pythonhosted")]
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    named = [
        file
        for file in filter(None, files)
        if (ROOT / file).is_file()
        and any(host.encode() in (ROOT / file).read_bytes() for host in hosts)
    ]
    assert named == []
