"""Convert high dynamic range pictures (PQ or HLG, BT.2020) to sRGB by tone mapping."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PQ, HLG = 16, 18  # transfer functions, as ITU-T H.273 numbers them
REFERENCE_WHITE_NITS = 203.0  # cd/m² of diffuse white, from ITU-R BT.2408
PEAK_TO_WHITE_RATIO = 1000.0 / REFERENCE_WHITE_NITS  # 1000 cd/m² becomes pure white
# From BT.2020's primaries to sRGB's, linear (ITU-R BT.2087).
BT2020_TO_SRGB = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)


def convert_hdr_to_srgb(values: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """Convert HDR pixels with 16 bits per channel to sRGB pixels with 8 bits per channel.

    Both arrays are [height, width, 3]. transfer: the transfer function, PQ or HLG.
    """
    signal = values.astype(np.float32) / np.float32(65535)
    light = (_decode_pq if transfer == PQ else _decode_hlg)(signal) / REFERENCE_WHITE_NITS
    light = np.maximum(light @ BT2020_TO_SRGB.T, 0)
    # Reinhard's curve is applied to the brightest channel, so that colors keep their hue.
    brightest_channel = np.maximum(light.max(axis=2, keepdims=True), 1e-6)
    tone_mapped = light * (
        (1 + brightest_channel / PEAK_TO_WHITE_RATIO**2) / (1 + brightest_channel)
    )
    tone_mapped = np.clip(tone_mapped * 2, 0, 1)  # The curve maps diffuse white, 1, to 0.5.
    gamma = np.where(
        tone_mapped <= 0.0031308, 12.92 * tone_mapped, 1.055 * tone_mapped ** (1 / 2.4) - 0.055
    )
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
