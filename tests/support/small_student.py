"""Train a very small student with the scripts of data/starter, and check what they save.

    python small_student.py FOLDER

A process of its own: transformers must not see torchvision, whose version need not fit torch.
"""

# ruff: noqa: E402 (the scripts are found only after sys.path is set)
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
sys.modules["torchvision"] = None  # type: ignore[assignment]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "data" / "starter")]

import choose_space
import evaluate
import joint_space
import losses
import material
import progress
import sizes
import student
import teacher_features
import torch
import train_student
from transformers import SiglipModel

from support.random_views import make_views

SMALL: dict[str, object] = {
    "VISION_WIDTH": 32, "VISION_HEADS": 2, "VISION_LAYERS": 1, "TEXT_WIDTH": 16, "TEXT_HEADS": 2,
    "TEXT_LAYERS": 1, "VOCABULARY_SIZE": 300, "SPACE_DIMENSIONS": 32,
    "FEATURE_WIDTHS": (4,) * 5, "PREDICTED_WIDTHS": (4,) * 4, "WARM_UP_STEPS": 1,
    "initialize_from_dino": lambda *_: None,
}  # fmt: skip
WORDS = ["a red boat", "a blue car", "two dogs", "a boat", "a car", "on a beach", "dogs", "red"]


def shrink_scripts() -> None:
    """Make the student and the space very small."""
    for script in (student, train_student, joint_space, losses, teacher_features):
        for name in SMALL.keys() & vars(script).keys():
            setattr(script, name, SMALL[name])


def make_material() -> material.TrainingMaterial:
    """Return eight random photos and four scenes with words."""
    tokenizer = student.train_tokenizer(WORDS)

    def caption(views: Any, count: int) -> material.CaptionedViews:
        rows = torch.arange(count)
        is_class = rows % 4 == 3 if count == 8 else torch.zeros(count, dtype=torch.bool)
        return material.CaptionedViews(views, rows, rows[:, None], is_class, is_class)

    sentences = torch.randn(8, 384, generator=torch.Generator().manual_seed(1))
    return material.TrainingMaterial(
        photos=caption(make_views("photos", 8, 2), 8),
        scenes=caption(make_views("scenes", 4, 1), 4),
        mixed_views=make_views("mixed", 8, 1),
        held_out_sets={},
        tokens=student.tokenize_texts(tokenizer, WORDS, torch.device("cpu")).to(torch.int16),
        sentences=torch.nn.functional.normalize(sentences, dim=-1).half(),
        rows_by_text_kind={kind: torch.arange(8) for kind in material.TEXT_SHARES},
        tokenizer=tokenizer,
    )


class SmallTraining:
    """Trainers in folders of their own, on the same material and space."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.material = folder, make_material()
        self._sizes = sizes.TrainingSizes(
            pairs=6, scenes=2, loose_photos=1, mixed=2, texts=8, side=28, hard_negatives=0.34,
            head_steps=2, head_batch=6,
        )  # fmt: skip
        torch.manual_seed(0)
        design = choose_space.DESIGNS["first"]
        self._space = choose_space.train_space(self.material, self._sizes, design, heads=1)

    def start(self, name: str) -> train_student.StudentTrainer:
        """Return a trainer that begins, or continues, in a folder."""
        work = self.folder / name
        progress.save_atomically(self._space.save_state(), work / choose_space.SPACE_FILE)
        sources: Any = type("NoSources", (), {"folder": work})
        return train_student.StudentTrainer(sources, work, self._sizes, self.material, 0, None)

    def run(
        self, trainer: train_student.StudentTrainer, steps: int, stop_at: int | None = None
    ) -> None:
        """Train to the end of a schedule of so many steps, or stop as if time were over."""
        budget = progress.TimeBudget(1e6)
        if stop_at is not None:
            budget.has_time = lambda *_: trainer.step < stop_at  # type: ignore[method-assign]
        trainer.train(budget, total_s=1, steps=steps, checkpoint_s=1e6)


def check_continuation(training: SmallTraining) -> None:
    """Twelve steps in two calls give the weights of twelve steps in one; the loss falls."""
    first = training.start("first").train_step(0.0)["total"]
    whole = training.start("whole")
    training.run(whole, 12)
    half = training.start("half")
    training.run(half, 12, stop_at=5)
    assert half.step == 5
    torch.manual_seed(99)  # a new process has another state of the random numbers
    rest = training.start("half")
    assert rest.step == 5
    assert torch.equal(rest.get_state()["rng"], half.get_state()["rng"])
    training.run(rest, 12)
    for name, weight in rest.model.state_dict().items():
        torch.testing.assert_close(weight, whole.model.state_dict()[name], msg=name)
    assert rest.train_step(1.0)["total"] < first


def check_saved_model(training: SmallTraining) -> None:
    """The folder loads with transformers; its vectors are those of the saved average."""
    trainer = training.start("model")
    training.run(trainer, 2)
    folder = training.folder / "model" / train_student.MODEL_FOLDER
    loaded = SiglipModel.from_pretrained(folder).float().eval()
    pixels, tokens = training.material.photos.views.pixels, training.material.tokens
    for embed, item in ((train_student.embed_pixels, pixels), (train_student.embed_tokens, tokens)):
        one, other = embed(trainer.average, item), embed(loaded, item)
        assert torch.nn.functional.cosine_similarity(one, other).min() > 0.9999
    vectors = evaluate.Embedder(folder).embed_texts(WORDS)
    expected = torch.nn.functional.normalize(
        train_student.embed_tokens(trainer.average, tokens), dim=-1
    )
    torch.testing.assert_close(vectors, expected, atol=5e-3, rtol=0)


if __name__ == "__main__":
    torch.set_num_threads(1)  # more threads only wait for each other on such small work
    shrink_scripts()
    small = SmallTraining(Path(sys.argv[1]))
    check_continuation(small)
    check_saved_model(small)
    print("all checks passed")
