"""Find a caption: a line of text that was written into one of two registered pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from searchapp.duplicates import registration
from searchapp.duplicates.registration import Floats, Mask, Transform
from searchapp.duplicates.residuals import BLOCK_SIDE_PX
from searchapp.duplicates.text_lines import is_text_line

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SIDE_PX = 640  # longest side at which captions are looked for
MIN_CHANGE_LEVELS = 24.0  # of the brightest color channel
EDGE_PX = 3.0
EDGE_ZONE_SHARE = 0.4  # a caption lies in the upper or in the lower part of a picture
MAX_STRIP_SHARE, MAX_STRIPS_SHARE = 0.22, 0.36  # of the height: one line, and all lines
STRIP_GAP_SHARE = 0.02  # of the height; smaller gaps are inside a line of text
STRAY_PIXEL_SHARE = 2e-4  # of a strip: single pixels that compression has changed
# Letters have one tone, and their outline, shadow or band another one. Colors are not compared,
# because compression smears them.
TONE_RANGE = 44.0  # levels around a tone: compression, and the blur of thin strokes
TIGHT_RANGE = 12.0  # levels around a tone: how near the pixels of drawn text are
MIN_FLAT_SHARE = 0.65  # of the changed pixels, that have these tones
MIN_SECOND_SHARE = 0.12  # of the changed pixels, for a second tone
MAX_EDGE_RATIO, MIN_EDGE_LEVELS = 1.8, 2.5  # of edges where a text is, to those beside it
MIN_ADDED_EDGE_RATIO = 1.15
MIN_TIGHTNESS = 0.36  # share of the changed pixels within TIGHT_RANGE of two tones
MIN_TIGHTNESS_RATIO = 1.1  # compared with the other picture
MIN_AROUND_SHARE = 0.1  # of the box around letters, that has not changed: there is no band
MIN_DISTANCE_RATIO = 1.5  # of letters to their surroundings, compared with the other picture
MAX_SAME_TONE_SHARE = 0.2  # of the changed pixels, that have the tone of letters in both pictures
MIN_SEEN_SHARE = 0.25  # of the box around the text, that has not changed
MIN_GROUND_SHARE = 0.7  # of the pixels around the text, that have the tone of a flat ground
MAX_OTHER_TONES_SHARE = 0.03  # of the changed pixels, that may differ from this ground
MIN_CORRELATION = -0.5  # of the changed pixels of two pictures, if only one of them has a text
MIN_BAND_SHARE = 0.6  # of a strip; a translucent band changes more or less all its pixels
BAND_GAIN_RANGE = (0.1, 0.92)  # how much of the picture is seen through a translucent band


class Caption(NamedTuple):
    """Strips with text, and the picture that has this text."""

    strips: tuple[tuple[float, float], ...]  # top and bottom, as shares of the second's height
    is_in_first: bool


def find_caption(
    first: Picture,
    second: Picture,
    transform: Transform,
    toned: tuple[Picture, Picture],
    find_different_blocks: Callable[[int], Mask],
) -> Caption | None:
    """Return the caption that one of two pictures has; None if they differ otherwise.

    toned: both pictures again, with the same tones: they show what has changed.
    find_different_blocks: returns which blocks differ at a size, by the longest side.
    """
    side = min(SIDE_PX, max(second.size))
    first_size, size = registration.choose_sizes(first.size, second.size, transform, side)

    def align(one: Picture, other: Picture) -> tuple[Floats, Floats]:
        warped = registration.warp_picture(
            registration.shrink_picture(one, first_size), transform, size
        )
        small = registration.shrink_picture(other, size)
        return _as_array(warped), _as_array(small)

    grid = registration.make_grid(transform, size)
    is_shared = registration.find_shared_pixels(grid, first_size, EDGE_PX)
    one, other = align(*toned)
    levels = np.abs(one - other).max(axis=2)
    is_different = _spread_blocks(find_different_blocks(side), is_shared.shape)
    is_changed = (levels > MIN_CHANGE_LEVELS) & is_shared & is_different
    strips = _find_strips(is_changed)
    if not strips:
        return None
    height = size[1]
    pictures = align(first, second)
    scores = [
        min(
            _rate_caption(carrier[top:end], plain[top:end], is_changed[top:end])
            if _is_drawn_into(carrier, plain, is_changed, top, end)
            else 0.0
            for top, end in strips
        )
        for carrier, plain in (pictures, pictures[::-1])
    ]
    if not any(scores):
        return None
    shares = tuple((max(0, top - 3) / height, (end + 3) / height) for top, end in strips)
    return Caption(shares, scores[0] > scores[1])


def _spread_blocks(blocks: Mask, shape: tuple[int, ...]) -> Mask:
    """Return which pixels lie in one of the blocks, [h, w]."""
    half = BLOCK_SIDE_PX // 2
    cells = np.zeros((len(blocks) + 1, blocks.shape[1] + 1), np.bool_)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            cells[rows, columns] |= blocks
    pixels = cells.repeat(half, axis=0).repeat(half, axis=1)
    # The last rows and columns fill no block.
    padding = [(0, max(0, length - size)) for length, size in zip(shape, pixels.shape, strict=True)]
    spread: Mask = np.pad(pixels, padding, mode="edge")[: shape[0], : shape[1]]
    return spread


def _as_array(picture: Picture) -> Floats:
    return np.asarray(picture.convert("RGB"), np.float32)


def _find_strips(is_changed: Mask) -> list[tuple[int, int]]:
    """Return the rows, from and to, of changes that may be lines of text; [] if others changed."""
    height, width = is_changed.shape
    counts = is_changed.sum(axis=1)
    rows = np.flatnonzero(counts > max(1, STRAY_PIXEL_SHARE * width * 4))
    if not len(rows):
        return []
    gap = max(2, round(STRIP_GAP_SHARE * height))
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > gap) + 1)
    strips = [(int(part[0]), int(part[-1]) + 1) for part in parts]
    heights = [end - top for top, end in strips]
    if max(heights) > MAX_STRIP_SHARE * height or sum(heights) > MAX_STRIPS_SHARE * height:
        return []
    is_at_edge = (
        end <= EDGE_ZONE_SHARE * height or top >= (1 - EDGE_ZONE_SHARE) * height
        for top, end in strips
    )
    return strips if all(is_at_edge) else []


def _is_drawn_into(carrier: Floats, plain: Floats, is_changed: Mask, top: int, end: int) -> bool:
    """Return whether changes between two rows add edges to a picture that has no text there.

    carrier, plain: [h, w, 3]. The other picture has as many edges there as above and below.
    """
    columns = np.flatnonzero(is_changed[top:end].any(axis=0))
    box = slice(columns[0], columns[-1] + 1)
    gap, reach = 2, end - top
    edges, plain_edges = (_measure_steepness(x.mean(axis=2)[:, box]) for x in (carrier, plain))
    near = [plain_edges[max(0, top - gap - reach) : max(0, top - gap)],
            plain_edges[end + gap : end + gap + reach]]  # fmt: skip
    around = max((float(part.mean()) for part in near if len(part) >= 4), default=0.0)
    inside, plain_inside = (float(x[top:end].mean()) for x in (edges, plain_edges))
    if plain_inside > MAX_EDGE_RATIO * around + MIN_EDGE_LEVELS:
        return False
    return inside >= MIN_ADDED_EDGE_RATIO * plain_inside


def _measure_steepness(values: Floats) -> Floats:
    """Return the length of the gradient, in levels for each pixel, [h, w]."""
    down, across = np.gradient(values)
    steepness: Floats = np.hypot(down, across)
    return steepness


def _rate_caption(carrier: Floats, plain: Floats, is_changed: Mask) -> float:
    """Return how flat the colors are of text that only one picture has; 0: there is none."""
    if is_changed.mean() >= MIN_BAND_SHARE:
        gain, offset = _fit_band(carrier, plain, is_changed)
        is_behind = np.abs(carrier - gain * plain - offset).max(axis=2) <= MIN_CHANGE_LEVELS
        if gain.max() >= BAND_GAIN_RANGE[0]:  # otherwise the band is opaque
            if gain.max() > BAND_GAIN_RANGE[1] or (is_behind & is_changed).mean() < 0.4:
                return 0.0
            is_changed = is_changed & ~is_behind
    one, other = carrier.mean(axis=2), plain.mean(axis=2)
    tones = _find_flat_tones(one[is_changed])
    if not tones or _are_two_texts(tones, one[is_changed], other[is_changed]):
        return 0.0
    ground = _find_flat_ground(other, is_changed)
    if ground is not None:
        # The other picture must show this ground alone, or what lies on it around the letters, too.
        is_other_tone = np.abs(other - ground) > 2 * TIGHT_RANGE
        around = is_other_tone[~is_changed].mean()
        if is_other_tone[is_changed].mean() > MAX_OTHER_TONES_SHARE + around:
            return 0.0
    tightness = _measure_tightness(one[is_changed])
    if tightness < MIN_TIGHTNESS:
        return 0.0
    if not _stands_out(one, other, is_changed):
        return 0.0
    distances = [np.abs(one - tone) for tone in tones]
    plain_distances = [np.abs(other - tone) for tone in tones]
    masks = [
        (distance <= TONE_RANGE, np.maximum(distance, plain_distance) <= TIGHT_RANGE)
        for distance, plain_distance in zip(distances, plain_distances, strict=True)
        if (plain_distance[is_changed] <= MIN_CHANGE_LEVELS).mean() <= MAX_SAME_TONE_SHARE
    ]
    if (distances[0] <= TONE_RANGE).mean() >= MIN_BAND_SHARE:
        masks.append((distances[0] > TONE_RANGE, np.zeros_like(is_changed)))  # text on a band
    if not any(is_text_line(mask, old_mask, is_changed) for mask, old_mask in masks):
        return 0.0
    return tightness


def _stands_out(carrier: Floats, plain: Floats, is_changed: Mask) -> bool:
    """Return whether changed pixels differ from those around them more than in the other picture.

    On a band, nothing is around them: then their tones must be flatter.
    """
    columns = np.flatnonzero(is_changed.any(axis=0))
    box = slice(columns[0], columns[-1] + 1)
    is_around = ~is_changed[:, box]
    if is_around.mean() < 1 - MIN_BAND_SHARE:
        tightness, other = (_measure_tightness(x[is_changed]) for x in (carrier, plain))
        if tightness >= MIN_TIGHTNESS_RATIO * other:
            return True
        if is_around.mean() < MIN_AROUND_SHARE:
            return False
    distance, other_distance = (
        float(np.abs(x[is_changed] - np.median(x[:, box][is_around])).mean())
        for x in (carrier, plain)
    )
    return distance >= MIN_DISTANCE_RATIO * other_distance


def _correlate(one: Floats, other: Floats) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one @ other) / max(1e-6, float(np.sqrt((one @ one) * (other @ other)))))


def _measure_tightness(pixels: Floats) -> float:
    """Return the share of pixels, [n], that are near the two most frequent tones."""
    counts = np.bincount(pixels.astype(np.int64), minlength=256)
    width, total = int(2 * TIGHT_RANGE) + 1, 0
    for _ in range(2):
        sums = np.convolve(counts, np.ones(width), "same")
        center = int(sums.argmax())
        near = slice(max(0, center - width // 2), center + width // 2 + 1)
        total += int(counts[near].sum())
        counts[near] = 0
    return total / max(1, len(pixels))


def _are_two_texts(tones: list[float], carrier: Floats, plain: Floats) -> bool:
    """Return whether both pictures have a text on the same flat ground.

    tones: of the carrier. carrier, plain: the changed pixels of both, [n].
    """
    if len(tones) > 1 and _correlate(carrier, plain) < MIN_CORRELATION:
        return True  # Where one has a letter, the other has the ground.
    plain_tones = _find_flat_tones(plain)
    if len(plain_tones) < 2:
        return False
    nearest = np.minimum.reduce([np.abs(plain - tone) for tone in plain_tones])
    is_tight = (nearest <= TIGHT_RANGE).mean() >= MIN_FLAT_SHARE
    return bool(is_tight) and any(abs(a - b) <= 2 * TIGHT_RANGE for a in tones for b in plain_tones)


def _find_flat_ground(plain: Floats, is_changed: Mask) -> float | None:
    """Return the tone of the flat ground around changed pixels; None if it is not flat."""
    columns = np.flatnonzero(is_changed.any(axis=0))
    box = slice(columns[0], columns[-1] + 1)
    around = plain[:, box][~is_changed[:, box]]
    if len(around) < MIN_SEEN_SHARE * is_changed[:, box].size:
        return None  # A band covers the ground.
    ground = float(np.median(around))
    is_ground = np.abs(around - ground) <= TIGHT_RANGE
    return ground if is_ground.mean() >= MIN_GROUND_SHARE else None


def _fit_band(carrier: Floats, plain: Floats, is_changed: Mask) -> tuple[Floats, Floats]:
    """Return gain and offset of each channel, [3], behind a translucent band."""
    x, y = plain[is_changed], carrier[is_changed]
    weights = np.ones(len(x), np.float32)
    gain, offset = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for _ in range(8):
        total = weights.sum()
        center_x, center_y = (weights @ x) / total, (weights @ y) / total
        spread = weights @ (x - center_x) ** 2
        gain = (weights @ ((x - center_x) * (y - center_y))) / np.maximum(spread, 1e-3)
        offset = center_y - gain * center_x
        distance = np.abs(y - gain * x - offset).max(axis=1)
        weights = 1 / (1 + (distance / 8) ** 2)
    return gain.astype(np.float32), offset.astype(np.float32)


def _find_flat_tones(pixels: Floats) -> list[float]:
    """Return the one or two gray tones that most pixels, [n], have; [] if there are more."""
    if len(pixels) < 20:
        return []
    tones: list[float] = []
    rest, share = pixels, 0.0
    while len(tones) < 2 and len(rest) >= 20:
        counts = np.convolve(np.bincount(rest.astype(np.int64), minlength=256), np.ones(17), "same")
        tone = float(counts.argmax())
        is_near = np.abs(rest - tone) <= TONE_RANGE
        tone_share = is_near.sum() / len(pixels)
        if tones and tone_share < MIN_SECOND_SHARE:
            break
        tones.append(tone)
        share += tone_share
        rest = rest[~is_near]
    return tones if share >= MIN_FLAT_SHARE else []
