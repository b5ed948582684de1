"""Hostile files: each is embedded, fails with the right reason, or is skipped."""

import ctypes
import json
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import hostile_files
from support.effort import scale
from support.paths import TESTS

from searchapp.errors import PictureError
from searchapp.pictures import decode

MAX_MEMORY_MIB = 600  # One decompression bomb that is decoded takes more.
MAX_RUN_S = 600  # for all files on a busy machine
MAX_MEAN_DIFFERENCE = 1.0  # of 255, between a decoded picture and its original

RUN = """
    import json, os, resource, sqlite3, sys
    from dataclasses import replace
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from support import hostile_files
    from support.fake_engine import FakeEngine
    from support.replicas import make_environments
    from searchapp.indexing.embedding.replicas import ReplicaPool
    from searchapp.library import Library
    from searchapp.types import FileFailed, IndexOptions, ScanFinished

    folder, model, library_folder, workers = sys.argv[2:]

    def start_many(job, files, wanted):
        engine = "support.hostile_files:FileChangingEngine"
        changed_job = replace(job, engine=engine, starts_early=True)
        return ReplicaPool(changed_job, make_environments(2))

    hostile_files.change_file_on_read()
    many = {"start_many": start_many} if int(workers) else {"start": FakeEngine}
    with Library.open(library_folder, create=True, **many) as library:
        options = IndexOptions(model, max_megapixels=hostile_files.MAX_MEGAPIXELS)
        events = []
        for event in library.index([folder], options):
            events.append(event)
            if isinstance(event, ScanFinished):
                hostile_files.replace_by_pipe(Path(folder))
        failures = [event.failure for event in events if isinstance(event, FileFailed)]
        summary = events[-1].summary
    paths = sqlite3.connect(f"{library_folder}/catalog.db").execute(
        "select f.path from files f join embeddings e on e.image_id = f.image_id"
    )
    # Not ru_maxrss of this process: it includes the memory of pytest at the fork.
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    workers_peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak = max(int(status["VmHWM"].split()[0]), workers_peak)
    print(json.dumps({
        "embedded": [os.fsdecode(path) for path, in paths],
        "failures": [[f.path, f.stage, f.message] for f in failures],
        "added": summary.added, "failed": summary.failed, "peak": peak // 1024,
    }))
"""


@dataclass(frozen=True)
class Outcome:
    """The result of an index run over the files."""

    embedded: set[str]
    failures: dict[str, tuple[str, str]]  # stage and reason
    peak: int  # MiB
    seconds: float


def drop_root_capabilities() -> None:
    """Make file permissions apply to root in the program that starts next."""
    for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP


def index(folder: Path, model: Path, library: Path, workers: int) -> Outcome:
    """Index a folder in its own process; fail if the process crashes or hangs."""
    begun = time.monotonic()
    arguments = [str(TESTS), folder, model, library, workers]
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(RUN), *map(str, arguments)],
        text=True, capture_output=True, timeout=MAX_RUN_S, check=False,
        preexec_fn=drop_root_capabilities,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    seconds = time.monotonic() - begun
    failures = {path: (stage, message) for path, stage, message in result["failures"]}
    assert len(failures) == len(result["failures"]) == result["failed"]
    assert len(result["embedded"]) == result["added"]
    return Outcome(set(result["embedded"]), failures, result["peak"], seconds)


@pytest.fixture
def corpus(
    tmp_path: Path,
) -> Iterator[tuple[Path, list[hostile_files.HostileFile]]]:
    folder = tmp_path / "hostile"
    folder.mkdir()
    yield folder, hostile_files.write_hostile_files(folder)
    (folder / "closed").chmod(0o700)


def decode_pixels(data: bytes) -> np.ndarray:
    image, _ = decode.decode_picture(data, lambda width, height: (width, height))
    return np.asarray(image).astype(int)


def matches_original(data: bytes, original: bytes) -> bool:
    found, expected = decode_pixels(data), decode_pixels(original)
    return found.shape == expected.shape and abs(found - expected).mean() < MAX_MEAN_DIFFERENCE


