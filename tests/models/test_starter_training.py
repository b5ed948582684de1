"""The scripts that train the starter model, on a few random pictures, without their teachers."""

import gzip
import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.paths import ROOT
from support.random_views import make_views

torch = pytest.importorskip("torch", reason="torch is not installed")

FOLDER = ROOT / "data" / "starter"
TRAINED, HELD_BACK = "cal101/ant_1.webp", "cal101/ant_7.webp"
OLD, DEV = "flickr8k/a.jpg", "flickr8k/b.jpg"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Import a script by name; their names are general, so they are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)

    def load(name: str) -> ModuleType:
        module = importlib.import_module(name)
        assert Path(str(module.__file__)).parent == FOLDER
        return module

    yield load
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).parent == FOLDER:
            del sys.modules[name]


def save_noise(file: Path, seed: int) -> None:
    """Save a picture of 8 x 8 colored squares, which survive thumbnails."""
    file.parent.mkdir(parents=True, exist_ok=True)
    squares = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(squares).resize((192, 192), Image.Resampling.NEAREST).save(file, quality=90)


@pytest.fixture
def material(tmp_path: Path) -> Path:
    """A material folder: two old photos, some of two new sets, and some that are left out."""
    folder = tmp_path / "material"
    names = [
        OLD,
        DEV,
        "flickr8k/test.jpg",
        "doduc/x.jpg",
        *(f"cal101/ant_{n}.webp" for n in range(12)),
    ]
    for seed, name in enumerate([*names, "bio/c.webp", "ostax-nc/x.webp"]):
        save_noise(folder / "photos" / name, seed)
    save_noise(folder / "scenes" / "0.webp", 50)
    (folder / "scenes" / "captions.json").write_text(json.dumps(
        [{"file": "0.webp", "captions": ["a red boat in the fog"]}]))  # fmt: skip
    dev_caption = "A dog runs on the beach ."
    (folder / "captions.json").write_text(json.dumps({
        "pairs": {"train": [[OLD, ["a cat on a sofa"]]], "dev": [[DEV, [dev_caption]]],
                  "inet": [], "cmini": []},
        "sentences": ["two men on a bench"], "phrases": ["a photo of a owl"],
        "imagenet_labels": ["tench, Tinca tinca"],
    }))  # fmt: skip
    (folder / "more.json").write_text(json.dumps({
        "pairs": {f"cal101/ant_{n}.webp": ["a photo of an ant"] for n in range(12)},
        "sets": {name: {"what": f"photos of {name}", "licence": f"licence of {name}"}
                 for name in ("cal101", "bio", "ostax-nc")},
    }))  # fmt: skip
    (folder / "captions-only.json.gz").write_bytes(gzip.compress(json.dumps(
        ["a dog runs on the beach", "a tree in a field"]).encode()))  # fmt: skip
    return folder


def test_photos_are_held_back_by_their_names(scripts: Callable[[str], Any], material: Path) -> None:
    """About a tenth, always the same; neither they nor sets without an origin are trained on."""
    sets = scripts("photo_sets")
    names = [f"grocery/photo {number}.webp" for number in range(2000)]
    assert 160 < sum(map(sets.is_held_back, names)) < 240
    sources = sets.Sources.read(material)
    held_back = sources.list_held_back()
    assert DEV in held_back["dev"]
    training = sources.list_training_files()
    for file in ("doduc/x.jpg", "ostax-nc/x.webp", DEV, "flickr8k/test.jpg", *held_back["cal101"]):
        assert file not in training
    assert {OLD, "bio/c.webp"} <= set(training)
    assert not set(sources.list_training_captions()) & set(held_back["cal101"])


def test_captions_of_held_back_photos_are_no_texts(
    scripts: Callable[[str], Any], material: Path
) -> None:
    """Flickr30k contains the captions of Flickr8k's dev, with other spaces and capitals."""
    sources = scripts("photo_sets").Sources.read(material)
    assert sources.list_loose_captions() == ["two men on a bench", "a tree in a field"]


