"""Render the sample photos, or any number of pictures like them for training.

The subjects are Microsoft's Fluent Emoji in their 3D style (MIT licence), as packed in the npm
package @lobehub/fluent-emoji-3d 1.1.0 (MIT licence): 256 x 256 WebP files named by code point.
Get them once, into any folder, and name the folder that holds the .webp files:

    npm pack @lobehub/fluent-emoji-3d@1.1.0
    tar xzf lobehub-fluent-emoji-3d-1.1.0.tgz          # makes package/assets/

    python data/render_photos.py --glyphs package/assets                      # data/photos again
    python data/render_photos.py --glyphs package/assets \
        --variations 12 --seed 1 --size 192 --out scenes                      # training material

All else (skies, seas, towns, rooms, weather) is drawn in code. Needs Pillow and numpy; nothing is
fetched. The same seed gives the same pictures.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
from scenes import files, glyphs, shipped
from scenes.captions import write_scene_captions
from scenes.compose import render_scene
from scenes.sampling import PICTURE_SHAPES, draw_training_scenes

DATA_FOLDER = Path(__file__).parent
SHIPPED_TABLE = DATA_FOLDER / "scenes" / "shipped.toml"


def write_photos(root: Path) -> int:
    """Write every shipped picture and captions.json; return how many pictures."""
    photos, copies = shipped.load_table(SHIPPED_TABLE)
    rows: files.Captions = []
    for photo in photos:
        image = render_scene(photo.scene, *photo.size, photo.seed, oversample=1.5)
        files.save_photo(image, photo, root)
        rows.append({"file": photo.file, "captions": list(photo.captions)})
    by_file = {photo.file: photo for photo in photos}
    for copy in copies:
        original = by_file[copy.of]
        files.save_duplicate(copy, original, root)
        captions = list(original.captions)
        rows.append({"file": copy.file, "captions": captions, "duplicate_of": copy.of})
    files.write_captions(rows, root)
    return len(rows)


def write_training_pictures(root: Path, variations: int, seed: int, size: int) -> int:
    """Write random pictures with captions, squashed to a square; return how many."""
    photos, _ = shipped.load_table(SHIPPED_TABLE)
    rng = np.random.default_rng([seed, 20_000])
    scenes = draw_training_scenes([photo.scene for photo in photos], variations, rng)
    rows: files.Captions = []
    root.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(scenes):
        width, height = PICTURE_SHAPES[int(rng.integers(len(PICTURE_SHAPES)))]
        picture_seed = int(rng.integers(1_000_000, 2**31))
        image = render_scene(scene, width, height, picture_seed).resize((size, size))
        name = f"{number:05d}.webp"
        image.save(root / name, quality=80, method=2)
        rows.append({"file": name, "captions": write_scene_captions(scene, rng)})
    files.write_captions(rows, root)
    return len(rows)


def remove_old_pictures(root: Path) -> None:
    """Remove the pictures an earlier run left in data/photos."""
    for path in root.glob("*"):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix in {".jpg", ".png", ".webp"}:
            path.unlink()


def main() -> None:
    """Read the options and render."""
    parser = argparse.ArgumentParser(description="Render sample photos or training pictures.")
    parser.add_argument("--glyphs", type=Path, default=Path("package/assets"))
    parser.add_argument("--variations", type=int, default=0, help="pictures per kind of scene")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--out", type=Path, default=DATA_FOLDER / "photos")
    options = parser.parse_args()
    if not any(options.glyphs.glob("*.webp")):
        parser.error(f"no .webp files in {options.glyphs}: see the top of {Path(__file__).name}")
    glyphs.use_folder(options.glyphs)
    if options.variations:
        count = write_training_pictures(options.out, options.variations, options.seed, options.size)
    else:
        if options.out == DATA_FOLDER / "photos":
            remove_old_pictures(options.out)
        count = write_photos(options.out)
    print(f"{count} pictures in {options.out}")


if __name__ == "__main__":
    main()
