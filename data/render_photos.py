"""Render the pictures of data/photos, or similar random pictures to train a model with.

The subjects are Microsoft's Fluent Emoji in 3D style (MIT license). The npm package
@lobehub/fluent-emoji-3d 1.1.0 (MIT license) contains them as WebP files of 256 x 256 pixels, named
by code point. Download it once, then pass the folder with the .webp files:

    npm pack @lobehub/fluent-emoji-3d@1.1.0
    tar xzf lobehub-fluent-emoji-3d-1.1.0.tgz          # creates package/assets/

    # Render data/photos again:
    python data/render_photos.py --glyphs package/assets
    # Render training pictures:
    python data/render_photos.py --glyphs package/assets \
        --variations 12 --seed 1 --size 192 --out scenes

Skies, seas, towns, rooms and weather are drawn by code. Needs Pillow and NumPy, and no network.
The same seed gives the same pictures.
"""

import argparse
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scenes import files, glyphs, shipped
from scenes.captions import write_scene_captions
from scenes.compose import Scene, render_scene
from scenes.sampling import PICTURE_SHAPES, draw_training_scenes

DATA_FOLDER = Path(__file__).parent
SHIPPED_TABLE = DATA_FOLDER / "scenes" / "shipped.toml"


def write_photos(root: Path) -> int:
    """Write the pictures of data/photos and captions.json; return the number of pictures."""
    photos, copies = shipped.load_table(SHIPPED_TABLE)
    rows: files.Captions = []
    for photo in photos:
        image = render_scene(photo.scene, *photo.size, photo.seed, oversample=1.5)
        files.save_photo(image, photo, root)
        rows.append({"file": photo.file, "captions": list(photo.captions)})
    by_file = {photo.file: photo for photo in photos}
    for copy in copies:
        original = by_file[copy.original]
        files.save_duplicate(copy, original, root)
        captions = list(original.captions)
        rows.append({"file": copy.file, "captions": captions, "duplicate_of": copy.original})
    files.write_captions(rows, root)
    return len(rows)


def write_training_pictures(
    root: Path, glyph_folder: Path, variations: int, seed: int, size: int
) -> int:
    """Write random square pictures and captions.json; return the number of pictures."""
    photos, _ = shipped.load_table(SHIPPED_TABLE)
    rng = np.random.default_rng([seed, 20_000])
    scenes = draw_training_scenes([photo.scene for photo in photos], variations, rng)
    rows: files.Captions = []
    tasks = []
    root.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(scenes):
        shape = PICTURE_SHAPES[int(rng.integers(len(PICTURE_SHAPES)))]
        picture_seed = int(rng.integers(1_000_000, 2**31))
        file = root / f"{number:05d}.webp"
        tasks.append((scene, shape, picture_seed, size, file))
        rows.append({"file": file.name, "captions": write_scene_captions(scene, rng)})
    with ProcessPoolExecutor(initializer=glyphs.use_folder, initargs=(glyph_folder,)) as pool:
        for _ in pool.map(save_training_picture, tasks, chunksize=8):
            pass
    files.write_captions(rows, root)
    return len(rows)


def save_training_picture(task: tuple[Scene, tuple[int, int], int, int, Path]) -> None:
    """Render one picture. task: scene, shape to render, seed, side in pixels, file."""
    scene, shape, seed, side, file = task
    render_scene(scene, *shape, seed).resize((side, side)).save(file, quality=80, method=2)


def remove_old_pictures(root: Path) -> None:
    """Remove all pictures and subfolders of a folder, but no other files."""
    for path in root.glob("*"):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix in {".jpg", ".png", ".webp"}:
            path.unlink()


def main() -> None:
    """Read the options and render."""
    parser = argparse.ArgumentParser(
        description="Render the pictures of data/photos, or training pictures.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    glyph_folder = Path("package/assets")
    parser.add_argument("--glyphs", type=Path, default=glyph_folder, help="folder of .webp files")
    parser.add_argument(
        "--variations",
        type=int,
        default=0,
        help="training pictures for each pair of subject and place; 0: render data/photos",
    )
    parser.add_argument("--seed", type=int, default=1, help="of training pictures")
    parser.add_argument("--size", type=int, default=192, help="of training pictures, in pixels")
    parser.add_argument("--out", type=Path, default=DATA_FOLDER / "photos", help="output folder")
    options = parser.parse_args()
    if not any(options.glyphs.glob("*.webp")):
        parser.error(
            f"no .webp files in {options.glyphs}. The head of {Path(__file__).name} says how to "
            "download them."
        )
    glyphs.use_folder(options.glyphs)
    if options.variations:
        count = write_training_pictures(
            options.out, options.glyphs, options.variations, options.seed, options.size
        )
    else:
        if options.out == DATA_FOLDER / "photos":
            remove_old_pictures(options.out)
        count = write_photos(options.out)
    print(f"wrote {count} pictures to {options.out}")


if __name__ == "__main__":
    main()