def find_fault(made: hostile_files.HostileFile, path: str, outcome: Outcome) -> str | None:
    """Return how the outcome for a file is wrong; None if it is right."""
    embedded, failure = path in outcome.embedded, outcome.failures.get(path)
    if embedded and failure:
        return "both embedded and a failure"
    if made.expected_outcome == hostile_files.SKIPPED:
        return "not left alone" if embedded or failure else None
    if embedded:
        if made.expected_outcome != hostile_files.EMBEDDED and not made.can_be_embedded:
            return "embedded"
        if made.original and not matches_original(made.data, made.original):
            return "embedded, but not what it shows"
        return None
    if failure is None:
        return "lost"
    if made.expected_outcome == hostile_files.EMBEDDED or not re.search(
        made.expected_outcome, failure[1]
    ):
        return f"not a true reason: {failure[1]}"
    if failure[0] not in ([made.stage] if made.stage else ["read", "decode"]):
        return f"not the stage: {failure[0]}"
    return None


@pytest.mark.parametrize("workers", [0, 2], ids=["one process", "workers"])
def test_hostile_files(
    corpus: tuple[Path, list[hostile_files.HostileFile]],
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    workers: int,
) -> None:
    """No file is lost or misdetected, and none ends or blocks the run."""
    folder, made = corpus
    outcome = index(folder, model, tmp_path / "library", workers)
    faults = {
        hostile.name: problem
        for hostile in made
        if (problem := find_fault(hostile, str(folder / hostile.name), outcome))
    }
    named = {str(folder / hostile.name) for hostile in made}
    late = [path for path, (_, reason) in outcome.failures.items() if "took longer" in reason]
    lost = [name for name, problem in faults.items() if problem == "lost"]
    with capsys.disabled():
        print(
            f"\nhostile files tried {len(made)}: embedded {len(outcome.embedded)}, failures with a "
            f"reason {len(outcome.failures)}, left alone "
            f"{len(made) - len(outcome.embedded) - len(outcome.failures)}; lost {len(lost)}, "
            f"wrong {len(faults) - len(lost)}, hung {len(late)}; {outcome.seconds:.0f} s, "
            f"at most {outcome.peak} MiB "
        )
    assert len(made) >= 300
    assert not faults, faults
    assert not late
    assert outcome.embedded | set(outcome.failures) <= named
    assert outcome.peak < MAX_MEMORY_MIB


NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a valid picture with 1 to 4 mutations: changed, repeated or removed bytes."""
    data = bytearray(draw(st.sampled_from(list(hostile_files.make_sound_pictures().values()))))
    for _ in range(draw(st.integers(1, 4))):
        offset = draw(st.integers(0, len(data)) | st.integers(0, min(400, len(data))))
        length = draw(st.integers(0, 64))
        change = draw(st.sampled_from(("set", "number", "remove", "repeat", "cut")))
        if change == "set":
            data[offset : offset + 1] = bytes([draw(st.integers(0, 255))])
        elif change == "number":
            order = draw(st.sampled_from(("big", "little")))
            size = draw(st.sampled_from((2, 4)))
            number = draw(st.sampled_from(NUMBERS)) & (1 << 8 * size) - 1
            data[offset : offset + size] = number.to_bytes(size, order)
        elif change == "remove":
            del data[offset : offset + length]
        elif change == "repeat":
            data[offset:offset] = data[offset : offset + length] * draw(st.integers(1, 20))
        elif change == "cut":
            del data[len(data) - length :]
    return bytes(data)


def test_fuzzed_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    """For any bytes, decode returns an RGB picture within the limits, or raises PictureError."""
    decoded, refused = 0, 0

    @settings(max_examples=scale(400), deadline=None, suppress_health_check=list(HealthCheck))
    @given(mutated())
    def fuzz(data: bytes) -> None:
        nonlocal decoded, refused
        try:
            image, info = decode.decode_picture(
                data, lambda width, height: (32, 32), max_megapixels=1
            )
        except PictureError as error:
            refused += 1
            assert str(error).isprintable()
        else:
            decoded += 1
            assert image.mode == "RGB"
            assert 0 < info.width * info.height <= 1e6

    fuzz()
    with capsys.disabled():
        print(f"\nfuzzed pictures {decoded + refused}: decoded {decoded}, refused {refused} ")
    assert min(decoded, refused) > 10  # of 400; how many varies with the random mutations
