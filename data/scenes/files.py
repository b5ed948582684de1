"""Write pictures as a real folder holds them: EXIF, turned, greyscale, palette, alpha."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .shipped import Duplicate, Photo, Shot

Captions = list[dict[str, Any]]
MAKE, MODEL, ORIENTATION, EXIF_IFD, GPS_IFD = 0x010F, 0x0110, 0x0112, 0x8769, 0x8825
TAKEN, OFFSET = 0x9003, 0x9011


def degrees(value: float) -> tuple[float, float, float]:
    """Return an angle as degrees, minutes and seconds."""
    whole = abs(value)
    minutes = (whole % 1) * 60
    return float(int(whole)), float(int(minutes)), round((minutes % 1) * 60, 2)


def exif(shot: Shot, orientation: int = 1) -> Image.Exif:
    """Return the EXIF block of a shot."""
    block = Image.Exif()
    block[MAKE], block[MODEL], block[ORIENTATION] = shot.make, shot.model, orientation
    details = block.get_ifd(EXIF_IFD)
    details[TAKEN] = shot.when.strftime("%Y:%m:%d %H:%M:%S")
    if shot.offset:
        details[OFFSET] = shot.offset
    if shot.gps:
        place, (north, east) = block.get_ifd(GPS_IFD), shot.gps
        place[1], place[2] = "N" if north >= 0 else "S", degrees(north)
        place[3], place[4] = "E" if east >= 0 else "W", degrees(east)
    return block


def save_photo(image: Image.Image, photo: Photo, root: Path) -> None:
    """Write a picture in the format and kind its entry asks for."""
    path = root / photo.file
    path.parent.mkdir(parents=True, exist_ok=True)
    block = exif(photo.shot, 6 if photo.kind == "rotated" else 1)
    if photo.kind == "rotated":
        image = image.transpose(Image.Transpose.ROTATE_90)
    elif photo.kind == "grey":
        image = image.convert("L")
    elif photo.kind == "palette":
        image = image.quantize(128, Image.Quantize.MEDIANCUT)
    elif photo.kind == "alpha":
        image = _rounded(image)
    if path.suffix == ".png":
        image.save(path, optimize=True)
    elif path.suffix == ".webp":
        image.save(path, quality=82, exif=block)
    else:
        image.save(path, quality=82 + photo.seed % 5, exif=block)


def _rounded(image: Image.Image) -> Image.Image:
    """Return the picture small and with transparent round corners."""
    small = image.filter(ImageFilter.MedianFilter(3)).resize((480, 360))
    mask = Image.new("L", small.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 479, 359), 48, fill=255)
    small.putalpha(mask)
    return small


def save_duplicate(copy: Duplicate, original: Photo, root: Path) -> None:
    """Write a near duplicate made from the shipped file."""
    with Image.open(root / original.file) as opened:
        image = opened.convert("RGB")
    quality = 84
    if copy.how == "crop":
        w, h = image.size
        image = image.crop((w // 16, h // 18, w - w // 24, h - h // 20))
    elif copy.how == "quality":
        image = image.resize((image.width // 2, image.height // 2))
        quality = 45
    else:
        bright = np.asarray(image).astype(np.float32) * 1.2 + 8
        image = Image.fromarray(np.clip(bright, 0, 255).astype(np.uint8))
    image.save(root / copy.file, quality=quality, exif=exif(original.shot))


def write_captions(rows: Captions, root: Path) -> None:
    """Write captions.json, sorted by file."""
    rows = sorted(rows, key=lambda row: str(row["file"]))
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    (root / "captions.json").write_text(text + "\n", "utf-8")
