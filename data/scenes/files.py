"""Write pictures in the variety of real files: EXIF, rotation, grayscale, palette, alpha."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .shipped import CameraShot, ShippedDuplicate, ShippedPhoto

Captions = list[dict[str, Any]]
MAKE, MODEL, ORIENTATION, EXIF_IFD, GPS_IFD = 0x010F, 0x0110, 0x0112, 0x8769, 0x8825
DATE_TIME_ORIGINAL, OFFSET_TIME_ORIGINAL = 0x9003, 0x9011


def to_degrees_minutes_seconds(value: float) -> tuple[float, float, float]:
    """Return the absolute value of an angle as degrees, minutes and seconds, as EXIF needs it."""
    absolute = abs(value)
    minutes = (absolute % 1) * 60
    return float(int(absolute)), float(int(minutes)), round((minutes % 1) * 60, 2)


def make_exif(shot: CameraShot, orientation: int = 1) -> Image.Exif:
    """Return the EXIF block of a shot."""
    block = Image.Exif()
    block[MAKE], block[MODEL], block[ORIENTATION] = shot.make, shot.model, orientation
    details = block.get_ifd(EXIF_IFD)
    details[DATE_TIME_ORIGINAL] = shot.taken_at.strftime("%Y:%m:%d %H:%M:%S")
    if shot.utc_offset:
        details[OFFSET_TIME_ORIGINAL] = shot.utc_offset
    if shot.gps:
        gps_tags, (north, east) = block.get_ifd(GPS_IFD), shot.gps
        gps_tags[1], gps_tags[2] = "N" if north >= 0 else "S", to_degrees_minutes_seconds(north)
        gps_tags[3], gps_tags[4] = "E" if east >= 0 else "W", to_degrees_minutes_seconds(east)
    return block


def save_photo(image: Image.Image, photo: ShippedPhoto, root: Path) -> None:
    """Write a picture in the format of its suffix, and as its kind."""
    path = root / photo.file
    path.parent.mkdir(parents=True, exist_ok=True)
    block = make_exif(photo.shot, 6 if photo.kind == "rotated" else 1)
    if photo.kind == "rotated":
        image = image.transpose(Image.Transpose.ROTATE_90)
    elif photo.kind == "grey":
        image = image.convert("L")
    elif photo.kind == "palette":
        image = image.quantize(128, Image.Quantize.MEDIANCUT)
    elif photo.kind == "alpha":
        image = _round_corners(image)
    if path.suffix == ".png":
        image.save(path, optimize=True)
    elif path.suffix == ".webp":
        image.save(path, quality=82, exif=block)
    else:
        image.save(path, quality=82 + photo.seed % 5, exif=block)


def _round_corners(image: Image.Image) -> Image.Image:
    """Return the picture at 480 x 360 pixels with transparent round corners."""
    small = image.filter(ImageFilter.MedianFilter(3)).resize((480, 360))
    mask = Image.new("L", small.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 479, 359), 48, fill=255)
    small.putalpha(mask)
    return small


def save_duplicate(copy: ShippedDuplicate, original: ShippedPhoto, root: Path) -> None:
    """Write a near duplicate, made from the file of its original."""
    with Image.open(root / original.file) as opened:
        image = opened.convert("RGB")
    quality = 84
    if copy.change == "crop":
        w, h = image.size
        image = image.crop((w // 16, h // 18, w - w // 24, h - h // 20))
    elif copy.change == "quality":
        image = image.resize((image.width // 2, image.height // 2))
        quality = 45
    else:
        bright = np.asarray(image).astype(np.float32) * 1.2 + 8
        image = Image.fromarray(np.clip(bright, 0, 255).astype(np.uint8))
    image.save(root / copy.file, quality=quality, exif=make_exif(original.shot))


def write_captions(rows: Captions, root: Path) -> None:
    """Write captions.json, sorted by file."""
    rows = sorted(rows, key=lambda row: str(row["file"]))
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    (root / "captions.json").write_text(text + "\n", "utf-8")
