"""Find training photos that look like held-back photos, so that they are not trained on.

    python near_copies.py MATERIAL

Writes MATERIAL/left-out.json, and prints the pairs with their similarity. See photo_sets.py for the
folder MATERIAL. Photos are compared as thumbnails, also mirrored. The limit was chosen by looking
at pairs: below it, different photos of the same product or place begin.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from photo_sets import Sources
from PIL import Image

THUMBNAIL_SIDE_PX = 24
MIN_CORRELATION = 0.93


def make_thumbnail(file: Path) -> np.ndarray:
    """Return a small copy of a photo with mean 0 and length 1, [side, side, 3]."""
    side = THUMBNAIL_SIDE_PX
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BOX))
    thumbnail = pixels.astype(np.float32) - pixels.mean()
    result: np.ndarray = thumbnail / max(1e-6, float(np.linalg.norm(thumbnail)))
    return result


def find_near_copies(held_back: np.ndarray, training: np.ndarray) -> list[tuple[int, int, float]]:
    """Return (held-back row, training row, correlation) of each similar pair.

    The arrays are thumbnails, [n, side, side, 3].
    """
    flat = training.reshape(len(training), -1)
    best = np.maximum(
        held_back.reshape(len(held_back), -1) @ flat.T,
        held_back[:, :, ::-1].reshape(len(held_back), -1) @ flat.T,
    )
    rows, columns = np.nonzero(best >= MIN_CORRELATION)
    return [(int(r), int(c), float(best[r, c])) for r, c in zip(rows, columns, strict=True)]


def main() -> None:
    """Compare all photos of a material folder, and write the list of photos to leave out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("material", type=Path)
    folder = parser.parse_args().material
    (folder / "left-out.json").unlink(missing_ok=True)
    sources = Sources.read(folder)
    held_back = [file for captions in sources.list_held_back().values() for file in captions]
    training = sources.list_training_files()
    with ThreadPoolExecutor() as pool:
        thumbnails = list(
            pool.map(lambda f: make_thumbnail(folder / "photos" / f), [*held_back, *training])
        )
    count = len(held_back)
    pairs = find_near_copies(np.stack(thumbnails[:count]), np.stack(thumbnails[count:]))
    for row, column, correlation in sorted(pairs, key=lambda pair: pair[2]):
        print(f"{correlation:.3f} {held_back[row]} {training[column]}")
    left_out = sorted({training[column] for _, column, _ in pairs})
    (folder / "left-out.json").write_text(json.dumps(left_out, indent=1) + "\n")
    print(f"{len(held_back)} held-back photos, {len(training)} training photos, "
          f"{len(left_out)} of them left out")  # fmt: skip


if __name__ == "__main__":
    main()
