"""Amounts of training material, and the options of the recipe that can be tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSizes:
    """Amounts of training material; SMOKE_TEST_SIZES is for a quick test on a CPU."""

    # Views per picture, rendered once:
    views: int = 20
    scene_views: int = 5
    mixed_views: int = 12
    has_fine_features: bool = True  # the teachers also see larger pictures
    held_out_scenes: int = 300  # not trained on
    recombined_texts: int = 150_000
    object_texts: int = 60_000
    # Heads of the joint space that the student learns:
    heads: int = 6
    head_steps: int = 900
    head_batch: int = 2048
    # Contents of a batch:
    pairs: int = 640  # photos with a caption each
    class_share: float = 0.25  # of the pairs, photos with names of classes
    hard_negatives: float = 0.0  # share of the pairs that are nearest neighbors of others
    scenes: int = 160  # rendered scenes with a caption each
    loose_photos: int = 224  # any photos, without a caption
    mixed: int = 512
    texts: int = 1024  # additional texts
    side: int = 182  # of the student's input, in pixels; a multiple of 14
    limit: int | None = None  # of files and texts that are read


SMOKE_TEST_SIZES = TrainingSizes(
    views=2,
    scene_views=2,
    mixed_views=1,
    held_out_scenes=8,
    recombined_texts=50,
    object_texts=50,
    heads=2,
    head_steps=4,
    head_batch=16,
    pairs=8,
    scenes=4,
    loose_photos=2,
    mixed=2,
    texts=16,
    limit=48,
)
