"""Blocks in TIFF tags: the type that a writer declared for the bytes does not matter."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import Image, TiffImagePlugin
from support.metadata_files import make_iptc
from support.sample_pictures import make_picture

from searchapp.pictures.metadata.embedded_blocks import TIFF_IPTC_TAG, read_iptc

UNDEFINED, LONG = 7, 4


@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.parametrize("kind", [UNDEFINED, LONG])
def test_iptc_of_tiff_is_read_from_any_type(tmp_path: Path, kind: int) -> None:
    """Photoshop and exiftool declare IPTC as 32-bit numbers."""
    block = make_iptc(title="of the desk", keywords=["news"], caption="What is seen")
    block += b"\0" * (-len(block) % 4)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[TIFF_IPTC_TAG] = UNDEFINED
    tags[TIFF_IPTC_TAG] = block
    file = tmp_path / "a.tif"
    make_picture().save(file, "TIFF", tiffinfo=tags)
    if kind == LONG:  # Pillow writes only the first number.
        entry = struct.pack("<HHI", TIFF_IPTC_TAG, UNDEFINED, len(block))
        data = file.read_bytes()
        assert data.count(entry) == 1
        new_entry = struct.pack("<HHI", TIFF_IPTC_TAG, LONG, len(block) // 4)
        file.write_bytes(data.replace(entry, new_entry))
    with Image.open(file) as image:
        parsed = read_iptc(image)
    assert (parsed.title, parsed.keywords, parsed.description) == (
        "of the desk",
        ("news",),
        "What is seen",
    )
