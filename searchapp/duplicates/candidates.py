"""Which pairs are worth comparing: near by embedding, or by hash in one of eight turns."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from searchapp.catalog import Catalog
from searchapp.duplicates.fingerprint import TURNS, Hashes, count_differing_bits, turn_hashes
from searchapp.types import Collection
from searchapp.vectors import Ids, VectorIndex, Vectors, unpack_vectors
from searchapp.vectors.indexes import Indexes

MAX_EXACT_VECTORS = 20_000  # so many vectors are compared with each other exactly
FIRST_NEIGHBORS, MAX_NEIGHBORS = 16, 128  # more where so many are near
IVF_PROBES = 8  # lists looked into: near duplicates lie in the same list, or in the next
QUERY_BATCH = 2_000  # at once
HASH_BANDS = 4  # of a hash, of 16 bits each: hashes that differ in 3 bits or fewer share one
BAND_SHIFT_BITS = np.uint64(64 - 64 // HASH_BANDS)  # bits after a band
NEIGHBOR_HASHES = 16  # hashes looked at on either side, in the order of a band and then the rest
MAX_TURNED_BITS = 8  # bits by which a turned copy may differ
MAX_UPRIGHT_BITS = (
    27  # bits by which a cropped or brighter copy may differ; others do in 31.5 of 63
)
PAIR_BATCH = 20_000  # at once


def choose_list_count(count: int) -> int:
    """Return into how many lists so many vectors are parted, to find near ones only."""
    return int(2 ** max(4, round(math.log2(2.5 * math.sqrt(count)))))


def get_pair_index(
    catalog: Catalog, indexes: Indexes, collection: Collection, ids: Ids
) -> tuple[VectorIndex, int]:
    """Return an index that finds the near ones of the embeddings quickly, and probes to ask for."""
    if len(ids) <= MAX_EXACT_VECTORS:
        index = VectorIndex(collection.dimensions)
        for page, blobs in catalog.read_vectors(ids.tolist()):
            index.add(np.array(page, dtype=np.int64), unpack_vectors(blobs, collection.dimensions))
        return index, 0
    current = indexes.open_index(collection)
    if isinstance(current, VectorIndex) and not current.is_exact:
        return current, 2 * IVF_PROBES
    kind = f"IVF{choose_list_count(len(ids))},SQ8"
    return indexes.build_index(collection, kind)[0], IVF_PROBES


def find_pairs_by_embedding(
    index: VectorIndex,
    probes: int,
    pages: Iterable[tuple[list[int], list[bytes]]],
    ids: Ids,
    min_cosine: float,
) -> tuple[Ids, Vectors]:
    """Return pairs of embeddings whose cosine is at least so high, as near as the index tells.

    ids: the embeddings that count, [n]; pairs are of their places, [m, 2], the lower first.
    """
    order = np.argsort(ids)
    sorted_ids = ids[order]
    pairs, cosines = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for page, blobs in pages:
        places = _find_places(np.array(page, np.int64), ids, sorted_ids, order)
        vectors = unpack_vectors(blobs, index.dimensions)[places >= 0]
        places = places[places >= 0]
        for start in range(0, len(places), QUERY_BATCH):
            asked = np.arange(start, min(start + QUERY_BATCH, len(places)))
            for count in (FIRST_NEIGHBORS, MAX_NEIGHBORS):
                found, scores = index.find_neighbors(vectors[asked], count + 1, probes)
                is_near = scores >= min_cosine
                others = _find_places(found[is_near], ids, sorted_ids, order)
                ours = np.repeat(places[asked], is_near.sum(axis=1))
                is_pair = (others >= 0) & (others != ours)
                low, high = np.minimum(ours, others)[is_pair], np.maximum(ours, others)[is_pair]
                pairs.append(low * len(ids) + high)
                cosines.append(scores[is_near][is_pair])
                asked = asked[is_near.all(axis=1)]
                if not len(asked):
                    break
    joined, first = np.unique(np.concatenate(pairs), return_index=True)
    return _split_pairs(joined, len(ids)), np.concatenate(cosines)[first]


def _find_places(searched_ids: Ids, ids: Ids, sorted_ids: Ids, order: Ids) -> Ids:
    """Return where ids are, -1 where they are not."""
    if not len(ids):
        return np.full(len(searched_ids), -1, np.int64)
    positions = np.minimum(np.searchsorted(sorted_ids, searched_ids), len(ids) - 1)
    result: Ids = np.where(sorted_ids[positions] == searched_ids, order[positions], -1)
    return result


def _split_pairs(joined: Ids, count: int) -> Ids:
    return np.stack(np.divmod(joined, max(count, 1)), axis=1)


def find_pairs_by_hash(hashes: Hashes) -> Ids:
    """Return pairs of places, [m, 2], whose hashes are close in one of the eight turns.

    Each hash is sorted in by one band of its bits and then the others, and compared with those
    beside it that share the band: so no more than some dozens, however many there are.
    """
    count = len(hashes)
    found = [np.empty(0, np.int64)]
    for band in range(HASH_BANDS):
        keys = _rotate_band_first(hashes, band)
        order = np.argsort(keys)
        sorted_keys = keys[order]
        for number in range(len(TURNS)):
            turned_keys = _rotate_band_first(turn_hashes(hashes, number), band)
            begin = np.searchsorted(sorted_keys, turned_keys)
            for steps in (range(NEIGHBOR_HASHES), range(-1, -NEIGHBOR_HASHES - 1, -1)):
                ours = np.arange(count)  # those that share the band with all up to here
                for step in steps:
                    place = begin[ours] + step
                    is_inside = (place >= 0) & (place < count)
                    ours, place = ours[is_inside], place[is_inside]
                    shares_band = (sorted_keys[place] ^ turned_keys[ours]) >> BAND_SHIFT_BITS == 0
                    ours, place = ours[shares_band], place[shares_band]
                    if not len(ours):
                        break
                    is_close = (
                        count_differing_bits(turned_keys[ours], sorted_keys[place])
                        <= MAX_TURNED_BITS
                    )
                    one, other = ours[is_close], order[place[is_close]]
                    one, other = one[one != other], other[one != other]
                    found.append(np.minimum(one, other) * count + np.maximum(one, other))
    return _split_pairs(np.unique(np.concatenate(found)), count)


def _rotate_band_first(hashes: Hashes, band: int) -> Hashes:
    """Return hashes with one band of bits foremost."""
    if band == 0:
        return hashes
    shift_bits = np.uint64(64 // HASH_BANDS * band)
    result: Hashes = (hashes << shift_bits) | (hashes >> (np.uint64(64) - shift_bits))
    return result


def add_turns(pairs: Ids, hashes: Hashes) -> Ids:
    """Return pairs, [m, 2], with the turns worth trying, [k, 3]: upright, and one more."""
    found = [np.empty((0, 3), np.int64)]
    for start in range(0, len(pairs), 50 * PAIR_BATCH):
        page = pairs[start : start + 50 * PAIR_BATCH]
        ones, others = hashes[page[:, 0]], hashes[page[:, 1]]
        bits = np.stack(
            [count_differing_bits(ones, turn_hashes(others, n)) for n in range(len(TURNS))]
        )
        best = bits[1:].argmin(axis=0) + 1
        is_upright_close = bits[0] <= MAX_UPRIGHT_BITS
        is_turned_close = bits[1:].min(axis=0) <= MAX_TURNED_BITS
        for which, turns in ((is_upright_close, np.zeros_like(best)), (is_turned_close, best)):
            found.append(np.column_stack([page[which], turns[which]]))
    return np.concatenate(found)


def compute_cosines(catalog: Catalog, collection: Collection, ids: Ids, pairs: Ids) -> Vectors:
    """Return the cosines of pairs of places, [m, 2 or more], of embeddings with the ids."""
    result = np.zeros(len(pairs), np.float32)
    for start in range(0, len(pairs), PAIR_BATCH):
        page = pairs[start : start + PAIR_BATCH, :2]
        needed, where = np.unique(page, return_inverse=True)
        vectors = np.zeros((len(needed), collection.dimensions), np.float16)
        places = {id: n for n, id in enumerate(ids[needed].tolist())}
        for page_ids, blobs in catalog.read_vectors(list(places)):
            vectors[[places[id] for id in page_ids]] = unpack_vectors(blobs, collection.dimensions)
        ones, others = where.reshape(page.shape).T
        for offset in range(0, len(page), QUERY_BATCH):
            one, other = (
                vectors[side[offset : offset + QUERY_BATCH]].astype(np.float32)
                for side in (ones, others)
            )
            result[start + offset : start + offset + len(one)] = (one * other).sum(axis=1)
    return result
