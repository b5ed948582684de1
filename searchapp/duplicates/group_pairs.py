"""Put pairs together: in a group every image was compared with the one to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

Verdict = TypeVar("Verdict")
Pair = tuple[int, int]


def find_connected_parts(pairs: Iterable[Pair]) -> list[list[int]]:
    """Return the numbers that hang together by pairs, each part in order."""
    parent_by_number: dict[int, int] = {}

    def find_root(number: int) -> int:
        while (higher := parent_by_number.setdefault(number, number)) != number:
            parent_by_number[number] = parent_by_number[higher]
            number = higher
        return number

    for one, other in pairs:
        parent_by_number[find_root(one)] = find_root(other)
    parts: dict[int, list[int]] = {}
    for number in sorted(parent_by_number):
        parts.setdefault(find_root(number), []).append(number)
    return list(parts.values())


def group_around_best(
    verdicts: Mapping[Pair, Verdict],
    rank: Callable[[int], Any],
    compare: Callable[[list[Pair]], Mapping[Pair, Verdict]],
) -> Iterator[tuple[int, dict[int, Verdict]]]:
    """Yield groups: the best, and what is the same as that, with the verdict of each.

    verdicts: of pairs that are the same, the lower number first. rank: the lowest is the best.
    Where A is like B, and B like C, but C not like A, which is the best, C is in no group with A,
    and what is like C alone is not compared with A. compare: asked for pairs that nobody has
    compared; it returns those that are the same.
    """
    neighbors: dict[int, list[int]] = {}
    for one, other in verdicts:
        neighbors.setdefault(one, []).append(other)
        neighbors.setdefault(other, []).append(one)
    ranks = {number: rank(number) for number in neighbors}
    ungrouped = set(neighbors)
    while parts := find_connected_parts(pair for pair in verdicts if ungrouped.issuperset(pair)):
        groups: dict[int, dict[int, Verdict]] = {}
        fresh = {
            keeper: [keeper] for keeper in (min(part, key=ranks.__getitem__) for part in parts)
        }
        seen = {keeper: {keeper} for keeper in fresh}
        while fresh:
            candidates = {
                keeper: ({other for one in ones for other in neighbors[one]} & ungrouped)
                - seen[keeper]
                for keeper, ones in fresh.items()
            }
            pairs = {
                _sort_pair(keeper, other): (keeper, other)
                for keeper, others in candidates.items()
                for other in sorted(others)
            }
            new = [pair for pair in pairs if pair not in verdicts]
            same = dict(compare(new) if new else {})
            fresh = {}
            for pair, (keeper, other) in pairs.items():
                seen[keeper].add(other)
                verdict = verdicts[pair] if pair in verdicts else same.get(pair)
                if verdict is not None:
                    groups.setdefault(keeper, {})[other] = verdict
                    fresh.setdefault(keeper, []).append(other)
        yield from groups.items()
        for keeper, others in groups.items():
            ungrouped.difference_update(others, [keeper])


def _sort_pair(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)


def group_look_alikes(pairs: Iterable[tuple[float, int, int]]) -> list[tuple[int, list[int]]]:
    """Return look-alikes: each with those near it that are in no group yet, most first."""
    neighbors: dict[int, list[tuple[float, int]]] = {}
    for score, one, other in pairs:
        neighbors.setdefault(one, []).append((-score, other))
        neighbors.setdefault(other, []).append((-score, one))
    grouped: set[int] = set()
    groups = []
    for number in sorted(neighbors, key=lambda number: (-len(neighbors[number]), number)):
        others = [other for _, other in sorted(neighbors[number]) if other not in grouped]
        if number not in grouped and others:
            groups.append((number, others))
            grouped.update(others, [number])
    return groups
