"""Put pairs together: in a group every image was compared with the one to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

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
    rank: Callable[[int], Any],
    compare: Callable[[list[Pair]], Mapping[Pair, Verdict]],
) -> Iterator[tuple[int, dict[int, Verdict]]]:
    """Yield groups: the best, and what is the same as that, with the verdict of each.

    verdicts: of pairs that are the same, the lower number first. rank: the lowest is the best.
    Where A is like B, and B like C, but C not like A, which is the best, C is in no group with A,
    and what is like C alone is not compared with A. compare: asked for pairs that nobody has
    compared; it returns those that are the same.
    """
    near: dict[int, list[int]] = {}
    for one, other in verdicts:
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    ranks = {number: rank(number) for number in near}
    left = set(near)
    while parts := together(pair for pair in verdicts if left.issuperset(pair)):
        groups: dict[int, dict[int, Verdict]] = {}
        fresh = {
            keeper: [keeper] for keeper in (min(part, key=ranks.__getitem__) for part in parts)
        }
        seen = {keeper: {keeper} for keeper in fresh}
        while fresh:
            beside = {
                keeper: ({other for one in ones for other in near[one]} & left) - seen[keeper]
                for keeper, ones in fresh.items()
            }
            pairs = {
                _pair(keeper, other): (keeper, other)
                for keeper, others in beside.items()
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
            left.difference_update(others, [keeper])


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
