"""Test the caption formats of common data sets, and recall over them."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.library import RunCommand
from support.sample_pictures import save_picture

from searchapp.bench.captions import CaptionedPicture, CaptionsError, read_captions
from searchapp.bench.evaluation import compute_ranks

LIST = [
    {"file": "red.jpg", "captions": ["a red one", "red"]},
    {"file": "below/blue.jpg", "captions": ["blue"]},
]
KARPATHY = {
    "dataset": "flickr8k",
    "images": [
        {
            "filename": "red.jpg",
            "split": "test",
            "sentences": [{"raw": "a red one"}, {"raw": "red"}],
        },
        {"filename": "green.png", "split": "train", "sentences": [{"raw": "lime"}]},
        {
            "filepath": "below",
            "filename": "blue.jpg",
            "split": "test",
            "sentences": [{"raw": "blue"}],
        },
    ],
}
COCO = {
    "images": [{"id": 7, "file_name": "red.jpg"}, {"id": 3, "file_name": "below/blue.jpg"}],
    "annotations": [
        {"image_id": 7, "caption": "a red one"},
        {"image_id": 3, "caption": "blue"},
        {"image_id": 7, "caption": "red"},
    ],
}
TOKENS = "red.jpg#0\ta red one\nred.jpg#1\tred\nbelow/blue.jpg#0\tblue\n"
CSV = "image,caption\nred.jpg,a red one\nred.jpg,red\nbelow/blue.jpg,blue\n"
EXPECTED = [
    CaptionedPicture("red.jpg", ("a red one", "red")),
    CaptionedPicture("below/blue.jpg", ("blue",)),
]


@pytest.mark.parametrize(
    "content", [json.dumps(LIST), json.dumps(KARPATHY), json.dumps(COCO), TOKENS, CSV]
)
def test_all_caption_formats_are_read(tmp_path: Path, content: str) -> None:
    """All formats give the same pictures and captions."""
    file = tmp_path / "captions"
    file.write_text(content)
    assert read_captions(file) == EXPECTED


def test_karpathys_split_is_chosen(tmp_path: Path) -> None:
    """Only the pictures of the split count."""
    file = tmp_path / "dataset.json"
    file.write_text(json.dumps(KARPATHY))
    assert read_captions(file, "train") == [CaptionedPicture("green.png", ("lime",))]
    with pytest.raises(CaptionsError, match="has no captioned picture in the split val"):
        read_captions(file, "val")


@pytest.mark.parametrize("content", ["", "hello", "{}", "[1]", '{"images": 3}', "[{}]", "{"])
def test_other_formats_are_refused(tmp_path: Path, content: str) -> None:
    """The error names the supported formats, or that there are no captions."""
    file = tmp_path / "captions"
    file.write_text(content)
    with pytest.raises(CaptionsError, match=r"Supported formats|no captioned picture"):
        read_captions(file)


def test_ranks_of_a_small_matrix_by_hand() -> None:
    """A rank is 1 + the number of higher wrong scores; a picture takes its best text."""
    scores = np.array(
        [[0.9, 0.5, 0.1], [0.3, 0.2, 0.1], [0.8, 0.4, 0.6], [0.1, 0.1, 0.1]], dtype=np.float32
    )
    picture_indexes = np.array([0, 1, 2, 0])
    by_text, by_picture = compute_ranks(scores, picture_indexes)
    assert by_text.tolist() == [1, 2, 2, 1]
    assert by_picture.tolist() == [1, 3, 1]


def test_ranks_equal_positions_in_a_sorted_list() -> None:
    """Random scores have no ties, so a rank is a position."""
    rng = np.random.default_rng(0)
    picture_indexes = np.repeat(np.arange(40), 5)
    scores = rng.normal(size=(200, 40)).astype(np.float32)
    by_text, by_picture = compute_ranks(scores, picture_indexes)
    for text in range(200):
        order = np.argsort(-scores[text]).tolist()
        assert by_text[text] == 1 + order.index(picture_indexes[text])
    for image in range(40):
        order = np.argsort(-scores[:, image])
        assert by_picture[image] == 1 + int(np.flatnonzero(picture_indexes[order] == image)[0])


def test_eval_prints_recall(run: RunCommand, photos: Path, model: Path, tmp_path: Path) -> None:
    """The keys of --json are stable, and the table shows the same figures."""
    file = tmp_path / "captions.json"
    wrong = {"file": "green.png", "captions": ["red"]}
    file.write_text(json.dumps([*LIST, wrong]))
    arguments = ["eval", "--captions", file, "--images", photos, "--model", model]
    result = json.loads(run(*arguments, "--json").stdout)
    assert list(result) == ["images", "captions", "text_to_image", "image_to_text"]
    assert (result["images"], result["captions"]) == (3, 4)
    assert list(result["text_to_image"]) == ["r1", "r5", "r10", "median_rank"]
    assert result["text_to_image"]["r1"] == 75.0
    assert result["text_to_image"]["r5"] == 100.0
    assert result["text_to_image"]["median_rank"] == 1.0
    assert "text to image      75.0  100.0  100.0" in run(*arguments).stdout


def test_eval_refuses_a_picture_that_is_missing_or_broken(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Figures over a part of the data set would be wrong."""
    file = tmp_path / "captions.json"
    file.write_text(json.dumps([*LIST, {"file": "none.jpg", "captions": ["red"]}]))
    arguments = ["eval", "--captions", file, "--images", photos, "--model", model]
    result = run(*arguments)
    assert result.exit_code == 1
    assert "1 of 3 pictures are not in" in str(result.exception)
    save_picture(photos / "none.jpg").write_bytes(b"no picture")
    assert "not a picture" in str(run(*arguments).exception)
