"""Inspect candidate pairs in detail, on several threads, and remember the results.

A picture is given as its position in image_ids. The catalog keeps each result, so a later search
decodes only new pictures.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice

import numpy as np

from searchapp.catalog import Fingerprints
from searchapp.duplicates.borders import Box
from searchapp.duplicates.existing_images import ExistingImages
from searchapp.duplicates.fingerprint import INVERSE_TURNS
from searchapp.duplicates.group_pairs import UnionFind
from searchapp.duplicates.inspect_pair import Edit, Inspection, inspect_frames
from searchapp.duplicates.open_frames import FrameReader
from searchapp.duplicates.registration import Transform, invert, window_to_transform
from searchapp.engines.machine import list_cores
from searchapp.errors import PictureError
from searchapp.pictures.decoder_threads import ReaderPool, ReaderTask
from searchapp.types import DuplicateCertainty, Progress
from searchapp.vectors import Ids

INSPECTION_VERSION = 6  # stored with each result; others are computed again
MAX_DIFFERENT = 32  # look-alikes that one picture is compared with, the most alike first
# Two groups of duplicates are different pictures after so many pairs of their pictures differ.
MAX_DIFFERENT_PAIRS = 4
TIMEOUT_S = 60.0  # for one pair, and for each frame of an animation
MAX_PAIRS_AHEAD = 64  # in the threads' queue

Pair = tuple[int, int]  # the lower position first


@dataclass(frozen=True, slots=True)
class Candidate:
    """How two pictures may fit together."""

    turn: int  # of the second picture; index in fingerprint.TURNS
    window: tuple[float, float, float, float]  # of one picture, that the other one shows
    is_second_inner: bool
    first_content: Box | None  # compare this part; None: the picture has no border
    second_content: Box | None
    matched_share: float
    is_reversed: bool = False  # the pair's second picture comes first here


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """How the second image of a pair duplicates the first."""

    certainty: DuplicateCertainty
    turn: int = 0  # index in fingerprint.TURNS
    cut_share: float = 0.0  # share of a side that the cropped image lacks
    is_second_cropped: bool = True  # the second image is the cropped one, not the first
    first_edits: tuple[Edit, ...] = ()  # what was done to the first image
    second_edits: tuple[Edit, ...] = ()


PairVerdicts = dict[Pair, PairVerdict]


class PairInspector:
    """Finds out which candidate pairs are duplicates."""

    def __init__(self, store: Fingerprints, images: ExistingImages, image_ids: Ids) -> None:
        """Read earlier results. images: the pictures of the pairs must be loaded in it."""
        self._store, self._images, self._image_ids = store, images, image_ids
        self._reader = FrameReader(images)
        self._unsaved: dict[Pair, str] = {}
        self._known = self._read_known_results()
        self.unreadable_positions = set[int]()  # text pages that are too small to compare

    def inspect_pairs(
        self, candidates: Mapping[Pair, list[Candidate]], same: Iterable[Pair], found: PairVerdicts
    ) -> Iterator[Progress]:
        """Inspect pairs, and add the verdicts on the duplicates among them to `found`.

        Not every pair is inspected: two pictures that are duplicates of a third one are compared
        when their group is made. same: pairs that are known to be duplicates.
        """
        parts, different, different_pairs = UnionFind(same), Counter[int](), list[Pair]()
        pending = sorted(candidates, key=lambda pair: self._rank_pair(pair, candidates[pair][0]))
        total = sum(pair not in self._known for pair in pending)
        done = 0
        while pending:
            batch, later = list[Pair](), list[Pair]()
            different_parts = Counter(parts.find_parts(pair) for pair in different_pairs)
            # If all pairs of this round are duplicates, no pair of it follows from others.
            expected = parts.copy()
            for pair in pending:
                if parts.are_joined(*pair) or max(different[n] for n in pair) >= MAX_DIFFERENT:
                    continue
                if different_parts[parts.find_parts(pair)] >= MAX_DIFFERENT_PAIRS:
                    continue
                if expected.are_joined(*pair):
                    later.append(pair)
                    continue
                expected.join(*pair)
                batch.append(pair)
            saved = self._known.keys() & set(batch)
            for pair, verdict in self._inspect_batch({pair: candidates[pair] for pair in batch}):
                if verdict is None:
                    different.update(pair)
                    different_pairs.append(pair)
                else:
                    parts.join(*pair)
                    found[pair] = verdict
                if pair in saved:
                    continue
                done += 1
                yield Progress(done, total, images_per_second=0.0)  # It counts pairs.
            pending = later

    def _rank_pair(self, pair: Pair, candidate: Candidate) -> tuple[float, int, float, Pair]:
        """Return the sort key of a pair: first those of the largest picture, the most alike first.

        The largest picture without a border is probably the one to keep. Each duplicate of it must
        be compared with it.
        """
        contents = [candidate.first_content, candidate.second_content]
        ranks = []
        for position, content in zip(
            pair, reversed(contents) if candidate.is_reversed else contents, strict=True
        ):
            size = self._images[position].width, self._images[position].height
            width, height = content.scale(*size) if content else size
            ranks.append((-width * height, position))
        return (*min(ranks), -candidate.matched_share, pair)

    def inspect_all_pairs(self, candidates: Mapping[Pair, list[Candidate]]) -> PairVerdicts:
        """Inspect each of these pairs; return the verdicts on the duplicates among them."""
        verdicts = self._inspect_batch(candidates)
        return {pair: verdict for pair, verdict in verdicts if verdict is not None}

    def has_new_pairs(self, pairs: Iterable[Pair]) -> bool:
        """Return whether any of these pairs has no saved result."""
        return any(pair not in self._known for pair in pairs)

    def save_results(self) -> None:
        """Write new results to the catalog; the caller holds the writer lock."""
        results = self._unsaved
        ids = self._image_ids
        self._store.save_inspections(
            INSPECTION_VERSION,
            (((int(ids[a]), int(ids[b])), text) for (a, b), text in results.items()),
        )
        self._unsaved = {}

    def _read_known_results(self) -> dict[Pair, str]:
        saved = self._store.read_inspections(INSPECTION_VERSION, self._image_ids)
        position_by_id = {id: number for number, id in enumerate(self._image_ids.tolist())}
        return {
            (position_by_id[first], position_by_id[second]): result
            for (first, second), result in saved.items()
            if first in position_by_id and second in position_by_id
        }

    def _inspect_batch(
        self, candidates: Mapping[Pair, list[Candidate]]
    ) -> Iterator[tuple[Pair, PairVerdict | None]]:
        new = iter(sorted(pair for pair in candidates if pair not in self._known))
        for pair in candidates:
            if pair in self._known:
                yield pair, self._read_result(pair, self._known[pair])
        readers: ReaderPool[str | None] | None = None
        running: deque[tuple[Pair, ReaderTask[str | None]]] = deque()
        try:
            while True:
                for pair in islice(new, MAX_PAIRS_AHEAD - len(running)):
                    readers = readers or ReaderPool(len(list_cores()))
                    call = partial(self._inspect_pair, pair, candidates[pair])
                    running.append((pair, readers.submit(call)))
                if not running or readers is None:
                    break
                pair, task = running.popleft()
                result = readers.wait_for_result(task, TIMEOUT_S, lambda: None)
                if result is None:  # A picture cannot be read now: look again the next time.
                    yield pair, None
                    continue
                self._known[pair] = self._unsaved[pair] = result
                yield pair, self._read_result(pair, result)
        finally:
            if readers is not None:
                readers.close()

    def _read_result(self, pair: Pair, result: str) -> PairVerdict | None:
        """Return the verdict of a saved result; None if the two pictures are no duplicates."""
        values = json.loads(result)
        if values["result"] == "unreadable":
            self.unreadable_positions.update(pair)
        if values.pop("result") != "same":
            return None
        edits = [tuple(values.pop(name)) for name in ("first_edits", "second_edits")]
        return PairVerdict("near", **values, first_edits=edits[0], second_edits=edits[1])

    def _inspect_pair(
        self, pair: Pair, candidates: list[Candidate], task: ReaderTask[str | None]
    ) -> str | None:
        """Return the result of inspecting a pair, as JSON; None if a file cannot be read."""
        inspection, best = Inspection("different"), None
        try:
            for candidate in candidates:
                with task.limit_time(self._reader.get_frame_count(pair[0])):
                    inspection = self._compare_frames(pair, candidate)
                if inspection.result == "same":
                    best = candidate
                    break
        except PictureError:
            return None
        if best is None or inspection.transform is None:
            return json.dumps({"result": inspection.result})
        verdict = make_verdict(best, inspection)
        values = asdict(verdict)
        values.pop("certainty")
        return json.dumps({"result": "same", **values})

    def _compare_frames(self, pair: Pair, candidate: Candidate) -> Inspection:
        """Compare two pictures frame by frame, up to the first frame that differs."""
        start = window_to_transform(candidate.window, not candidate.is_second_inner)
        first, second = pair[::-1] if candidate.is_reversed else pair
        frames = zip(
            self._reader.read_frames(first, candidate.first_content, 0),
            self._reader.read_frames(second, candidate.second_content, candidate.turn),
            strict=True,
        )
        first_result: Inspection | None = None
        for one, other in frames:
            inspection = inspect_frames(one, other, start)
            if inspection.result != "same":
                return inspection
            first_result = first_result or inspection
        assert first_result is not None
        return first_result


def make_verdict(candidate: Candidate, inspection: Inspection) -> PairVerdict:
    """Return the verdict on a pair that an inspection has found to be the same."""
    assert inspection.transform is not None
    size = _measure_size(inspection.transform)
    is_second_cropped = bool(size[0] * size[1] <= 1)
    if not is_second_cropped:
        size = _measure_size(invert(inspection.transform))
    edits = [
        _add_border(inspection.first_edits, candidate.first_content),
        _add_border(inspection.second_edits, candidate.second_content),
    ]
    turn, cut_share = candidate.turn, round(max(0.0, 1 - float(size.min())), 4)
    if candidate.is_reversed:
        turn, is_second_cropped = INVERSE_TURNS[turn], not is_second_cropped
        edits.reverse()
    return PairVerdict("near", turn, cut_share, is_second_cropped, edits[0], edits[1])


def _add_border(edits: tuple[Edit, ...], content: Box | None) -> tuple[Edit, ...]:
    return edits if content is None or "border" in edits else (*edits, "border")


def _measure_size(transform: Transform) -> Transform:
    """Return the mean width and height of the window that a transform maps a picture to, [2]."""
    corners = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1.0]]) @ transform.T
    x, y = (corners[:, :2] / corners[:, 2:]).T
    return np.array([(x[1] + x[3] - x[0] - x[2]) / 2, (y[2] + y[3] - y[0] - y[1]) / 2])
