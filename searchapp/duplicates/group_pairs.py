"""Group pairs of duplicates: every image in a group is compared with the image to keep.

Duplicates are not transitive: A and B, and B and C, can be near when A and C are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Verdict = TypeVar("Verdict")
Pair = tuple[int, int]

MAX_KEEPERS = 4  # images that are tried as the one to keep, if the best one leaves out others


class UnionFind:
    """Numbers that pairs join into parts."""

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        """Join the numbers of each pair."""
        self._parent_by_number: dict[int, int] = {}
        for pair in pairs:
            self.join(*pair)

    def copy(self) -> UnionFind:
        """Return the same parts; later joins of either do not change the other."""
        other = UnionFind()
        other._parent_by_number = dict(self._parent_by_number)
        return other

    def join(self, one: int, other: int) -> None:
        """Join the parts of two numbers."""
        self._parent_by_number[self._find_root(one)] = self._find_root(other)

    def are_joined(self, one: int, other: int) -> bool:
        """Return whether two numbers are in one part."""
        return self._find_root(one) == self._find_root(other)

    def find_parts(self, pair: Pair) -> Pair:
        """Return a number for the part of each number of a pair, the lower first."""
        one, other = map(self._find_root, pair)
        return (one, other) if one < other else (other, one)

    def list_parts(self) -> list[list[int]]:
        """Return the numbers of each part, sorted."""
        parts: dict[int, list[int]] = {}
        for number in sorted(self._parent_by_number):
            parts.setdefault(self._find_root(number), []).append(number)
        return list(parts.values())

    def _find_root(self, number: int) -> int:
        parents = self._parent_by_number
        while (parent := parents.setdefault(number, number)) != number:
            parents[number] = parents[parent]
            number = parent
        return number


def find_connected_parts(pairs: Iterable[Pair]) -> list[list[int]]:
    """Return the connected components of a graph, each sorted (union-find)."""
    return UnionFind(pairs).list_parts()


def group_around_best(
    verdicts: Mapping[Pair, Verdict],
    rank: Callable[[int], Any],
    compare: Callable[[list[Pair]], Mapping[Pair, Verdict]],
    get_tier: Callable[[int], Any],
) -> Iterator[tuple[int, dict[int, Verdict]]]:
    """Yield groups: the image to keep, and the verdict for each of its duplicates.

    verdicts: the verdict for each pair of duplicates; the lower image number comes first in a pair.
    rank: returns the rank of an image; the image with the lowest rank is kept.
    compare: takes pairs that have no verdict yet, and returns a verdict for each of these pairs
    that is a duplicate. A group grows from the image to keep only through confirmed duplicates,
    so that long chains stay cheap.
    get_tier: returns the part of the rank that must not get worse. If the best image leaves out
    others, then images of the same tier are tried, and the one with the most duplicates is kept.
    """
    growth = _GroupGrowth(dict(verdicts), compare)
    numbers = {number for pair in verdicts for number in pair}
    ranks = {number: rank(number) for number in numbers}
    ungrouped = set(numbers)
    while parts := find_connected_parts(pair for pair in growth.same if ungrouped >= {*pair}):
        best = growth.grow([min(part, key=ranks.__getitem__) for part in parts], ungrouped)
        choices = [_list_keepers(part, ranks, get_tier) for part in parts]
        for attempt in range(1, MAX_KEEPERS):
            tried = [
                number
                for number, part in enumerate(parts)
                if len(best[number]) + 1 < len(part) and attempt < len(choices[number])
            ]
            grown = growth.grow([choices[number][attempt] for number in tried], ungrouped)
            for number, group in zip(tried, grown, strict=True):
                if len(group) > len(best[number]):
                    best[number] = group
                    choices[number][0] = choices[number][attempt]
        for keepers, group in zip(choices, best, strict=True):
            if group:
                yield keepers[0], group
            ungrouped.difference_update(group, [keepers[0]])


def _list_keepers(
    part: list[int], ranks: Mapping[int, Any], get_tier: Callable[[int], Any]
) -> list[int]:
    """Return the best image of a part, and the next best images of its tier."""
    ranked = sorted(part, key=ranks.__getitem__)
    tier = get_tier(ranked[0])
    return [number for number in ranked if get_tier(number) == tier][:MAX_KEEPERS]


@dataclass
class _GroupGrowth(Generic[Verdict]):
    """Grows groups through confirmed duplicates, and remembers what was compared."""

    same: dict[Pair, Verdict]
    compare: Callable[[list[Pair]], Mapping[Pair, Verdict]]
    different: set[Pair] = field(default_factory=set)
    neighbors: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        for pair in self.same:
            self._connect(pair)

    def grow(self, keepers: list[int], ungrouped: set[int]) -> list[dict[int, Verdict]]:
        """Return the confirmed duplicates of each keeper; no two keepers are in one part."""
        groups: dict[int, dict[int, Verdict]] = {keeper: {} for keeper in keepers}
        seen = {keeper: {keeper} for keeper in keepers}
        new_members = {keeper: [keeper] for keeper in keepers}
        while new_members:
            pairs = {
                _sort_pair(keeper, other): (keeper, other)
                for keeper, members in new_members.items()
                for other in sorted(
                    ({near for one in members for near in self.neighbors[one]} & ungrouped)
                    - seen[keeper]
                )
            }
            self._compare_new(pairs)
            new_members = {}
            for pair, (keeper, other) in pairs.items():
                seen[keeper].add(other)
                if pair in self.same:
                    groups[keeper][other] = self.same[pair]
                    new_members.setdefault(keeper, []).append(other)
        return [groups[keeper] for keeper in keepers]

    def _compare_new(self, pairs: Iterable[Pair]) -> None:
        unknown = [pair for pair in pairs if pair not in self.same and pair not in self.different]
        verdicts = self.compare(unknown) if unknown else {}
        for pair in unknown:
            if pair in verdicts:
                self.same[pair] = verdicts[pair]
                self._connect(pair)
            else:
                self.different.add(pair)

    def _connect(self, pair: Pair) -> None:
        one, other = pair
        self.neighbors[one].add(other)
        self.neighbors[other].add(one)


def _sort_pair(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)


def group_look_alikes(pairs: Iterable[tuple[float, int, int]]) -> list[tuple[int, list[int]]]:
    """Return groups of similar images: the image with the most neighbors, and its neighbors.

    pairs: (score, one, other). An image is in at most one group; neighbors are sorted by score.
    """
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
