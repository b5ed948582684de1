"""Test the grouping of pairs around the image to keep."""

from __future__ import annotations

from collections.abc import Callable

from searchapp.duplicates import group_pairs


def group_one_tier(
    verdicts: dict[tuple[int, int], str],
    compare: Callable[[list[tuple[int, int]]], dict[tuple[int, int], str]],
) -> list[tuple[int, dict[int, str]]]:
    return list(group_pairs.group_around_best(verdicts, int, compare, lambda _: 0))


def test_groups_do_not_chain() -> None:
    """If A duplicates B, and B duplicates C, then C joins A's group only if both are compared."""
    verdicts = {(1, 2): "", (2, 3): "", (3, 4): ""}
    compared: list[list[tuple[int, int]]] = []

    def compare(pairs: list[tuple[int, int]]) -> dict[tuple[int, int], str]:
        compared.append(pairs)
        return {}

    groups = list(group_pairs.group_around_best(verdicts, int, compare, int))
    assert [(keeper, list(others)) for keeper, others in groups] == [(1, [2]), (3, [4])]
    assert compared == [[(1, 3)]], "4 is near 3 alone, so it is not compared with 1"


def test_a_group_grows_by_confirmed_duplicates() -> None:
    """Confirmed duplicates lead to further pairs; a long chain needs few comparisons."""
    chain = {(n, n + 1): "" for n in range(600)}
    compared: list[tuple[int, int]] = []

    def compare(pairs: list[tuple[int, int]]) -> dict[tuple[int, int], str]:
        compared.extend(pairs)
        return {pair: "" for pair in pairs if pair[1] - pair[0] <= 3}

    groups = list(group_pairs.group_around_best(chain, int, compare, int))
    assert groups[0] == (0, {1: "", 2: "", 3: ""})
    assert [keeper for keeper, _ in groups] == list(range(0, 600, 4))
    assert len(compared) <= 600


def test_the_image_that_matches_the_most_others_is_kept() -> None:
    """An edited copy that ranks first, but matches few others, does not split a group."""
    verdicts = {(1, 2): "", (2, 3): "", (3, 4): "", (2, 4): "", (2, 5): ""}
    groups = group_one_tier(verdicts, lambda pairs: {})
    assert groups == [(2, {1: "", 3: "", 4: "", 5: ""})]


def test_a_better_tier_is_kept_though_it_matches_fewer() -> None:
    """An image with more pixels is never listed as a copy of one with fewer."""
    verdicts = {(1, 2): "", (2, 3): "", (2, 4): ""}
    tiers = {1: 0, 2: 1, 3: 1, 4: 1}
    groups = list(group_pairs.group_around_best(verdicts, int, lambda pairs: {}, tiers.__getitem__))
    assert groups == [(1, {2: ""})]


def test_other_keepers_are_tried_only_if_a_group_splits() -> None:
    """Each pair is compared once, and a complete group needs no other image to keep."""
    compared: list[tuple[int, int]] = []

    def compare(pairs: list[tuple[int, int]]) -> dict[tuple[int, int], str]:
        compared.extend(pairs)
        return {pair: "" for pair in pairs if 9 not in pair}

    star = {(n, n + 1): "" for n in range(1, 6)}
    assert [len(group) for _, group in group_one_tier(star, compare)] == [5]
    assert compared == [(1, 3), (1, 4), (1, 5), (1, 6)]
    compared.clear()
    assert [keeper for keeper, _ in group_one_tier({**star, (6, 9): ""}, compare)] == [1]
    assert len(compared) == len(set(compared)) <= 15
