"""Group pairs of duplicates: every image in a group is compared with the image to keep.

Duplicates are not transitive: A and B, and B and C, can be near when A and C are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

Verdict = TypeVar("Verdict")
Pair = tuple[int, int]


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
) -> Iterator[tuple[int, dict[int, Verdict]]]:
    """Yield groups: the image to keep, and the verdict for each of its duplicates.

    verdicts: the verdict for each pair of duplicates; the lower image number comes first in a pair.
    rank: returns the rank of an image; the image with the lowest rank is kept.
    compare: takes pairs that have no verdict yet, and returns a verdict for each of these pairs
    that is a duplicate. A group grows from the image to keep only through confirmed duplicates,
    so that long chains stay cheap.
    """
    neighbors: dict[int, list[int]] = {}
    for one, other in verdicts:
        neighbors.setdefault(one, []).append(other)
        neighbors.setdefault(other, []).append(one)
    ranks = {number: rank(number) for number in neighbors}
    ungrouped = set(neighbors)
    while parts := find_connected_parts(pair for pair in verdicts if ungrouped.issuperset(pair)):
        groups: dict[int, dict[int, Verdict]] = {}
        new_members = {
            keeper: [keeper] for keeper in (min(part, key=ranks.__getitem__) for part in parts)
        }
        seen = {keeper: {keeper} for keeper in new_members}
        while new_members:
            candidates = {
                keeper: ({other for one in members for other in neighbors[one]} & ungrouped)
                - seen[keeper]
                for keeper, members in new_members.items()
            }
            pairs = {
                _sort_pair(keeper, other): (keeper, other)
                for keeper, others in candidates.items()
                for other in sorted(others)
            }
            unknown = [pair for pair in pairs if pair not in verdicts]
            new_verdicts = dict(compare(unknown) if unknown else {})
            new_members = {}
            for pair, (keeper, other) in pairs.items():
                seen[keeper].add(other)
                verdict = verdicts[pair] if pair in verdicts else new_verdicts.get(pair)
                if verdict is not None:
                    groups.setdefault(keeper, {})[other] = verdict
                    new_members.setdefault(keeper, []).append(other)
        yield from groups.items()
        for keeper, others in groups.items():
            ungrouped.difference_update(others, [keeper])


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
