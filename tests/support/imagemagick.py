"""Run ImageMagick, an independent reference for colors and formats."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms


@cache
def find_imagemagick() -> str | None:
    """Return the command of ImageMagick; None if it is not installed."""
    for name in ("magick", "convert"):
        command = shutil.which(name)
        if command is not None:
            shown = subprocess.run([command, "-version"], capture_output=True, text=True)
            if "ImageMagick" in shown.stdout:
                return command
    return None


needs_imagemagick = pytest.mark.skipif(
    find_imagemagick() is None, reason="ImageMagick is not installed"
)


def run_imagemagick(*arguments: object) -> None:
    """Run ImageMagick, and fail if it fails."""
    subprocess.run([str(find_imagemagick()), *map(str, arguments)], check=True)


def render_srgb(file: Path) -> NDArray[np.int16]:
    """Return the pixels of a picture in sRGB, as ImageMagick converts them: [height, width, 3]."""
    profile, rendered = file.with_name("srgb.icc"), file.with_name(f"{file.name}.srgb.png")
    profile.write_bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    run_imagemagick(f"{file}[0]", "-profile", profile, "-depth", 8, f"PNG24:{rendered}")
    with Image.open(rendered) as image:
        return np.asarray(image.convert("RGB"), np.int16)
