"""Put pairs together: in a group every image was compared with the one to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

Verdict = TypeVar("Verdict")
Pair = tuple[int, int]


def together(pairs: Iterable[Pair]) -> list[list[int]]:
    """Return the numbers that hang together by pairs, each part in order."""
    above: dict[int, int] = {}

    def top(number: int) -> int:
        while (higher := above.setdefault(number, number)) != number:
            above[number] = above[higher]
            number = higher
        return number

    for one, other in pairs:
        above[top(one)] = top(other)
    parts: dict[int, list[int]] = {}
    for number in sorted(above):
        parts.setdefault(top(number), []).append(number)
    return list(parts.values())


def around(
    verdicts: Mapping[Pair, Verdict],
    best: Callable[[Sequence[int]], int],
    compare: Callable[[list[Pair]], Mapping[Pair, Verdict]],
) -> Iterator[tuple[int, dict[int, Verdict]]]:
    """Yield groups: the best, and what is the same as that, with the verdict of each.

    verdicts: of pairs that are the same, the lower number first. Where A is like B, and B like C,
    but C not like A, which is the best, C is in no group with A. compare: asked for pairs that
    nobody has compared; it returns those that are the same.
    """
    asked: set[Pair] = set()
    known = dict(verdicts)
    left = {number for pair in known for number in pair}
    while parts := together(pair for pair in known if left.issuperset(pair)):
        bests = [best(part) for part in parts]
        new = [
            pair
            for part, keeper in zip(parts, bests, strict=True)
            for pair in (_pair(keeper, other) for other in part if other != keeper)
            if pair not in known and pair not in asked
        ]
        asked.update(new)
        known.update(compare(new) if new else {})
        for part, keeper in zip(parts, bests, strict=True):
            same = {
                other: known[_pair(keeper, other)]
                for other in part
                if other != keeper and _pair(keeper, other) in known
            }
            if same:
                yield keeper, same
            left.difference_update(same, [keeper])


def _pair(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)


def nearest(pairs: Iterable[tuple[float, int, int]]) -> list[tuple[int, list[int]]]:
    """Return look-alikes: each with those near it that are in no group yet, most first."""
    near: dict[int, list[tuple[float, int]]] = {}
    for score, one, other in pairs:
        near.setdefault(one, []).append((-score, other))
        near.setdefault(other, []).append((-score, one))
    taken: set[int] = set()
    groups = []
    for number in sorted(near, key=lambda number: (-len(near[number]), number)):
        others = [other for _, other in sorted(near[number]) if other not in taken]
        if number not in taken and others:
            groups.append((number, others))
            taken.update(others, [number])
    return groups
