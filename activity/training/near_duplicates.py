"""Which pictures show the same thing: near-equal thumbnails, found without comparing all pairs."""

from hashlib import blake2b

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

THUMBNAIL_SIDE = 16
# Root mean square difference of two thumbnails, in grey levels of 255. On the sports images of the
# tutorial a picture saved again (JPEG quality 30, WebP 50, half or 1.5 times the size) stays below
# 2.8, the nearest pair of different pictures is 12.5 apart.
SAME_PICTURE = 5.0
DIMENSIONS = 16  # more select a little better and are slower to search (benchmarks/README.md)
NEIGHBOURS = 32  # how many of the nearest thumbnails each one is compared with
# Thumbnails projected or searched for at a time, and pairs compared at a time, which takes 3 MB.
CHUNK, PAIRS = 2048, 1024


def link_near_duplicates(thumbnails: np.ndarray, within: float = SAME_PICTURE) -> np.ndarray:
    """Return links, (M, 2) indices, whose connected components are the groups of equal pictures.

    `thumbnails` is (N, values) uint8, contiguous. Two of them are equal if their root mean square
    difference is at most `within` grey levels. All but the first of a group link to the first.

    What is equal is near in a few dimensions, too, where a tree finds it. That is exact unless a
    thumbnail has `NEIGHBOURS` distinct others as near there; then further ones are found only
    through these. Takes 0.5 kB per thumbnail besides them.
    """
    first: dict[bytes, int] = {}
    digests = (blake2b(each, digest_size=16).digest() for each in thumbnails)
    groups = np.array([first.setdefault(digest, at) for at, digest in enumerate(digests)], int)
    distinct = np.unique(groups)
    if len(distinct) > 1:
        values = thumbnails.shape[1]
        largest = (max(0, values - DIMENSIONS), values - 1)
        sample = thumbnails[np.random.default_rng(0).permutation(distinct)[:CHUNK]]
        axes = eigh(np.cov(sample, rowvar=False), subset_by_index=largest)[1]
        chunks = np.split(distinct, range(CHUNK, len(distinct), CHUNK))
        places = np.concatenate([thumbnails[chunk] @ axes for chunk in chunks])
        tree = cKDTree(places)
        radius = within * values**0.5 * (1 + 1e-9)  # no distance grows, but for rounding
        for start in range(0, len(distinct), CHUNK):
            searched = places[start : start + CHUNK]
            _, found = tree.query(searched, NEIGHBOURS, distance_upper_bound=radius, workers=-1)
            rows, columns = np.nonzero(found < len(distinct))
            pairs = distinct[np.stack([start + rows, found[rows, columns]], axis=1)]
            pairs = pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]]
            equal = pairs[_are_equal(thumbnails, pairs, within)]
            groups = groups_of(len(groups), groups[equal])[groups]
    _, firsts, numbers = np.unique(groups, return_index=True, return_inverse=True)
    others = np.flatnonzero(firsts[numbers] != np.arange(len(groups)))
    return np.stack([others, firsts[numbers[others]]], axis=1)


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the root mean square difference of two uint8 arrays."""
    return float(np.sqrt(np.square(first.astype(np.float32) - second).mean()))


def groups_of(number: int, links: np.ndarray) -> np.ndarray:
    """Number the groups, (number,), of as many things that are connected by links, (M, 2)."""
    graph = coo_array((np.ones(len(links), bool), links.T), shape=(number, number))
    groups: np.ndarray = connected_components(graph, directed=False)[1]
    return groups


def _are_equal(thumbnails: np.ndarray, pairs: np.ndarray, within: float) -> np.ndarray:
    """Tell for pairs of thumbnails, (M, 2) indices, whether they differ by no more; (M,) bool."""
    squares = []
    for chunk in np.split(pairs, range(PAIRS, len(pairs), PAIRS)):
        difference = np.subtract(*thumbnails[chunk.T], dtype=np.int16)
        squares.append(np.einsum("ij,ij->i", difference, difference, dtype=np.int32))
    equal: np.ndarray = np.concatenate(squares) <= within**2 * thumbnails.shape[1]
    return equal
