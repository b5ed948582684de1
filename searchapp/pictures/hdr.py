"""Convert pixels of HDR and wide color spaces (PQ, HLG, BT.2020, Display P3) to sRGB."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18  # transfer functions, as ITU-T H.273 numbers them
BT709, UNSPECIFIED, BT2020, DISPLAY_P3 = 1, 2, 9, 12  # color primaries of H.273
REFERENCE_WHITE_NITS = 203.0  # cd/m² of diffuse white, from ITU-R BT.2408
PEAK_TO_WHITE_RATIO = 1000.0 / REFERENCE_WHITE_NITS  # 1000 cd/m² becomes pure white
# From the primaries to sRGB's, linear: ITU-R BT.2087, and SMPTE EG 432-1 for Display P3.
MATRIX_BY_PRIMARIES = {
    BT2020: np.array(
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
        np.float32,
    ),
    DISPLAY_P3: np.array(
        [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]], np.float32
    ),
}
PIXELS_AT_ONCE = 1 << 18  # to save memory


def is_hdr(transfer: int) -> bool:
    """Return whether a transfer function is one of HDR."""
    return transfer in (PQ, HLG)


def is_wide(primaries: int) -> bool:
    """Return whether color primaries span more colors than those of sRGB."""
    return primaries in MATRIX_BY_PRIMARIES


def convert_hdr_to_srgb(
    values: NDArray[Any], transfer: int, primaries: int = BT2020
) -> NDArray[np.uint8]:
    """Convert pixels with 8 or 16 bits per channel to sRGB pixels with 8 bits per channel.

    Both arrays are [height, width, 3]. transfer: PQ and HLG are tone-mapped; any other is taken
    for sRGB's. primaries: for PQ and HLG, unspecified ones are taken for BT.2020.
    """
    if is_hdr(transfer) and primaries == UNSPECIFIED:
        primaries = BT2020
    table, matrix = _make_light_table(transfer, values.dtype), MATRIX_BY_PRIMARIES.get(primaries)
    converted = np.empty(values.shape, np.uint8)
    rows = max(1, PIXELS_AT_ONCE // max(1, values.shape[1]))
    for start in range(0, len(values), rows):
        light = table[values[start : start + rows]]
        if matrix is not None:
            light = np.maximum(light @ matrix.T, 0)
        if is_hdr(transfer):
            light = _map_tones(light)
        converted[start : start + rows] = _encode_srgb(np.clip(light, 0, 1))
    return converted


@cache
def _make_light_table(transfer: int, dtype: np.dtype[Any]) -> NDArray[np.float32]:
    """Return the linear light for each stored value; 1 is diffuse white."""
    max_value = np.iinfo(dtype).max
    signal = np.arange(max_value + 1, dtype=np.float32) / np.float32(max_value)
    if is_hdr(transfer):
        light = (_decode_pq if transfer == PQ else _decode_hlg)(signal) / REFERENCE_WHITE_NITS
    else:
        light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


def _map_tones(light: NDArray[Any]) -> NDArray[Any]:
    """Compress light above diffuse white into 0 to 1.

    Reinhard's curve is applied to the brightest channel, so that colors keep their hue.
    """
    brightest_channel = np.maximum(light.max(axis=2, keepdims=True), 1e-6)
    tone_mapped = light * (
        (1 + brightest_channel / PEAK_TO_WHITE_RATIO**2) / (1 + brightest_channel)
    )
    doubled: NDArray[Any] = tone_mapped * 2  # The curve maps diffuse white, 1, to 0.5.
    return doubled


def _encode_srgb(light: NDArray[Any]) -> NDArray[np.uint8]:
    gamma = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (gamma * 255 + 0.5).astype(np.uint8)


def _decode_pq(signal: NDArray[Any]) -> NDArray[Any]:
    """Return the luminance in cd/m² of a PQ signal (SMPTE ST 2084)."""
    power = signal ** np.float32(1 / 78.84375)
    ratio = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    light: NDArray[Any] = 10000 * ratio ** np.float32(1 / 0.1593017578125)
    return light


def _decode_hlg(signal: NDArray[Any]) -> NDArray[Any]:
    """Return the luminance in cd/m² of an HLG signal on a 1000 cd/m² screen (ITU-R BT.2100)."""
    scene = np.where(
        signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    )
    light: NDArray[Any] = 1000 * scene ** np.float32(1.2)
    return light
