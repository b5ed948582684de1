"""Make synthetic picture files that are as large as real photos; each file has different bytes."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_SCENES = 32
MAX_DRAWN_PIXELS = 100_000_000  # Of all scenes together, as drawing large ones takes long.
JPEG_QUALITY = 85
MAX_DRAWING_THREADS = 8  # Each needs 200 bytes for a pixel.
ORIENTATION_TAG = 0x0112


@dataclass(frozen=True, slots=True)
class PhotoKind:
    """A kind of picture files: size in pixels, format, EXIF orientation, and how many of them."""

    width: int
    height: int
    format: str = "JPEG"
    orientation: int = 1
    share: int = 1  # parts of all files
    is_progressive: bool = False


# A camera roll: mostly HEIC or JPEG of 12 megapixels, some upright, then screenshots, pictures from
# messengers and from the web.
MIXES = {
    "phone": (
        PhotoKind(4032, 3024, "HEIF", share=8),
        PhotoKind(4032, 3024, orientation=6, share=4),
        PhotoKind(4032, 3024, share=3),
        PhotoKind(1170, 2532, "PNG", share=2),
        PhotoKind(1600, 1200, share=2),
        PhotoKind(1080, 1080, is_progressive=True),
    )
}


def draw_photo(number: int, width: int, height: int) -> Picture:
    """Return a random RGB picture like a photo: strong large shapes, weak small shapes."""
    from PIL import Image

    rng = np.random.default_rng(number)
    total = np.zeros((height, width, 3), dtype=np.float32)
    cells, weight = 3, 1.0
    while cells < min(width, height):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        total += weight * np.asarray(layer, dtype=np.float32)
        cells, weight = cells * 2, weight * 0.8
    total -= total.min()
    return Image.fromarray((total * (255 / total.max())).astype(np.uint8))


def write_photos(folder: Path, count: int, width: int, height: int) -> None:
    """Write count JPEG files into subfolders, 1,000 in each.

    The files show at most MAX_SCENES scenes; a JPEG comment makes the bytes of each file unique.
    """
    write_mix(folder, count, (PhotoKind(width, height),))


def write_mix(folder: Path, count: int, kinds: Sequence[PhotoKind]) -> None:
    """Write count files of several kinds into subfolders, 1,000 in each.

    The kinds alternate, so that each part of the files has all of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    order = _order_kinds(kinds)
    with ThreadPoolExecutor(min(MAX_DRAWING_THREADS, os.cpu_count() or 1)) as pool:
        scenes = {
            kind: list(
                pool.map(
                    _encode_scene,
                    range(min(_count_scenes(kind), -(-count * kind.share // len(order)))),
                    [kind] * MAX_SCENES,
                )
            )
            for kind in kinds
        }
    for number in range(count):
        kind = order[number % len(order)]
        scene = scenes[kind][number // len(order) % len(scenes[kind])]
        subfolder = folder / f"{number // 1000:04}"
        if number % 1000 == 0:
            subfolder.mkdir()
        content = UNIQUE_BY_FORMAT[kind.format](scene, f"picture {number}".encode())
        (subfolder / f"{number:07}.{SUFFIXES[kind.format]}").write_bytes(content)


def _order_kinds(kinds: Sequence[PhotoKind]) -> list[PhotoKind]:
    """Return each kind as often as its share, evenly spread."""
    places = [((n + 0.5) / kind.share, kind) for kind in kinds for n in range(kind.share)]
    return [kind for _, kind in sorted(places, key=lambda place: place[0])]


def _count_scenes(kind: PhotoKind) -> int:
    return max(4, min(MAX_SCENES, MAX_DRAWN_PIXELS // (kind.width * kind.height)))


def _encode_scene(number: int, kind: PhotoKind) -> bytes:
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    buffer, exif = io.BytesIO(), Image.Exif()
    picture = draw_photo(number, kind.width, kind.height)
    options: dict[str, object] = {}
    if kind.format == "JPEG":
        options = {"quality": JPEG_QUALITY, "progressive": kind.is_progressive}
        if kind.orientation != 1:
            exif[ORIENTATION_TAG] = kind.orientation
            options["exif"] = exif
    picture.save(buffer, kind.format, **options)
    return buffer.getvalue()


def _add_jpeg_comment(data: bytes, comment: bytes) -> bytes:
    # A comment segment (COM, 0xFFFE) after the start marker: ISO/IEC 10918-1, B.2.4.5.
    return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


def _add_png_text(data: bytes, text: bytes) -> bytes:
    # A tEXt chunk after IHDR, which ends at byte 33: https://www.w3.org/TR/png-3/#11tEXt
    chunk = b"tEXtComment\0" + text
    size = (len(chunk) - 4).to_bytes(4, "big")
    return data[:33] + size + chunk + zlib.crc32(chunk).to_bytes(4, "big") + data[33:]


def _add_free_box(data: bytes, text: bytes) -> bytes:
    # A box of free space at the end: ISO/IEC 14496-12, 8.1.2.
    return data + (len(text) + 8).to_bytes(4, "big") + b"free" + text


UNIQUE_BY_FORMAT: dict[str, Callable[[bytes, bytes], bytes]] = {
    "JPEG": _add_jpeg_comment,
    "PNG": _add_png_text,
    "HEIF": _add_free_box,
}
SUFFIXES = {"JPEG": "jpg", "PNG": "png", "HEIF": "heic"}
