"""A folder of hostile files: each is embedded, or a failure with a true reason, or let alone."""

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
from support.paths import TESTS

from searchapp.errors import PictureError
from searchapp.pictures import decode

MOST_MEMORY = 600  # MiB; a single bomb that goes off takes more
MOST_SECONDS = 120  # of a run over all of them, on a slow machine
AS_IT_IS = 1.0  # of 255: how much a picture may differ from the one it has to be

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
        return ReplicaPool(replace(job, engine="support.hostile_files:FileChangingEngine", starts_early=True), make_environments(2))

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
    # Of itself ru_maxrss would tell what pytest had when it forked.
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
    """What a run made of a folder."""

    embedded: set[str]
    failures: dict[str, tuple[str, str]]  # stage and reason
    peak: int  # MiB
    seconds: float


def give_up_rights() -> None:
    """Let permissions count for root, too, in the program that is started next."""
    for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP


def index(folder: Path, model: Path, library: Path, workers: int) -> Outcome:
    """Index a folder in a process of its own; fail where that crashes or hangs."""
    begun = time.monotonic()
    arguments = [str(TESTS), folder, model, library, workers]
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(RUN), *map(str, arguments)],
        text=True, capture_output=True, timeout=MOST_SECONDS, check=False,
        preexec_fn=give_up_rights,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    told = json.loads(process.stdout)
    seconds = time.monotonic() - begun
    failures = {path: (stage, message) for path, stage, message in told["failures"]}
    assert len(failures) == len(told["failures"]) == told["failed"]
    assert len(told["embedded"]) == told["added"]
    return Outcome(set(told["embedded"]), failures, told["peak"], seconds)


@pytest.fixture
def corpus(
    tmp_path: Path,
) -> Iterator[tuple[Path, list[hostile_files.HostileFile]]]:
    folder = tmp_path / "hostile"
    folder.mkdir()
    yield folder, hostile_files.write_hostile_files(folder)
    (folder / "closed").chmod(0o700)


def pixels(data: bytes) -> np.ndarray:
    image, _ = decode.decode_picture(data, lambda width, height: (width, height))
    return np.asarray(image).astype(int)


def shows(data: bytes, original: bytes) -> bool:
    found, expected = pixels(data), pixels(original)
    return found.shape == expected.shape and abs(found - expected).mean() < AS_IT_IS


def fault(made: hostile_files.HostileFile, path: str, outcome: Outcome) -> str | None:
    """Say what is wrong with what became of a file."""
    embedded, failure = path in outcome.embedded, outcome.failures.get(path)
    if embedded and failure:
        return "both embedded and a failure"
    if made.expected_outcome == hostile_files.SKIPPED:
        return "not left alone" if embedded or failure else None
    if embedded:
        if made.expected_outcome != hostile_files.EMBEDDED and not made.can_be_embedded:
            return "embedded"
        if made.original and not shows(made.data, made.original):
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
    """None is lost, none is taken for what it is not, none ends or holds up the run."""
    folder, made = corpus
    outcome = index(folder, model, tmp_path / "library", workers)
    faults = {
        hostile.name: said
        for hostile in made
        if (said := fault(hostile, str(folder / hostile.name), outcome))
    }
    named = {str(folder / hostile.name) for hostile in made}
    late = [path for path, (_, said) in outcome.failures.items() if "took longer" in said]
    lost = [name for name, said in faults.items() if said == "lost"]
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
    assert outcome.peak < MOST_MEMORY


FUZZ_SECONDS = 10.0
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sound picture with up to four changes: bytes set, numbers set, parts moved or removed."""
    data = bytearray(draw(st.sampled_from(list(hostile_files.make_sound_pictures().values()))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)) | st.integers(0, min(400, len(data))))
        length = draw(st.integers(0, 64))
        change = draw(st.sampled_from(("set", "number", "remove", "repeat", "cut")))
        if change == "set":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif change == "number":
            order = draw(st.sampled_from(("big", "little")))
            size = draw(st.sampled_from((2, 4)))
            number = draw(st.sampled_from(NUMBERS)) & (1 << 8 * size) - 1
            data[at : at + size] = number.to_bytes(size, order)
        elif change == "remove":
            del data[at : at + length]
        elif change == "repeat":
            data[at:at] = data[at : at + length] * draw(st.integers(1, 20))
        elif change == "cut":
            del data[len(data) - length :]
    return bytes(data)


def test_fuzzed_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the bytes are, decode returns an RGB picture within the limit, or a PictureError."""
    begun, decoded, refused = time.monotonic(), 0, 0

    @settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
    @given(mutated())
    def fuzz(data: bytes) -> None:
        nonlocal decoded, refused
        if time.monotonic() - begun > FUZZ_SECONDS:
            return
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
    assert min(decoded, refused) > 50
