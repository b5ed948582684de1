"""Test the grouping of pairs around the image to keep."""

from __future__ import annotations

from searchapp.duplicates import group_pairs


def test_groups_do_not_chain() -> None:
    """If A duplicates B, and B duplicates C, then C joins A's group only if both are compared."""
    verdicts = {(1, 2): "", (2, 3): "", (3, 4): ""}
    compared: list[list[tuple[int, int]]] = []

    def compare(pairs: list[tuple[int, int]]) -> dict[tuple[int, int], str]:
        compared.append(pairs)
        return {}

    groups = list(group_pairs.group_around_best(verdicts, int, compare))
    assert [(keeper, list(others)) for keeper, others in groups] == [(1, [2]), (3, [4])]
    assert compared == [[(1, 3)]], "4 is near 3 alone, so it is not compared with 1"


def test_a_group_grows_by_confirmed_duplicates() -> None:
    """Confirmed duplicates lead to further pairs; a long chain needs few comparisons."""
    chain = {(n, n + 1): "" for n in range(600)}
    compared: list[tuple[int, int]] = []

    def compare(pairs: list[tuple[int, int]]) -> dict[tuple[int, int], str]:
        compared.extend(pairs)
        return {pair: "" for pair in pairs if pair[1] - pair[0] <= 3}

    groups = list(group_pairs.group_around_best(chain, int, compare))
    assert groups[0] == (0, {1: "", 2: "", 3: ""})
    assert [keeper for keeper, _ in groups] == list(range(0, 600, 4))
    assert len(compared) <= 600
