"""Tell pages of text apart from photos: documents, chats, forms, screenshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

BLOCK_SIDE_PX = 16
MAX_FLAT_RANGE = 24  # levels between the darkest and the brightest pixel of a flat block
MIN_FLAT_SHARE = 0.35  # of all blocks
MIN_TEXT_RANGE = 60  # levels between text and ground
MIN_TWO_TONE_SHARE = 0.55  # of the blocks that are not flat
MIN_DRAWN_SHARE = 0.95  # of the same blocks, in a picture that is drawn throughout
MIN_TEXT_BLOCK_SHARE = 0.01  # of all blocks
MIN_TEXT_SHARE = 0.25  # of the blocks that are not flat
MIN_TEXT_EXTENT = 0.3  # of the height, from the first line to the last one
MIN_EDGES = 1.2  # in a row of a block, on average
MAX_GROUNDS = 3  # colors of the paper, of speech bubbles
GROUND_STEP_LEVELS = 16
MIN_GROUND_SHARE = 0.8  # of the flat blocks, that have one of these colors


def is_text_page(picture: Picture) -> bool:
    """Return whether a picture shows much text and little else: flat ground, and thin strokes."""
    luma = np.asarray(picture.convert("L"), np.int16)
    rows, columns = (length // BLOCK_SIDE_PX for length in luma.shape)
    if rows < 4 or columns < 4:
        return False
    side = BLOCK_SIDE_PX
    cells = luma[: rows * side, : columns * side].reshape(rows, side, columns, side)
    blocks = cells.transpose(0, 2, 1, 3).reshape(rows * columns, side * side)
    low, high = blocks.min(axis=1), blocks.max(axis=1)
    is_flat = high - low <= MAX_FLAT_RANGE
    if is_flat.mean() < MIN_FLAT_SHARE:
        return False
    grounds = np.median(blocks[is_flat], axis=1).astype(np.int64) // GROUND_STEP_LEVELS
    counts = np.sort(np.bincount(grounds))[::-1]
    if counts[:MAX_GROUNDS].sum() < MIN_GROUND_SHARE * len(grounds):
        return False
    others = blocks[~is_flat]
    # Two tones: most pixels are as bright as the ground or as the text.
    span = (high - low)[~is_flat]
    shares = (others - low[~is_flat][:, None]) / np.maximum(span, 1)[:, None]
    is_two_tone = np.maximum((shares > 0.8).mean(axis=1), (shares < 0.2).mean(axis=1)) > 0.45
    # Letters have several strokes in a row of pixels; the outline of an object has one edge.
    is_dark = (shares < 0.5).reshape(-1, side, side)
    edges = (is_dark[:, :, 1:] != is_dark[:, :, :-1]).sum(axis=(1, 2)) / side
    is_text = is_two_tone & (span >= MIN_TEXT_RANGE) & (edges >= MIN_EDGES)
    places = np.flatnonzero(~is_flat)[is_text] // columns
    if len(places) < MIN_TEXT_BLOCK_SHARE * len(blocks):
        return False
    # A caption on a dark or empty photo is one line.
    if np.ptp(places) + 1 < MIN_TEXT_EXTENT * rows:
        return False
    if is_two_tone.mean() >= MIN_DRAWN_SHARE:
        return True  # A chat, a table or a chart: lines and text are drawn.
    return bool(is_two_tone.mean() >= MIN_TWO_TONE_SHARE and is_text.mean() >= MIN_TEXT_SHARE)
