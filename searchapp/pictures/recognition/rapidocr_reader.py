"""Recognize text with RapidOCR: the models PP-OCR of PaddleOCR, on ONNX Runtime and the CPU.

The models are files of the package rapidocr, so nothing is downloaded.
https://github.com/RapidAI/RapidOCR
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from searchapp.types import TextLine
from searchapp.types.picture import Box

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

READER_VERSION = 2  # of this module; raise it if the same models now find other text
DETECTION_MODEL = "PP-OCRv6_det_small.onnx"
RECOGNITION_MODEL = "PP-OCRv6_rec_small.onnx"
DIRECTION_MODEL = "ch_ppocr_mobile_v2.0_cls_mobile.onnx"
MIN_CONFIDENCE = 0.7  # of a line; tests/bench/text_in_pictures.py counts the false lines
# A line with a lower confidence may be upside down: it is read again, rotated by 180 degrees.
SURE_CONFIDENCE = 0.9
MIN_LETTERS = 2  # Patterns such as bars and wheels are often read as one letter.

# Mean and deviation of the channels blue, green and red in the configuration of PaddleOCR, with
# which the detection was trained. With the 0.5 of RapidOCR, it misses letters, mostly those of
# turned and of small lines. https://github.com/immich-app/immich/pull/27774
DETECTION_MEAN, DETECTION_DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
VERTICAL_RATIO = 1.5  # of height to width, from which RapidOCR rotates a line
# Long sides at which the detection runs; it takes time in proportion to the number of pixels.
# The regions are cut out of the picture, which can be larger.
SEARCH_SIDE_PX, DETECTION_SIDE_PX = 736, 1280
SEARCH_BATCH_REGIONS, MAX_SEARCHED_REGIONS = 6, 24
MIN_REGION_PX = 3

Pixels = NDArray[np.uint8]
Corners = NDArray[np.float32]  # corners of boxes, in pixels


@dataclass(frozen=True, slots=True)
class _RegionText:
    text: str
    confidence: float
    is_rotated: bool  # by 180 degrees


class RapidOcrReader:
    """Recognizes text in Latin, Chinese and Japanese script on one core."""

    @cached_property
    def name(self) -> str:
        """Return the versions of the package, of its model, and of this module."""
        version = metadata.version("rapidocr")
        return f"rapidocr {version} {Path(RECOGNITION_MODEL).stem} v{READER_VERSION}"

    def start(self) -> None:
        """Load the models."""
        assert self._engine

    @cached_property
    def _engine(self) -> Any:
        """Load the models from the files of the package."""
        import cv2
        import rapidocr

        cv2.setNumThreads(1)
        models = Path(rapidocr.__file__).parent / "models"
        return rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                # Without a path, RapidOCR downloads a missing model.
                "Det.model_path": str(models / DETECTION_MODEL),
                "Cls.model_path": str(models / DIRECTION_MODEL),
                "Rec.model_path": str(models / RECOGNITION_MODEL),
                # The caller chooses the size of the picture.
                "Global.use_preprocess_img": False,
                "Det.mean": DETECTION_MEAN,
                "Det.std": DETECTION_DEVIATION,
                "Det.limit_type": "max",
                "Det.limit_side_len": 2**16,
            }
        )

    def find_lines(self, picture: Picture) -> list[TextLine]:
        """Return the lines in the regions that the detection finds at a small size."""
        image = _to_bgr(picture)
        boxes = self._detect(image, SEARCH_SIDE_PX)
        if len(boxes) <= MAX_SEARCHED_REGIONS:
            return self._read_boxes(picture, image, boxes)
        # A page: some lines are enough, because read_lines() reads all.
        heights = np.linalg.norm(boxes[:, 0] - boxes[:, 3], axis=1)
        largest = np.argsort(-heights, kind="stable")[:MAX_SEARCHED_REGIONS]
        for start in range(0, len(largest), SEARCH_BATCH_REGIONS):
            chosen = boxes[largest[start : start + SEARCH_BATCH_REGIONS]]
            if lines := self._read_boxes(picture, image, chosen):
                return lines
        return []

    def read_lines(self, picture: Picture) -> list[TextLine]:
        """Return the lines in the regions that the detection finds at a large size."""
        image = _to_bgr(picture)
        return self._read_boxes(picture, image, self._detect(image, DETECTION_SIDE_PX))

    def _read_boxes(self, picture: Picture, image: Pixels, boxes: Corners) -> list[TextLine]:
        """Return the lines in boxes that are read with at least MIN_CONFIDENCE."""
        texts = self._read_regions(self._engine.crop_text_regions(image, boxes))
        return [
            TextLine(
                found.text.strip(), _order_corners(box, found, picture), round(found.confidence, 3)
            )
            for box, found in zip(boxes, texts, strict=True)
            if _is_accepted(found)
        ]

    def _detect(self, image: Pixels, side: int) -> Corners:
        """Return the corners of the regions with text, [n, 4, 2].

        side: the picture is reduced until its long side has at most this many pixels.
        """
        import cv2

        height, width = image.shape[:2]
        scale = min(1.0, side / max(height, width))
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        found = self._engine(image, use_det=True, use_cls=False, use_rec=False).boxes
        if found is None:
            return np.zeros((0, 4, 2), np.float32)
        boxes = np.clip(np.asarray(found, np.float32) / np.float32(scale), 0, (width, height))
        sides = np.linalg.norm(boxes - np.roll(boxes, -1, axis=1), axis=2)
        kept: Corners = boxes[(sides >= MIN_REGION_PX).all(axis=1)].astype(np.float32)
        return kept

    def _read_regions(self, crops: list[Pixels]) -> list[_RegionText]:
        """Return the text of each region, whichever of two directions reads better."""
        if not crops:
            return []
        upright, found = self._engine.cls_and_rotate(crops)
        threshold = self._engine.cfg.Cls.cls_thresh
        is_rotated = [label == "180" and score > threshold for label, score in found.cls_res]
        texts = self._recognize(upright)
        unsure = [n for n, (_, confidence) in enumerate(texts) if confidence < SURE_CONFIDENCE]
        others = self._recognize([np.rot90(upright[n], 2) for n in unsure])
        for n, other in zip(unsure, others, strict=True):
            if other[1] > texts[n][1]:
                texts[n], is_rotated[n] = other, not is_rotated[n]
        return [
            _RegionText(*text, rotated) for text, rotated in zip(texts, is_rotated, strict=True)
        ]

    def _recognize(self, crops: list[Pixels]) -> list[tuple[str, float]]:
        """Return the text of each crop, and its confidence."""
        if not crops:
            return []
        found = self._engine.recognize_txt(crops)
        return [(text, float(score)) for text, score in zip(found.txts, found.scores, strict=True)]


def _to_bgr(picture: Picture) -> Pixels:
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def _is_accepted(found: _RegionText) -> bool:
    return found.confidence >= MIN_CONFIDENCE and sum(map(str.isalnum, found.text)) >= MIN_LETTERS


def _order_corners(box: Corners, found: _RegionText, picture: Picture) -> Box:
    """Return the corners as shares of the picture, from the first letter on.

    box: the corners from the top left one on, clockwise, [4, 2]. RapidOCR has rotated the crop of a
    vertical line by 90 degrees counterclockwise.
    """
    width = max(np.linalg.norm(box[0] - box[1]), np.linalg.norm(box[2] - box[3]))
    height = max(np.linalg.norm(box[0] - box[3]), np.linalg.norm(box[1] - box[2]))
    is_vertical = int(height) >= VERTICAL_RATIO * int(width)
    corners = np.roll(box, -(is_vertical + 2 * found.is_rotated), axis=0)
    return tuple((float(x), float(y)) for x, y in corners / picture.size)