def test_near_copies_of_held_back_photos_are_left_out(
    scripts: Callable[[str], Any], material: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mirrored and smaller copy of a held-back photo is found; other photos stay."""
    sources = scripts("photo_sets").Sources.read(material)
    held_back = next(iter(sources.list_held_back()["cal101"]))
    copy = material / "photos" / "bio" / "copy.webp"
    with Image.open(material / "photos" / held_back) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((150, 150)).save(copy)
    if scripts("photo_sets").is_held_back("bio/copy.webp"):
        pytest.fail("choose another name for the copy")
    monkeypatch.setattr(sys, "argv", ["near_copies.py", str(material)])
    scripts("near_copies").main()
    assert json.loads((material / "left-out.json").read_text()) == ["bio/copy.webp"]
    assert "bio/copy.webp" not in scripts("photo_sets").Sources.read(material).list_training_files()


def test_recall_counts_own_pictures_classes_and_twins(scripts: Callable[[str], Any]) -> None:
    """Two pictures share the text "x"; a query for it finds the second one first."""
    evaluate = scripts("evaluate")
    captions = [["x", "y"], ["x"], ["z"]]
    pictures = torch.eye(3)
    near_second = torch.tensor([0.5, 0.8, 0.1])
    texts, is_right = evaluate.mark_own_pictures(captions)
    assert texts == ["x", "y", "x", "z"]
    vectors = torch.stack([near_second, torch.eye(3)[0], near_second, torch.eye(3)[2]])
    assert evaluate.measure_recall(pictures, vectors, is_right).text_to_image.r1 == 75.0
    names, is_right = evaluate.mark_classes(captions)
    assert names == ["x", "y", "z"]
    recall = evaluate.measure_recall(pictures, vectors[[0, 1, 3]], is_right)
    assert (recall.text_to_image.r1, recall.image_to_text.r1) == (100.0, 100.0)
    _, is_right = evaluate.mark_twins(captions)
    assert is_right[1].tolist() == [True, True, False]


def test_parts_join_to_the_same_file(scripts: Callable[[str], Any], tmp_path: Path) -> None:
    """A missing part is an error."""
    parts = scripts("parts")
    file = tmp_path / "model.bin"
    file.write_bytes(bytes(range(250)))
    written = parts.split_file(file, tmp_path / "parts", 100)
    assert [part.stat().st_size for part in written] == [100, 100, 50]
    parts.join_file(tmp_path / "parts", "model.bin", tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == file.read_bytes()
    written[1].unlink()
    with pytest.raises(ValueError, match="missing or damaged"):
        parts.join_file(tmp_path / "parts", "model.bin", tmp_path / "again.bin")


def test_the_card_has_the_counts_of_the_material(
    scripts: Callable[[str], Any], material: Path
) -> None:
    """Each set has its license and counts, and no placeholder is left."""
    sources = scripts("photo_sets").Sources.read(material)
    held_back = len(sources.list_held_back()["cal101"])
    card = scripts("card").write_card(sources, "| a | b |", 182)
    assert (
        f"| `cal101` | {12 - held_back} | {held_back} | {12 - held_back} | photos of cal101" in card
    )
    assert "| `bio` | 1 | 0 | 0 | photos of bio | license of bio |" in card
    assert "| COCO captions | 1 | CC BY 4.0 |" in card
    assert "[[" not in card and "doduc" not in card and "ostax-nc" not in card
    assert "| a | b |" in card


def test_rounds_of_views_can_be_drawn_again(scripts: Callable[[str], Any]) -> None:
    """Only features are stored; the views must be the same in each call of the script."""
    one, other = (make_views("mixed", 6, 2) for _ in range(2))
    assert torch.equal(one.recipes, other.recipes)
    assert torch.equal(one.blend_recipes, other.blend_recipes)
    assert not torch.equal(one.recipes[0], one.recipes[1])
    plain = make_views("photos", 6, 2)
    render, rows = scripts("views").render_views, torch.arange(6)
    where = torch.zeros_like(rows), rows
    together = render([(plain, where), (one, where)], 28)
    torch.testing.assert_close(together[:6], render([(plain, where)], 28))
    torch.testing.assert_close(together[6:], render([(one, where)], 28))
    unchanged = scripts("views").resize_pixels(plain.pixels.float() / 255, 192)
    torch.testing.assert_close(render([(plain, where)], 192), unchanged, atol=1e-3, rtol=0)


def test_a_small_student_continues_and_is_saved(tmp_path: Path) -> None:
    """A process of its own: transformers must not see torchvision, which need not fit torch."""
    script = ROOT / "tests" / "support" / "small_student.py"
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "all checks passed"


def test_good_matches_are_measured_with_the_rules_of_searchapp(
    scripts: Callable[[str], Any],
) -> None:
    """Queries beside their picture have a good match, and random ones have none."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.nn.functional.normalize(torch.randn(60, 64, generator=generator), dim=-1)
    vectors = {f"caption {n}": picture for n, picture in enumerate(pictures)}

    def embed(texts: list[str]) -> Any:
        random = torch.randn(len(texts), 64, generator=generator)
        rows = [vectors.get(text, other) for text, other in zip(texts, random, strict=True)]
        return torch.nn.functional.normalize(torch.stack(rows), dim=-1)

    captions = list(vectors)
    decisions = scripts("good_matches").measure_decisions(
        (pictures, captions), (pictures, captions), embed
    )
    by_name = {(d.queries, d.collection): d.correct_percent for d in decisions}
    assert by_name["its captions", "data/photos"] == 100.0
    assert by_name["missing things", "Flickr8k dev"] > 60
