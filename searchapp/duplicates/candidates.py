"""Find candidate pairs of duplicates: pairs with near embeddings or similar hashes.

Hashes are compared in 8 orientations. Arrays of pairs hold positions in the list of compared
images, not ids.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from searchapp.catalog import Catalog
from searchapp.duplicates.fingerprint import TURNS, Hashes, count_differing_bits, turn_hashes
from searchapp.types import Collection
from searchapp.vectors import Ids, VectorIndex, Vectors, unpack_vectors
from searchapp.vectors.indexes import Indexes

MAX_EXACT_VECTORS = 20_000  # up to this many vectors, all pairs are compared exactly
FIRST_NEIGHBORS, MAX_NEIGHBORS = 16, 128  # the second search is for vectors with many near ones
IVF_PROBES = 8  # near duplicates lie in the same IVF list or in a neighboring one
QUERY_BATCH = 2_000  # vectors per search
HASH_BANDS = 4  # of 16 bits each: hashes that differ in at most 3 bits share a band
BAND_SHIFT_BITS = np.uint64(64 - 64 // HASH_BANDS)  # bits after the first band
NEIGHBOR_HASHES = 16  # hashes compared on each side, in the sort order of a band
MAX_TURNED_BITS = 8  # differing bits of a rotated or mirrored copy
# Differing bits of a cropped or brighter copy. Unrelated pictures differ in 31.5 of 63 bits.
MAX_UPRIGHT_BITS = 27
PAIR_BATCH = 20_000  # pairs per step


def choose_list_count(count: int) -> int:
    """Return the number of IVF lists of an index of `count` vectors that finds near duplicates."""
    return int(2 ** max(4, round(math.log2(2.5 * math.sqrt(count)))))


def get_pair_index(
    catalog: Catalog, indexes: Indexes, collection: Collection, ids: Ids
) -> tuple[VectorIndex, int]:
    """Return an index that finds near embeddings, and how many IVF lists each search probes.

    If this number is 0, the index is exact and holds only the embeddings with these ids.
    """
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
    """Return the pairs of embeddings whose cosine is at least min_cosine, and their cosines.

    pages: ids and vectors to search with. ids: the embeddings to compare, [n]. Pairs are positions
    in ids, [m, 2], the lower first. An approximate index may miss pairs.
    """
    order = np.argsort(ids)
    sorted_ids = ids[order]
    pair_keys, cosines = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for page, blobs in pages:
        positions = _find_positions(np.array(page, np.int64), sorted_ids, order)
        vectors = unpack_vectors(blobs, index.dimensions)[positions >= 0]
        positions = positions[positions >= 0]
        for start in range(0, len(positions), QUERY_BATCH):
            queries = np.arange(start, min(start + QUERY_BATCH, len(positions)))
            for count in (FIRST_NEIGHBORS, MAX_NEIGHBORS):
                neighbors, scores = index.find_neighbors(vectors[queries], count + 1, probes)
                is_near = scores >= min_cosine
                others = _find_positions(neighbors[is_near], sorted_ids, order)
                ones = np.repeat(positions[queries], is_near.sum(axis=1))
                is_pair = (others >= 0) & (others != ones)
                low, high = np.minimum(ones, others)[is_pair], np.maximum(ones, others)[is_pair]
                pair_keys.append(low * len(ids) + high)
                cosines.append(scores[is_near][is_pair])
                queries = queries[is_near.all(axis=1)]  # they may have more near neighbors
                if not len(queries):
                    break
    unique_keys, first = np.unique(np.concatenate(pair_keys), return_index=True)
    return _split_pair_keys(unique_keys, len(ids)), np.concatenate(cosines)[first]


def _find_positions(searched_ids: Ids, sorted_ids: Ids, order: Ids) -> Ids:
    """Return the position of each searched id in the unsorted ids; -1 if an id is not found."""
    if not len(sorted_ids):
        return np.full(len(searched_ids), -1, np.int64)
    ranks = np.minimum(np.searchsorted(sorted_ids, searched_ids), len(sorted_ids) - 1)
    positions: Ids = np.where(sorted_ids[ranks] == searched_ids, order[ranks], -1)
    return positions


def _split_pair_keys(keys: Ids, count: int) -> Ids:
    """Return pairs, [m, 2], from keys that are first * count + second."""
    return np.stack(np.divmod(keys, max(count, 1)), axis=1)


def find_pairs_by_hash(hashes: Hashes) -> Ids:
    """Return pairs of positions, [m, 2], with close hashes in one of the 8 orientations.

    For each band of bits, hashes are sorted with that band first. A hash is compared only with
    its neighbors in this order that share the band: at most 2 * NEIGHBOR_HASHES, so the cost
    grows with n log n.
    """
    count = len(hashes)
    pair_keys = [np.empty(0, np.int64)]
    for band in range(HASH_BANDS):
        keys = _rotate_band_first(hashes, band)
        order = np.argsort(keys)
        sorted_keys = keys[order]
        for number in range(len(TURNS)):
            turned_keys = _rotate_band_first(turn_hashes(hashes, number), band)
            begin = np.searchsorted(sorted_keys, turned_keys)
            for steps in (range(NEIGHBOR_HASHES), range(-1, -NEIGHBOR_HASHES - 1, -1)):
                ones = np.arange(count)  # hashes whose neighbors share the band so far
                for step in steps:
                    ranks = begin[ones] + step
                    is_inside = (ranks >= 0) & (ranks < count)
                    ones, ranks = ones[is_inside], ranks[is_inside]
                    shares_band = (sorted_keys[ranks] ^ turned_keys[ones]) >> BAND_SHIFT_BITS == 0
                    ones, ranks = ones[shares_band], ranks[shares_band]
                    if not len(ones):
                        break
                    bits = count_differing_bits(turned_keys[ones], sorted_keys[ranks])
                    is_close = bits <= MAX_TURNED_BITS
                    one, other = ones[is_close], order[ranks[is_close]]
                    one, other = one[one != other], other[one != other]
                    pair_keys.append(np.minimum(one, other) * count + np.maximum(one, other))
    return _split_pair_keys(np.unique(np.concatenate(pair_keys)), count)


def _rotate_band_first(hashes: Hashes, band: int) -> Hashes:
    """Return hashes with their bits rotated so that the band is the highest bits."""
    if band == 0:
        return hashes
    shift_bits = np.uint64(64 // HASH_BANDS * band)
    rotated: Hashes = (hashes << shift_bits) | (hashes >> (np.uint64(64) - shift_bits))
    return rotated


def add_turns(pairs: Ids, hashes: Hashes, is_near: NDArray[np.bool_]) -> Ids:
    """Return pairs [m, 2] as [k, 3], with the turns to compare: upright, and the best other turn.

    A turn is left out if the hashes differ in too many bits. is_near: [m], the pairs whose
    embeddings say that they show the same upright: a crop of a smooth picture has other bits.
    """
    turned_pairs = [np.empty((0, 3), np.int64)]
    for start in range(0, len(pairs), 50 * PAIR_BATCH):
        page = pairs[start : start + 50 * PAIR_BATCH]
        ones, others = hashes[page[:, 0]], hashes[page[:, 1]]
        bits = np.stack(
            [count_differing_bits(ones, turn_hashes(others, n)) for n in range(len(TURNS))]
        )
        best = bits[1:].argmin(axis=0) + 1
        is_upright_close = bits[0] <= MAX_UPRIGHT_BITS
        is_upright_close |= is_near[start : start + len(page)]
        is_turned_close = bits[1:].min(axis=0) <= MAX_TURNED_BITS
        for is_close, turns in ((is_upright_close, np.zeros_like(best)), (is_turned_close, best)):
            turned_pairs.append(np.column_stack([page[is_close], turns[is_close]]))
    return np.concatenate(turned_pairs)


def compute_cosines(catalog: Catalog, collection: Collection, ids: Ids, pairs: Ids) -> Vectors:
    """Return the cosine of each pair's embeddings, [m].

    pairs: [m, 2 or more]; the first two columns are positions in ids.
    """
    result = np.zeros(len(pairs), np.float32)
    for start in range(0, len(pairs), PAIR_BATCH):
        page = pairs[start : start + PAIR_BATCH, :2]
        needed, rows = np.unique(page, return_inverse=True)
        vectors = np.zeros((len(needed), collection.dimensions), np.float16)
        row_by_id = {id: row for row, id in enumerate(ids[needed].tolist())}
        for page_ids, blobs in catalog.read_vectors(list(row_by_id)):
            page_rows = [row_by_id[id] for id in page_ids]
            vectors[page_rows] = unpack_vectors(blobs, collection.dimensions)
        ones, others = rows.reshape(page.shape).T
        for offset in range(0, len(page), QUERY_BATCH):
            one, other = (
                vectors[side[offset : offset + QUERY_BATCH]].astype(np.float32)
                for side in (ones, others)
            )
            result[start + offset : start + offset + len(one)] = (one * other).sum(axis=1)
    return result
