"""Which pictures show the same thing: near-equal thumbnails, found without comparing all pairs."""

from hashlib import blake2b

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

THUMBNAIL_SIDE = 16
# Root mean square difference of two thumbnails, in grey levels of 255. On the sports images of the
# tutorial a picture saved again (JPEG quality 30, WebP 50, half or 1.5 times the size) stays below
# 2.8, the nearest pair of different pictures is 12.5 apart.
SAME_PICTURE = 5.0
# More of them select a little better, and make the search slower (benchmarks/README.md).
DIMENSIONS = 16
# By how many thumbnails the dimensions are chosen, and how many are projected at a time.
SAMPLE = 2048
# How many of the nearest ones a search asks for at first, and at most.
FEW, MOST = 16, 256
# Pairs compared at a time, which takes 3 MB.
PAIRS = 1024


def link_equal(thumbnails: np.ndarray, within: float = SAME_PICTURE) -> np.ndarray:
    """Return links, (M, 2) indices, whose connected components are the groups of equal pictures.

    `thumbnails` is (N, values) uint8, contiguous. Two of them are equal if their root mean square
    difference is at most `within` grey levels, and what is equal to the same is in one group. All
    but the first of a group have one link, to the first.

    What is equal is near in a few dimensions, too, where a tree finds it. That is exact unless a
    thumbnail has nearly `MOST` others as near as that, but not equal: then some of its links may
    be missed. So each is compared with a few hundred at most, also where thousands are equal.
    Takes 0.5 kB a thumbnail besides them.
    """
    first: dict[bytes, int] = {}
    groups = np.array(
        [
            first.setdefault(blake2b(each, digest_size=16).digest(), index)
            for index, each in enumerate(thumbnails)
        ],
        int,
    )
    distinct = np.array(list(first.values()), int)
    if len(distinct) > 1:
        search = _Search(thumbnails, within, groups)
        search.link_across(search.link(distinct, distinct))
        groups = search.groups
    _, firsts, numbers = np.unique(groups, return_index=True, return_inverse=True)
    others = np.flatnonzero(firsts[numbers] != np.arange(len(groups)))
    return np.stack([others, firsts[numbers[others]]], axis=1)


def groups_of(number: int, links: np.ndarray) -> np.ndarray:
    """Number the groups, (number,), of as many things that are connected by links, (M, 2)."""
    graph = coo_array((np.ones(len(links), bool), links.T), shape=(number, number))
    groups: np.ndarray = connected_components(graph, directed=False)[1]
    return groups


class _Search:
    """Groups of equal thumbnails, found so far."""

    def __init__(self, thumbnails: np.ndarray, within: float, groups: np.ndarray) -> None:
        self.groups = groups
        self._thumbnails = thumbnails
        self._squares = within**2 * thumbnails.shape[1]
        # A projection lengthens no distance, but rounding may.
        self._radius = within * thumbnails.shape[1] ** 0.5 * (1 + 1e-9)
        self._places = _projected(thumbnails)

    def link(self, points: np.ndarray, among: np.ndarray) -> np.ndarray:
        """Link each of the points to those `among` others (indices both) that it is equal to.

        Return the points that have more around them than were looked at, as most are of their
        own group already.
        """
        tree = cKDTree(self._places[among])
        crowded = []
        neighbours = FEW
        while len(points):
            more = []
            for part in np.array_split(points, -(-len(points) * neighbours // 2**16)):
                distances, found = tree.query(
                    self._places[part], neighbours, distance_upper_bound=self._radius, workers=-1
                )
                rows, columns = np.nonzero(found < len(among))
                pairs = np.stack([part[rows], among[found[rows, columns]]], axis=1)
                self._join(pairs)
                own = self.groups[pairs[:, 0]] == self.groups[pairs[:, 1]]
                full = np.isfinite(distances[:, -1])
                many = np.bincount(rows[own], minlength=len(part)) >= FEW
                crowded.append(part[full & many])
                more.append(part[full & ~many])
            neighbours *= 4
            points = np.concatenate(more) if neighbours <= MOST else points[:0]
        return np.concatenate(crowded)

    def link_across(self, points: np.ndarray) -> None:
        """Link points (indices) that are equal, but have too many of their own groups around them.

        The numbers of two groups differ in a binary digit, so for each digit those where it is 0
        are searched by those where it is 1: none finds its own group.
        """
        before, left = 0, len(points)
        while left != before:
            before = left
            numbers = np.unique(self.groups[points], return_inverse=True)[1]
            for digit in range(int(numbers.max()).bit_length()):
                ones = (numbers >> digit & 1).astype(bool)
                self.link(points[ones], points[~ones])
            left = len(np.unique(self.groups[points]))

    def _join(self, pairs: np.ndarray) -> None:
        """Unite the groups of those pairs, (M, 2) indices, that are equal."""
        groups = self.groups[pairs]
        pairs = pairs[groups[:, 0] != groups[:, 1]]
        equal = [pairs[:0]]
        for start in range(0, len(pairs), PAIRS):
            chunk = pairs[start : start + PAIRS]
            one, other = (self._thumbnails[side] for side in chunk.T)
            difference = np.subtract(one, other, dtype=np.int16)
            squares = np.einsum("ij,ij->i", difference, difference, dtype=np.int32)
            equal.append(chunk[squares <= self._squares])
        links = self.groups[np.concatenate(equal)]
        if len(links):
            self.groups = groups_of(len(self.groups), links)[self.groups]


def _projected(thumbnails: np.ndarray) -> np.ndarray:
    """Return the thumbnails, (N, values) uint8, in few dimensions, (N, DIMENSIONS) float64.

    They are about those of the largest variance in a sample, by subspace iteration: all principal
    components would take a second, and are not needed to have a projection.
    """
    number, values = thumbnails.shape
    random = np.random.default_rng(0)
    sample = thumbnails[random.choice(number, min(number, SAMPLE), replace=False)].astype(float)
    sample -= sample.mean(axis=0)
    axes = random.normal(size=(values, min(DIMENSIONS, values)))
    for _ in range(4):
        axes = np.linalg.qr(sample.T @ (sample @ axes))[0]
    places = np.empty((number, axes.shape[1]))
    for start in range(0, number, SAMPLE):
        places[start : start + SAMPLE] = thumbnails[start : start + SAMPLE] @ axes
    return places
