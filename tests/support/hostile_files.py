"""Make files that break picture readers, each with its expected outcome.

The files are the same in each run, and have a few megabytes together.
"""

from __future__ import annotations

import io
import os
import random
import socket
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from searchapp.models import ModelSpec
from searchapp.pictures import decode
from support.dng_files import make_dng
from support.fake_engine import FakeEngine
from support.video_files import write_video

MAX_MEGAPIXELS = 16
UNKNOWN_HEAD_BYTES = 17  # A cut file of this length may not be recognized as a picture.
PICTURE_SIZE = (48, 40)

# Reasons for damaged files: from searchapp, Pillow and the libraries below it.
DAMAGED_REASONS = "|".join((
    "broken or cut off", "the file is empty", "file is truncated", "Truncated File Read",
    "Truncated data", "broken data stream", "unrecognized data stream", "decoding error",
    "cannot load this image", "Unable to seek to frame", "Expected to read [0-9]+ bytes but",
    "could not create decoder object", "failed to read next frame", "Unexpected end of file",
))  # fmt: skip
NO_PICTURE_REASON = "^not a picture, or a picture in an unknown format$"
TOO_LARGE_REASON = (
    r"^(the|a tile of the) picture has [0-9.]+ megapixels, the limit is 16; raise --max-megapixels$"
)
# A box of the file states a false size.
FALSE_SIZE_REASONS = "Security limit|size signaled|broken or cut off"
NO_VIDEO_REASONS = (
    "broken, cut off, or not a video|no video stream|no frame of the video|know the video codec"
    "|Not yet implemented"
)
AFTER_2262 = 14_000_000_000  # seconds; as nanoseconds more than 64 bits
EMBEDDED, SKIPPED = "embedded", "left alone"


@dataclass(frozen=True)
class HostileFile:
    """A file, and its expected outcome in an index run."""

    name: str
    data: bytes
    expected_outcome: str  # EMBEDDED, SKIPPED, or a pattern for the reason of its failure.
    original: bytes = b""  # If it is embedded, it must show this picture.
    can_be_embedded: bool = False  # True: an embedding is allowed instead of the failure.
    stage: str = ""  # Stage of its failure, if it is not read or decode.


def change_file_on_read() -> None:
    """Patch reading so that a file changes each time this process reads it."""
    fstat = os.fstat

    def change(number: int) -> os.stat_result:
        state, path = fstat(number), Path(f"/proc/self/fd/{number}").readlink()
        if path.name == "changing.png":
            with path.open("ab") as file:
                file.write(b"x")
        return state

    os.fstat = change


def replace_by_pipe(folder: Path) -> None:
    """Replace a file by a pipe without a writer, as another program might."""
    (folder / "becoming-a-pipe.png").unlink()
    os.mkfifo(folder / "becoming-a-pipe.png")


