"""Which pairs are worth comparing: near by embedding, or by hash in one of eight turns."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from searchapp.catalog import Catalog
from searchapp.duplicates.fingerprint import TURNS, Hashes, differing, turned
from searchapp.types import Collection
from searchapp.vectors import Ids, VectorIndex, Vectors, unpack
from searchapp.vectors.indexes import Indexes

FEW = 20_000  # so many vectors are compared with each other exactly
NEIGHBOURS, MORE = 16, 128  # more where so many are near
PROBES = 8  # lists looked into: near duplicates lie in the same list, or in the next
QUERIES = 2_000  # at once
BANDS = 4  # of a hash, of 16 bits each: hashes that differ in 3 bits or fewer share one
FIRST = np.uint64(64 - 64 // BANDS)  # bits after a band
BESIDE = 16  # hashes looked at on either side, in the order of a band and then the rest
CLOSE = 8  # bits by which a turned copy may differ
CUT = 27  # bits by which a cropped or brighter copy may differ; others do in 31.5 of 63
PAIRS = 20_000  # at once


def least_lists(count: int) -> int:
    """Return into how many lists so many vectors are parted, to find near ones only."""
    return int(2 ** max(4, round(math.log2(2.5 * math.sqrt(count)))))


def index_of(
    catalog: Catalog, indexes: Indexes, collection: Collection, ids: Ids
) -> tuple[VectorIndex, int]:
    """Return an index that finds the near ones of the embeddings quickly, and probes to ask for."""
    if len(ids) <= FEW:
        index = VectorIndex(collection.dimensions)
        for page, blobs in catalog.vectors(ids.tolist()):
            index.add(np.array(page, dtype=np.int64), unpack(blobs, collection.dimensions))
        return index, 0
    current = indexes.current(collection)
    if isinstance(current, VectorIndex) and not current.exact:
        return current, 2 * PROBES
    kind = f"IVF{least_lists(len(ids))},SQ8"
    return indexes.make(collection, kind)[0], PROBES


def by_embedding(
    index: VectorIndex,
    probes: int,
    pages: Iterable[tuple[list[int], list[bytes]]],
    ids: Ids,
    least: float,
) -> tuple[Ids, Vectors]:
    """Return pairs of embeddings whose cosine is at least so high, as near as the index tells.

    ids: the embeddings that count, [n]; pairs are of their places, [m, 2], the lower first.
    """
    order = np.argsort(ids)
    ordered = ids[order]
    pairs, cosines = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for page, blobs in pages:
        places = _places(np.array(page, np.int64), ids, ordered, order)
        vectors = unpack(blobs, index.dimensions)[places >= 0]
        places = places[places >= 0]
        for start in range(0, len(places), QUERIES):
            asked = np.arange(start, min(start + QUERIES, len(places)))
            for count in (NEIGHBOURS, MORE):
                found, scores = index.neighbours(vectors[asked], count + 1, probes)
                near = scores >= least
                others = _places(found[near], ids, ordered, order)
                ours = np.repeat(places[asked], near.sum(axis=1))
                right = (others >= 0) & (others != ours)
                low, high = np.minimum(ours, others)[right], np.maximum(ours, others)[right]
                pairs.append(low * len(ids) + high)
                cosines.append(scores[near][right])
                asked = asked[near.all(axis=1)]
                if not len(asked):
                    break
    joined, first = np.unique(np.concatenate(pairs), return_index=True)
    return _split(joined, len(ids)), np.concatenate(cosines)[first]


def _places(wanted: Ids, ids: Ids, ordered: Ids, order: Ids) -> Ids:
    """Return where ids are, -1 where they are not."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ids) - 1)
    result: Ids = np.where(ordered[at] == wanted, order[at], -1)
    return result


def _split(joined: Ids, count: int) -> Ids:
    return np.stack(np.divmod(joined, max(count, 1)), axis=1)


def by_hash(hashes: Hashes) -> Ids:
    """Return pairs of places, [m, 2], whose hashes are close in one of the eight turns.

    Each hash is sorted in by one band of its bits and then the others, and compared with those
    beside it that share the band: so no more than some dozens, however many there are.
    """
    count = len(hashes)
    found = [np.empty(0, np.int64)]
    for band in range(BANDS):
        keys = _rolled(hashes, band)
        order = np.argsort(keys)
        ordered = keys[order]
        for number in range(len(TURNS)):
            asked = _rolled(turned(hashes, number), band)
            begin = np.searchsorted(ordered, asked)
            for steps in (range(BESIDE), range(-1, -BESIDE - 1, -1)):
                ours = np.arange(count)  # those that share the band with all up to here
                for step in steps:
                    place = begin[ours] + step
                    inside = (place >= 0) & (place < count)
                    ours, place = ours[inside], place[inside]
                    shared = (ordered[place] ^ asked[ours]) >> FIRST == 0
                    ours, place = ours[shared], place[shared]
                    if not len(ours):
                        break
                    close = differing(asked[ours], ordered[place]) <= CLOSE
                    one, other = ours[close], order[place[close]]
                    one, other = one[one != other], other[one != other]
                    found.append(np.minimum(one, other) * count + np.maximum(one, other))
    return _split(np.unique(np.concatenate(found)), count)


def _rolled(hashes: Hashes, band: int) -> Hashes:
    """Return hashes with one band of bits foremost."""
    if band == 0:
        return hashes
    by = np.uint64(64 // BANDS * band)
    result: Hashes = (hashes << by) | (hashes >> (np.uint64(64) - by))
    return result


def with_turns(pairs: Ids, hashes: Hashes) -> Ids:
    """Return pairs, [m, 2], with the turns worth trying, [k, 3]: upright, and one more."""
    found = [np.empty((0, 3), np.int64)]
    for start in range(0, len(pairs), 50 * PAIRS):
        page = pairs[start : start + 50 * PAIRS]
        ones, others = hashes[page[:, 0]], hashes[page[:, 1]]
        bits = np.stack([differing(ones, turned(others, n)) for n in range(len(TURNS))])
        best = bits[1:].argmin(axis=0) + 1
        upright = bits[0] <= CUT
        other = bits[1:].min(axis=0) <= CLOSE
        for which, turns in ((upright, np.zeros_like(best)), (other, best)):
            found.append(np.column_stack([page[which], turns[which]]))
    return np.concatenate(found)


def cosines(catalog: Catalog, collection: Collection, ids: Ids, pairs: Ids) -> Vectors:
    """Return the cosines of pairs of places, [m, 2 or more], of embeddings with the ids."""
    result = np.zeros(len(pairs), np.float32)
    for start in range(0, len(pairs), PAIRS):
        page = pairs[start : start + PAIRS, :2]
        needed, where = np.unique(page, return_inverse=True)
        vectors = np.zeros((len(needed), collection.dimensions), np.float16)
        places = {id: n for n, id in enumerate(ids[needed].tolist())}
        for some, blobs in catalog.vectors(list(places)):
            vectors[[places[id] for id in some]] = unpack(blobs, collection.dimensions)
        ones, others = where.reshape(page.shape).T
        for at in range(0, len(page), QUERIES):
            one, other = (
                vectors[side[at : at + QUERIES]].astype(np.float32) for side in (ones, others)
            )
            result[start + at : start + at + len(one)] = (one * other).sum(axis=1)
    return result
