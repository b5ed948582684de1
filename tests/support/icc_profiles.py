"""Write ICC profiles: matrix and curve, gray, and tables (LUT) for RGB and CMYK."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

# XYZ of red, green and blue, adapted to D50, one a row.
DISPLAY_P3 = (
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
)
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PRO_PHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
D50 = np.array((0.96420, 1.0, 0.82491))
PROFILE_VERSION = 0x02400000


def make_rgb_profile(primaries: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    """Return a profile of a display with a matrix and a gamma."""
    tags = {
        f"{channel}XYZ": _encode_xyz(xyz) for channel, xyz in zip("rgb", primaries, strict=True)
    }
    curves = {f"{channel}TRC": _encode_gamma(gamma) for channel in "rgb"}
    return _join_profile("mntr", "RGB ", "XYZ ", tags | curves)


def make_gray_profile(gamma: float) -> bytes:
    """Return a profile of a gray scale."""
    return _join_profile("mntr", "GRAY", "XYZ ", {"kTRC": _encode_gamma(gamma)})


def make_rgb_table_profile(primaries: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    """Return a profile of a display with a table of 17 x 17 x 17 colors."""
    matrix = np.array(primaries)
    table = _encode_table(3, 17, lambda rgb: rgb**gamma @ matrix)
    return _join_profile("mntr", "RGB ", "Lab ", {"A2B0": table})


def make_cmyk_profile() -> bytes:
    """Return a profile of a printer whose inks are less pure than Pillow assumes."""
    inks = np.array(((0.0, 0.62, 0.9), (0.9, 0.1, 0.5), (0.98, 0.93, 0.1), (0.12, 0.12, 0.12)))
    matrix = np.array(SRGB)

    def show(cmyk: NDArray[np.float64]) -> NDArray[np.float64]:
        paper = np.full((len(cmyk), 3), 0.97)
        for amount, ink in zip(cmyk.T, inks, strict=True):
            paper *= 1 - amount[:, None] * (1 - ink)
        return paper**2.2 @ matrix

    return _join_profile("prtr", "CMYK", "Lab ", {"A2B0": _encode_table(4, 9, show)})


def _encode_xyz(xyz: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in xyz))


def _encode_gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def _encode_table(
    channels: int, side: int, show: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> bytes:
    """Return a lut16Type (ICC.1:2022, 10.10). show: returns XYZ for device values from 0 to 1."""
    grid = np.array([*product(range(side), repeat=channels)]) / (side - 1)
    lab = _convert_xyz_to_lab(show(grid))
    encoded = np.stack((lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256), 1)
    identity = np.array((0, 65535), ">u2").tobytes()
    return b"".join((
        b"mft2\0\0\0\0",
        bytes((channels, 3, side, 0)),
        struct.pack(">9i", *(65536 * value for value in (1, 0, 0, 0, 1, 0, 0, 0, 1))),
        struct.pack(">2H", 2, 2),
        identity * channels,
        np.clip(np.rint(encoded), 0, 65535).astype(">u2").tobytes(),
        identity * 3,
    ))  # fmt: skip


def _convert_xyz_to_lab(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    relative = np.clip(xyz / D50, 0, None)
    f = np.where(relative > 216 / 24389, np.cbrt(relative), (24389 / 27 * relative + 16) / 116)
    return np.stack(
        (116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])), axis=1
    )


def _join_profile(kind: str, space: str, connection: str, tags: dict[str, bytes]) -> bytes:
    text = b"test\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {"desc": description, "wtpt": _encode_xyz(tuple(D50)), **tags}
    offset, entries, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        entries += name.encode() + struct.pack(">2I", offset + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    content = struct.pack(">I", len(tags)) + entries + body
    head = struct.pack(
        ">I4sI4s4s4s12s4s", 128 + len(content), b"test", PROFILE_VERSION, kind.encode(),
        space.encode(), connection.encode(), struct.pack(">6H", 2026, 1, 1, 0, 0, 0), b"acsp",
    )  # fmt: skip
    head += bytes(28) + struct.pack(">3i", *(round(value * 65536) for value in D50))
    return head.ljust(128, b"\0") + content