class FileChangingEngine(FakeEngine):
    """Fake engine whose process also has the file that changes while it is read."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        change_file_on_read()


def encode_picture(image: Image.Image, format: str, **options: object) -> bytes:
    decode._load_pillow()
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@cache
def make_sound_pictures() -> dict[str, bytes]:
    """Return valid pictures of noise by file name, in every format and compression."""
    noise = np.random.default_rng(0).integers(
        0, 255, (PICTURE_SIZE[1], PICTURE_SIZE[0], 3), dtype=np.uint8
    )
    image = Image.fromarray(noise)
    return {
        "baseline.jpg": encode_picture(image, "JPEG"),
        "progressive.jpg": encode_picture(image, "JPEG", progressive=True),
        "cmyk.jpg": encode_picture(image.convert("CMYK"), "JPEG"),
        "rgb.png": encode_picture(image, "PNG"),
        "gray16.png": encode_picture(
            Image.fromarray(noise[:, :, 0].astype(np.uint16) * 257), "PNG"
        ),
        "lossy.webp": encode_picture(image, "WEBP"),
        "lossless.webp": encode_picture(image, "WEBP", lossless=True),
        "palette.gif": encode_picture(image, "GIF"),
        "raw.tif": encode_picture(image, "TIFF"),
        "lzw.tif": encode_picture(image, "TIFF", compression="tiff_lzw"),
        "deflate.tif": encode_picture(image, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": encode_picture(image, "TIFF", compression="jpeg"),
        "rgb.bmp": encode_picture(image, "BMP"),
        "x.heic": encode_picture(image, "HEIF"),
        "x.avif": encode_picture(image, "AVIF", speed=10),
        "box.jp2": encode_picture(image, "JPEG2000"),
        "stream.j2k": encode_picture(image, "JPEG2000", no_jp2=True),
    }


def find_part_offsets(data: bytes) -> list[int]:
    """Return the offsets of the parts of a picture: chunks, segments, boxes, blocks, tables."""
    if data.startswith(b"\x89PNG"):
        return list(_walk_parts(data, 8, lambda at: 12 + _read_big_endian(data, at)))
    if data.startswith(b"RIFF"):
        return [
            4,
            8,
            *_walk_parts(data, 12, lambda at: 8 + _read_little_endian(data, at + 4) + 1 & ~1),
        ]
    if data[4:8] in (b"ftyp", b"jP  "):
        boxes = list(_walk_parts(data, 0, lambda at: _read_big_endian(data, at) or 1 << 30))
        inner = [b"hdlr", b"pitm", b"iloc", b"iinf", b"ipco", b"ispe", b"ipma", b"ihdr", b"colr"]
        found = [data.find(name) - 4 for name in inner if name in data]
        return sorted({*boxes, *found, *_find_markers(data)})
    if data.startswith((b"\xff\xd8", b"\xff\x4f")):
        return list(_find_markers(data))
    if data.startswith(b"GIF"):
        descriptor = data.find(b",", 13)
        return [6, 13, descriptor, descriptor + 10, descriptor + 11, len(data) - 2, len(data) - 1]
    if data.startswith(b"II*\0"):
        first = _read_little_endian(data, 4)
        count = int.from_bytes(data[first : first + 2], "little")
        return [4, 8, first, *range(first + 2, first + 2 + 12 * count, 12), len(data) // 2]
    assert data.startswith(b"BM")
    return [2, 14, 18, 26, 54, len(data) // 2]


def _walk_parts(data: bytes, offset: int, length: object) -> Iterator[int]:
    while offset < len(data):
        yield offset
        offset += length(offset)  # type: ignore[operator]


def _find_markers(data: bytes) -> Iterator[int]:
    """Yield the offsets of the markers in a JPEG or JPEG 2000 stream."""
    for at in range(len(data) - 1):
        if data[at] == 0xFF and data[at + 1] in (
            0xD8, 0xC0, 0xC2, 0xC4, 0xDB, 0xDA, 0xD9, 0xE0, 0x4F, 0x51, 0x52, 0x5C, 0x90, 0x93,
        ):  # fmt: skip
            yield at


def _read_big_endian(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "big")


def _read_little_endian(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def truncate_files() -> Iterator[HostileFile]:
    """Yield every picture cut at the start of each of its parts, and a little later."""
    for name, data in make_sound_pictures().items():
        cuts = {cut for at in find_part_offsets(data) for cut in (at, at + 3)} | {len(data) - 1}
        for cut in sorted(cut for cut in cuts if 0 <= cut < len(data)):
            fate = (
                DAMAGED_REASONS
                if cut > UNKNOWN_HEAD_BYTES
                else f"{DAMAGED_REASONS}|{NO_PICTURE_REASON}"
            )
            yield HostileFile(f"cut-{cut:05}-{name}", data[:cut], fate, data, can_be_embedded=True)


def flip_bits() -> Iterator[HostileFile]:
    """Yield pictures with one or more flipped bits, half of them in the first bytes."""
    chance = random.Random(8)
    for name, data in make_sound_pictures().items():
        for number in range(8):
            damaged = bytearray(data)
            for _ in range(chance.choice((1, 1, 5, 50))):
                end = len(data) if number % 2 else min(len(data), 300)
                damaged[chance.randrange(end)] ^= 1 << chance.randrange(8)
            fate = f"{DAMAGED_REASONS}|{TOO_LARGE_REASON}|{NO_PICTURE_REASON}"
            yield HostileFile(f"flip-{number}-{name}", bytes(damaged), fate, can_be_embedded=True)


def make_png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_png(width: int, height: int, extra: bytes = b"", depth: int = 8) -> bytes:
    """Return a black PNG whose data ends after one megabyte of pixels."""
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    rows = zlib.compress(bytes(min(1 << 20, (width * depth // 8 + 1) * height)))
    end = make_png_chunk(b"IDAT", rows) + make_png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + make_png_chunk(b"IHDR", head) + extra + end


def make_tiff(width: int, height: int, **more: int) -> bytes:
    """Return a gray TIFF of one strip or tile, with any tags."""
    body = zlib.compress(b"\x40" * PICTURE_SIZE[0] * PICTURE_SIZE[1])
    tags = {"t256": width, "t257": height, "t258": 8, "t259": 8, "t262": 1, "t277": 1} | more
    place, length = ("t324", "t325") if "t322" in tags else ("t273", "t279")
    if place == "t273":
        tags = {"t278": height} | tags
    tags = {place: 10 + 12 * (len(tags) + 2) + 4, length: len(body)} | tags
    table = b"".join(
        struct.pack("<HHII", int(tag[1:]), 4, 1, value)
        for tag, value in sorted(tags.items(), key=lambda tag: int(tag[0][1:]))
    )
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + table + bytes(4) + body


def replace_bytes(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data and len(old) == len(new)
    return data.replace(old, new)


def make_bombs() -> Iterator[HostileFile]:
    """Yield small files that decode to huge pictures."""
    files, bilevel = make_sound_pictures(), Image.new("1", (20000, 20000))
    yield HostileFile("bomb-real.png", encode_picture(bilevel, "PNG"), TOO_LARGE_REASON)
    yield HostileFile(
        "bomb-real.tif", encode_picture(bilevel, "TIFF", compression="group4"), TOO_LARGE_REASON
    )
    gray = Image.new("L", (5000, 5000))
    for format, name in (("JPEG", "jpg"), ("GIF", "gif"), ("WEBP", "webp"), ("JPEG2000", "jp2")):
        options = {"lossless": True, "quality": 0, "method": 0} if name == "webp" else {}
        yield HostileFile(
            f"bomb-real.{name}", encode_picture(gray, format, **options), TOO_LARGE_REASON
        )
    short, wide = struct.pack(">HH", *PICTURE_SIZE[::-1]), struct.pack(">HH", 65500, 65500)
    for name in ("baseline.jpg", "progressive.jpg", "cmyk.jpg"):
        yield HostileFile(f"bomb-{name}", replace_bytes(files[name], short, wide), TOO_LARGE_REASON)
    for side in (5000, 1 << 20, 0x7FFFFFFF):
        yield HostileFile(f"bomb-{side}.png", make_png(side, side), TOO_LARGE_REASON)
        yield HostileFile(f"bomb-{side}.tif", make_tiff(side, side), TOO_LARGE_REASON)
        size = struct.pack("<ii", side, side)
        yield HostileFile(f"bomb-{side}.bmp", files["rgb.bmp"][:18] + size + files["rgb.bmp"][26:],
                      TOO_LARGE_REASON)  # fmt: skip
        if side < 1 << 30:
            size = struct.pack(">II", side, side)
            for name in ("x.heic", "x.avif"):
                at = files[name].find(b"ispe") + 8
                lie = files[name][:at] + size + files[name][at + 8 :]
                yield HostileFile(
                    f"bomb-{side}-{name}", lie, f"{TOO_LARGE_REASON}|{FALSE_SIZE_REASONS}"
                )
    for side in (5000, 65535):
        screen = (
            files["palette.gif"][:6] + struct.pack("<HH", side, side) + files["palette.gif"][10:]
        )
        yield HostileFile(f"bomb-screen-{side}.gif", screen, TOO_LARGE_REASON)
        sizes = struct.pack(">II", side, side)
        stream = replace_bytes(files["stream.j2k"], struct.pack(">II", *PICTURE_SIZE), sizes)
        yield HostileFile(f"bomb-{side}.j2k", stream, TOO_LARGE_REASON)
    animated = encode_picture(Image.new("RGB", PICTURE_SIZE), "WEBP", save_all=True,
                      append_images=[Image.new("RGB", PICTURE_SIZE, "red")])  # fmt: skip
    at = animated.find(b"VP8X") + 12
    for side in (5000, 16383, 65535):
        canvas = (side - 1).to_bytes(3, "little") * 2
        yield HostileFile(
            f"bomb-{side}.webp", animated[:at] + canvas + animated[at + 6 :], TOO_LARGE_REASON
        )
    for side in (40000, 65536, 1 << 20):
        yield HostileFile(
            f"bomb-tile-{side}.tif",
            make_tiff(*PICTURE_SIZE, t322=side, t323=side),
            TOO_LARGE_REASON,
        )
    flood = zlib.compress(bytes(64 << 20))
    for kind, head in ((b"iCCP", b"p\0\0"), (b"zTXt", b"p\0\0"), (b"iTXt", b"p\0\1\0\0\0")):
        data = make_png(*PICTURE_SIZE, make_png_chunk(kind, head + flood))
        yield HostileFile(f"bomb-{kind.decode()}.png", data, "Decompressed data too large")
    texts = make_png_chunk(b"zTXt", b"p\0\0" + zlib.compress(b"x" * 1_000_000)) * 100
    yield HostileFile(
        "bomb-texts.png", make_png(*PICTURE_SIZE, texts), "Too much memory used in text chunks"
    )
    for scans, fate in ((40, EMBEDDED), (150, "progressive JPEG of 1[0-9]+ scans")):
        yield HostileFile(f"scans-{scans}.jpg", _repeat_scans(scans), fate)


def _repeat_scans(count: int) -> bytes:
    data = make_sound_pictures()["progressive.jpg"]
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def make_extreme_shapes() -> Iterator[HostileFile]:
    """Yield pictures of extreme length, width and smallness."""
    for width, height in ((1, 100_000), (100_000, 1), (1, 1), (2, 65_535)):
        name = f"shape-{width}x{height}"
        yield HostileFile(f"{name}.png", make_png(width, height), EMBEDDED)
        yield HostileFile(
            f"{name}.tif", encode_picture(Image.new("L", (width, height), 9), "TIFF"), EMBEDDED
        )
        if max(width, height) < 65_500:
            yield HostileFile(
                f"{name}.jpg", encode_picture(Image.new("L", (width, height), 9), "JPEG"), EMBEDDED
            )
        if max(width, height) < 65_536:
            yield HostileFile(
                f"{name}.gif", encode_picture(Image.new("L", (width, height), 9), "GIF"), EMBEDDED
            )
    deep = Image.fromarray(np.full((4000, 4000), 999, dtype=np.uint16))
    yield HostileFile("shape-limit.png", encode_picture(deep, "PNG"), EMBEDDED)
    yield HostileFile(
        "shape-limit.tif", encode_picture(deep, "TIFF", compression="tiff_lzw"), EMBEDDED
    )
    colors = Image.new("RGBA", (4000, 4000), (255, 0, 0, 128))
    yield HostileFile(
        "shape-limit-alpha.png", encode_picture(colors, "PNG", compress_level=1), EMBEDDED
    )
    colors = colors.convert("RGB")
    yield HostileFile("shape-limit.jpg", encode_picture(colors, "JPEG", progressive=True), EMBEDDED)
    for width, height in ((0, 5), (5, 0), (0, 0)):
        yield HostileFile(f"shape-{width}x{height}.png", make_png(width, height), DAMAGED_REASONS)
        size = struct.pack(">HH", height, width)
        none = replace_bytes(
            make_sound_pictures()["baseline.jpg"], struct.pack(">HH", *PICTURE_SIZE[::-1]), size
        )
        yield HostileFile(f"shape-{width}x{height}.jpg", none, DAMAGED_REASONS)


def make_exif(
    *entries: tuple[int, int, int, int], tail: bytes = b"", count: int | None = None
) -> bytes:
    """Return an EXIF block of entries: tag, type, count, and value or offset."""
    table = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    number = struct.pack(">H", len(entries) if count is None else count)
    return b"Exif\0\0MM\0*\0\0\0\x08" + number + table + bytes(4) + tail


def make_absurd_metadata() -> Iterator[HostileFile]:
    """Yield valid pictures with absurd EXIF or broken color profiles; all are embedded."""
    image = Image.open(io.BytesIO(make_sound_pictures()["baseline.jpg"]))
    rotated, huge = (0x0112, 3, 1, 6 << 16), 0xFFFFFFF0
    absurd = {
        "garbage": b"Exif\0\0" + bytes(range(256)) * 8,
        "nothing": b"Exif\0\0",
        "cut": make_exif(rotated)[:-9],
        "count": make_exif((0x0112, 3, 1, 1 << 16), count=65535),
        "far": make_exif((0x010F, 2, 100, huge), (0x8769, 4, 1, huge), (0x8825, 4, 1, huge)),
        "large": make_exif((0x010F, 2, huge, 8), (0x0110, 5, huge, 8)),
        "itself": make_exif((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8)),
        "types": make_exif(*((0x0100 + n, n % 20, n, n << 16) for n in range(200))),
        "orientation-99": make_exif((0x0112, 3, 1, 99 << 16)),
        "orientation-many": make_exif((0x0112, 3, 5, 8)),
        "orientation-text": make_exif((0x0112, 2, 4, 0x41424344)),
        "orientation-ratio": make_exif((0x0112, 5, 1, 26), tail=bytes(8)),
        "dates": make_exif((0x0132, 2, 20, 26), tail=b"9999:99:99 99:99:99\0"),
        "year-0": make_exif((0x0132, 2, 20, 26), tail=b"0000:00:00 00:00:00\0"),
        "escape": make_exif((0x0110, 2, 20, 26), tail=b"\x1b[2J\x1b]0;owned\x07\0\0\0\0\0\0\0"),
        "place": make_exif((0x8825, 4, 1, 26), tail=struct.pack(
            ">HHHIIHHIII", 2, 1, 2, 2, 0x4E000000, 2, 5, 3, 64, 0) + bytes(80)),
        "full": b"Exif\0\0MM\0*" + b"\xff" * 65000,
    }  # fmt: skip
    for name, block in absurd.items():
        for suffix in ("jpg", "png", "webp"):
            quality = {} if suffix == "png" else {"quality": 95}
            formats = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
            plain = encode_picture(image, formats[suffix], **quality)
            data = encode_picture(image, formats[suffix], exif=block, **quality)
            yield HostileFile(f"exif-{name}.{suffix}", data, EMBEDDED, plain)
    profiles = {"garbage": bytes(range(256)) * 20, "short": b"x", "head": bytes(127) + b"acsp" * 9}
    for name, profile in profiles.items():
        for suffix, format in (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("tif", "TIFF"),
                               ("avif", "AVIF"), ("jp2", "JPEG2000")):  # fmt: skip
            data = encode_picture(image, format, icc_profile=profile)
            yield HostileFile(f"icc-{name}.{suffix}", data, EMBEDDED, encode_picture(image, format))
        cmyk = image.convert("CMYK")
        data = encode_picture(cmyk, "JPEG", icc_profile=profile)
        yield HostileFile(f"icc-{name}-cmyk.jpg", data, EMBEDDED, encode_picture(cmyk, "JPEG"))
    data = make_png(*PICTURE_SIZE, make_png_chunk(b"iCCP", b"p\0\0no zlib"))
    yield HostileFile("icc-no-zlib.png", data, EMBEDDED, make_png(*PICTURE_SIZE))


def make_absurd_tiff_tags() -> Iterator[HostileFile]:
    """Yield TIFF files with absurd tags."""
    for name, more in {
        "samples": {"t277": 65535},
        "bits": {"t258": 65535},
        "compression": {"t259": 65000},
        "colors": {"t262": 65535},
        "offset": {"t273": 0xFFFFFFF0},
        "bytes": {"t279": 0xFFFFFFFF},
        "tile-0": {"t322": 0, "t323": 0},
    }.items():
        yield HostileFile(f"tags-{name}.tif", make_tiff(*PICTURE_SIZE, **more), DAMAGED_REASONS)
    yield HostileFile("tags-rows.tif", make_tiff(*PICTURE_SIZE, t278=0xFFFFFFFF), EMBEDDED)
    loop = b"II*\0\x08\0\0\0" + b"\0\0" + struct.pack("<I", 8)
    yield HostileFile("tags-loop.tif", loop, DAMAGED_REASONS)
    yield HostileFile("tags-none.tif", b"II*\0" + struct.pack("<I", 0xFFFFFFF0), DAMAGED_REASONS)
    yield HostileFile(
        "tags-many.tif", b"II*\0\x08\0\0\0\xff\xff" + bytes(range(256)) * 99, DAMAGED_REASONS
    )
    yield HostileFile("tags-big.tif", b"II+\0\x08\0\0\0" + b"\xff" * 64, DAMAGED_REASONS)
    pages = [Image.new("L", PICTURE_SIZE, n) for n in range(200)]
    data = encode_picture(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    yield HostileFile("pages.tif", data, EMBEDDED)


def make_endless_animations() -> Iterator[HostileFile]:
    """Yield endless animations, of which searchapp embeds the first frame."""
    frames = [Image.new("P", PICTURE_SIZE, n % 2) for n in range(500)]
    gif = encode_picture(
        frames[0], "GIF", save_all=True, append_images=frames[1:], loop=0, duration=0
    )
    yield HostileFile("endless.gif", gif, EMBEDDED)
    yield HostileFile("endless-no-end.gif", gif[:-1] + gif[-200:-1] * 1000, EMBEDDED)
    webp = encode_picture(
        frames[0], "WEBP", save_all=True, append_images=frames[1:], loop=0, duration=1
    )
    yield HostileFile("endless.webp", webp, EMBEDDED)
    apng = encode_picture(frames[0].convert("RGB"), "PNG", save_all=True, loop=0,
                  append_images=[f.convert("RGB") for f in frames[1:50]])  # fmt: skip
    yield HostileFile("endless.png", apng, EMBEDDED)
    comment = b"!\xfe" + (b"\xff" + b"x" * 255) * 4000 + b"\0"
    plain = make_sound_pictures()["palette.gif"]
    yield HostileFile("comment.gif", plain[:-1] + comment, EMBEDDED, plain)


def make_non_pictures() -> Iterator[HostileFile]:
    """Yield other files with names of pictures, and pictures with other names."""
    svg = b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="x">&a;</svg>'
    pdf = (
        b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" + make_sound_pictures()["baseline.jpg"]
    )
    archive, program = b"PK\3\4" + bytes(60), b"\x7fELF" + bytes(60)
    movie = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(60)
    yield HostileFile("x.mp4", movie, NO_VIDEO_REASONS)
    for name, data in {
        "x.svg": svg, "x.pdf": pdf, "x.zip": archive, "program": program,
        "x.txt": b"hello, world", "empty.txt": b"", "two.txt": b"BM",
        "cars.txt": b"BMW is a maker of cars, and this is a text that begins with two letters",
        "eps.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n", "x.psd": b"8BPS\0\1" + bytes(60),
    }.items():  # fmt: skip
        yield HostileFile(name, data, SKIPPED)
        if data:
            for suffix in (".jpg", ".png", ".heic"):
                yield HostileFile(f"wrong-{name}{suffix}", data, NO_PICTURE_REASON)
            yield HostileFile(f"wrong-raw-{name}.nef", data, NO_PICTURE_REASON)
            yield HostileFile(f"wrong-film-{name}.mov", data, NO_VIDEO_REASONS)
    yield HostileFile("wrong-x.mp4.jpg", movie, NO_PICTURE_REASON)
    for suffix in ("jpg", "png", "webp", "gif", "tif", "bmp", "heic", "avif", "jp2"):
        yield HostileFile(f"empty.{suffix}", b"", "the file is empty")
        yield HostileFile(f"zeros.{suffix}", bytes(5000), NO_PICTURE_REASON)
    for name, data in make_sound_pictures().items():
        yield HostileFile(f"wrong-suffix-{name}.txt", data, EMBEDDED, data)
    yield HostileFile(
        "wrong.png",
        make_sound_pictures()["baseline.jpg"],
        EMBEDDED,
        make_sound_pictures()["baseline.jpg"],
    )
    yield HostileFile(
        "no-suffix", make_sound_pictures()["rgb.png"], EMBEDDED, make_sound_pictures()["rgb.png"]
    )
    data = make_sound_pictures()["rgb.png"] + pdf
    yield HostileFile("polyglot.png", data, EMBEDDED, make_sound_pictures()["rgb.png"])


def damage_camera_files() -> Iterator[HostileFile]:
    """Yield JPEG XL files, camera RAW files and videos that are cut off or have flipped bits."""
    noise = Image.open(io.BytesIO(make_sound_pictures()["rgb.png"])).convert("RGB")
    with tempfile.TemporaryDirectory() as folder:
        films = {
            name: write_video(
                Path(folder) / name, (("red", 2), ("blue", 2)), size=PICTURE_SIZE
            ).read_bytes()
            for name in ("x.mp4", "x.mkv", "x.avi", "x.mts")
        }
    sound_files = {
        "stream.jxl": encode_picture(noise, "JXL"),
        "box.jxl": encode_picture(noise, "JXL", use_container=True),
        "sensor.dng": make_dng(size=PICTURE_SIZE),
        "preview.dng": make_dng(size=PICTURE_SIZE, preview=noise),
        **films,
    }
    chance = random.Random(9)
    for name, data in sound_files.items():
        yield HostileFile(f"whole-{name}", data, EMBEDDED)
        reasons = "|".join(
            (DAMAGED_REASONS, NO_PICTURE_REASON, NO_VIDEO_REASONS, TOO_LARGE_REASON, "not RAW file")
        )
        for number in range(12):
            damaged = bytearray(data)
            for _ in range(chance.choice((1, 1, 5, 50))):
                damaged[chance.randrange(len(data) if number % 2 else 400)] ^= 1 << number % 8
            yield HostileFile(
                f"flip-{number}-{name}", bytes(damaged), reasons, can_be_embedded=True
            )
        for cut in (1, 20, 60, 200, len(data) // 2, len(data) - 1):
            yield HostileFile(f"cut-{cut:05}-{name}", data[:cut], reasons, can_be_embedded=True)
    data = make_dng(size=(2000, 2000))[:3000]
    large = data.replace(struct.pack("<I", 2000), struct.pack("<I", 50000))
    yield HostileFile("large.dng", large, f"{TOO_LARGE_REASON}|{DAMAGED_REASONS}|not RAW file")
    yield HostileFile("large.jxl", b"\xff\x0a" + bytes([0b110]) + b"\xff" * 30, TOO_LARGE_REASON)


def make_difficult_names() -> Iterator[HostileFile]:
    """Yield pictures with names that are difficult for shells, terminals, databases or JSON."""
    data = make_sound_pictures()["rgb.png"]
    for name in (
        "new\nline.png", "tab\t.png", "\x1b[2J\x07.png", "-rf.png", "a'b\"c`$(d).png", "100%s.png",
        "\u202egnp.exe.png", "📷 é e\u0301.png", " .png", "back\\slash.png", "x" * 251 + ".png",
        os.fsdecode(b"latin-\xe9.png"), os.fsdecode(b"bytes-\xff\xfe\x80.png"), "a;b|c&d<e>.png",
    ):  # fmt: skip
        yield HostileFile(name, data, EMBEDDED, data)
    yield HostileFile(os.fsdecode(b"broken-\xff\n.png"), data[:100], DAMAGED_REASONS)


def make_special_files(folder: Path) -> list[HostileFile]:
    """Make special files: pipes, sockets, links, files without permissions."""
    plain = make_sound_pictures()["rgb.png"]
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        working_folder = Path.cwd()
        os.chdir(folder)  # The path of a socket has at most 107 bytes.
        server.bind("socket.jpg")
        os.chdir(working_folder)
    (folder / "loop-1.jpg").symlink_to("loop-2.jpg")
    (folder / "loop-2.jpg").symlink_to("loop-1.jpg")
    (folder / "loop").symlink_to(folder)
    (folder / "nowhere.jpg").symlink_to("not-there.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "closed.png").write_bytes(plain)
    (folder / "closed.png").chmod(0)
    (folder / "changing.png").write_bytes(plain)
    (folder / "becoming-a-pipe.png").write_bytes(
        plain
    )  # A test replaces it by a pipe after the scan.
    (folder / "closed").mkdir()
    (folder / "closed" / "inside.png").write_bytes(plain)
    (folder / "closed").chmod(0)
    with (folder / "huge.jpg").open("wb") as file:  # A sparse file uses no disk space.
        file.truncate((1 << 30) + 1)
    (folder / "future.png").write_bytes(plain)
    os.utime(folder / "future.png", (AFTER_2262, AFTER_2262))
    (folder / "piped").mkdir()
    (folder / "piped" / "inside.png").write_bytes(plain)
    os.mkfifo(folder / "piped" / ".searchappignore")
    denied = "Permission denied"
    return [
        HostileFile("pipe.jpg", b"", SKIPPED),
        HostileFile("socket.jpg", b"", SKIPPED),
        HostileFile("loop", b"", SKIPPED),
        HostileFile("nowhere.jpg", b"", SKIPPED),
        HostileFile("device.jpg", b"", SKIPPED),
        HostileFile("closed/inside.png", b"", SKIPPED),
        HostileFile("closed", b"", denied, stage="scan"),
        HostileFile("loop-1.jpg", b"", SKIPPED),
        HostileFile("loop-2.jpg", b"", SKIPPED),
        HostileFile("future.png", plain, EMBEDDED),
        HostileFile("piped", b"", "not a regular file", stage="scan"),
        HostileFile("piped/inside.png", b"", SKIPPED),
        HostileFile("closed.png", b"", denied),
        HostileFile("changing.png", b"", "changed while it was being read"),
        HostileFile("becoming-a-pipe.png", b"", "the file is empty"),
        HostileFile("huge.jpg", b"", "the file has 1024 MiB; the limit is 1024"),
    ]


def write_hostile_files(folder: Path) -> list[HostileFile]:
    """Write all hostile files into a folder, and return them."""
    made: list[HostileFile] = []
    kinds: list[Iterable[HostileFile]] = [
        truncate_files(), flip_bits(), make_bombs(), make_extreme_shapes(), make_absurd_metadata(),
        make_absurd_tiff_tags(), make_endless_animations(), make_non_pictures(),
        damage_camera_files(), make_difficult_names(),
    ]  # fmt: skip
    for kind in kinds:
        for hostile in kind:
            (folder / hostile.name).write_bytes(hostile.data)
            made.append(hostile)
    made += make_special_files(folder)
    assert len({hostile.name for hostile in made}) == len(made)
    return made
