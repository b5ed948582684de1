"""Compare two encoded pictures as a search for duplicates does, without a library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchapp.duplicates import candidates, compare_pairs
from searchapp.duplicates import fingerprint as prints
from searchapp.duplicates.inspect_pair import inspect_frames
from searchapp.duplicates.open_frames import prepare_frame, shrink_frame
from searchapp.duplicates.registration import window_to_transform
from searchapp.pictures.frames import count_frames, decode_frames

MAX_MEGAPIXELS = 100.0


@dataclass(frozen=True)
class FileComparison:
    """What a comparison of two files has shown."""

    result: str  # same, different or unreadable
    edits: tuple[str, ...] = ()


def compare_files(first: bytes, second: bytes) -> FileComparison:
    """Compare two pictures, with and without their borders, in the likely orientations."""
    fingerprints = [_fingerprint(data) for data in (first, second)]
    if prints.count_frames(fingerprints)[0] != prints.count_frames(fingerprints)[1]:
        return FileComparison("different")
    contents = [prints.unpack_content(blob) for blob in fingerprints]
    # The content of a border comes first, as in judge_pairs: it names the border.
    variants = [(contents[0], None)] if contents[0] else []
    variants += [(None, contents[1])] if contents[1] else []
    variants += [(None, None)]
    frames = [shrink_frame(next(decode_frames(x, _full, MAX_MEGAPIXELS))) for x in (first, second)]
    result = "different"
    for parts in variants:
        boxes = [part and part[0] for part in parts]
        copies = [part[1] if part else fingerprints[n] for n, part in enumerate(parts)]
        sizes = [
            box.scale(*frame.colors.size) if box else frame.colors.size
            for box, frame in zip(boxes, frames, strict=True)
        ]
        ones, others = (prints.unpack_copies([copy]) for copy in copies)
        luma = np.concatenate([ones[0], others[0]])
        hashes = prints.compute_hashes(prints.compute_coefficients(luma))
        turned = candidates.add_turns(np.array([[0, 1]]), hashes, np.array([True]))
        for _, _, turn in turned.tolist():
            turns = np.array([turn])
            compared = compare_pairs.compare_copies(
                ones,
                compare_pairs.turn_copies(others, turns),
                np.array([sizes[0]]),
                compare_pairs.turn_sizes(np.array([sizes[1]]), turns),
            )
            if not compared.matched_share[0]:
                continue
            window = tuple(compared.windows[0].tolist())
            inspection = inspect_frames(
                prepare_frame(frames[0], boxes[0], 0),
                prepare_frame(frames[1], boxes[1], turn),
                window_to_transform(window, not compared.is_other_inner[0]),
            )
            if inspection.result == "same":
                edits = inspection.first_edits + inspection.second_edits
                return FileComparison("same", (*edits, *(["border"] if any(boxes) else [])))
            result = inspection.result if inspection.result == "unreadable" else result
    return FileComparison(result)


def _full(width: int, height: int) -> tuple[int, int]:
    return width, height


def _fingerprint(data: bytes) -> bytes:
    image = next(decode_frames(data, _full, MAX_MEGAPIXELS)).colors
    return prints.compute_fingerprint(image, count_frames(data, MAX_MEGAPIXELS))
