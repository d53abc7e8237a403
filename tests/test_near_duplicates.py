"""Near-equal thumbnails, found by a tree, against the distances of all pairs."""

import tracemalloc

import numpy as np
from conftest import load, shared
from hypothesis import given
from hypothesis import strategies as st

from activity.training import dataset
from activity.training.near_duplicates import (
    NEIGHBOURS,
    SAME_PICTURE,
    THUMBNAIL_SIDE,
    groups_of,
    link_near_duplicates,
)  # fmt: skip

VALUES = 3 * THUMBNAIL_SIDE**2
CLUSTERS = st.tuples(st.integers(1, NEIGHBOURS // 4), st.floats(0, 4), st.floats(0, 12))


def clipped(values: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def partition(groups: np.ndarray) -> list[int]:
    """Return for each thing the first one of its group, whatever the groups are called."""
    first: dict[int, int] = {}
    return [first.setdefault(int(group), index) for index, group in enumerate(groups)]


def by_all_pairs(thumbnails: np.ndarray, within: float = SAME_PICTURE) -> list[int]:
    """Return for each thumbnail the first one of its group, by walking over the equal ones."""
    points = thumbnails.astype(np.float64)  # exact for such whole numbers
    lengths = (points**2).sum(axis=1)
    squares = lengths[:, None] + lengths - 2 * points @ points.T
    equal = squares <= within**2 * points.shape[1]
    first = np.full(len(points), -1)
    for start in range(len(points)):
        reached = [start] if first[start] < 0 else []
        for index in reached:
            first[index] = start
            new = np.flatnonzero(equal[index] & (first < 0))
            first[new] = start
            reached.extend(new)
    return first.tolist()


def check(thumbnails: np.ndarray, within: float = SAME_PICTURE) -> list[int]:
    """Compare with all pairs, and return for each thumbnail the first one of its group."""
    links = link_near_duplicates(thumbnails, within)
    assert links.shape[1] == 2
    found = partition(groups_of(len(thumbnails), links))
    assert found == by_all_pairs(thumbnails, within)
    assert len(links) == len(thumbnails) - len(set(found))
    return found


@given(
    st.integers(0, 2**32 - 1),
    st.lists(CLUSTERS, min_size=1, max_size=4),
    st.sampled_from([3, 48, VALUES]),
    st.sampled_from([0.5, SAME_PICTURE, 20.0]),
)
def test_the_groups_are_those_of_all_pairs(
    seed: int, clusters: list[tuple[int, float, float]], values: int, within: float
) -> None:
    """Clusters of any size and width, each at some distance from the one before, with copies."""
    random = np.random.default_rng(seed)
    centre, parts = random.uniform(60, 190, values), []
    for size, width, distance in clusters:
        direction = random.normal(size=values)
        centre = centre + distance * direction * (values / (direction @ direction)) ** 0.5
        parts.append(centre + random.normal(0, width, (size, values)))
    thumbnails = clipped(np.concatenate(parts))
    copied = random.choice(len(thumbnails), len(thumbnails) // 4)
    check(random.permutation(np.concatenate([thumbnails, thumbnails[copied]])), within)


def test_a_chain_is_one_group() -> None:
    """Neighbours are equal, the ends are black and white; and a break makes two of it."""
    assert [check(np.zeros((number, VALUES), np.uint8)) for number in (0, 1)] == [[], [0]]
    chain = np.repeat(np.arange(0, 256, dtype=np.uint8)[:, None], VALUES, axis=1)
    assert set(check(chain[::4])) == {0}
    assert set(check(np.concatenate([chain[:100:4], chain[104::4]]))) == {0, 25}


def test_exactly_the_difference_is_equal_and_more_is_not() -> None:
    thumbnails = np.repeat(np.array([[100], [105], [110]], np.uint8), VALUES, axis=1)
    thumbnails[2, 0] += 1
    assert check(thumbnails) == [0, 0, 2]


def test_a_fixed_camera_is_one_group_in_little_memory() -> None:
    """All pairs of 3,000 are nine million, of 16 bytes at least."""
    random = np.random.default_rng(0)
    camera = random.uniform(50, 200, VALUES) + random.normal(0, 1, (3000, VALUES))
    others = random.uniform(0, 255, (100, VALUES))
    thumbnails = random.permutation(clipped(np.concatenate([camera, others])))
    tracemalloc.start()
    links = link_near_duplicates(thumbnails)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(links) == 2999
    assert partition(groups_of(3100, links)) == by_all_pairs(thumbnails)
    assert peak < 100e6


def test_the_tutorials_pictures_have_the_groups_of_all_pairs() -> None:
    pictures = load(shared("data/sports3"), ["all"]).pictures
    images = dataset.plain_images(pictures, "squash", THUMBNAIL_SIDE)
    groups = np.array([picture.group for picture in pictures])
    assert partition(groups) == by_all_pairs(np.stack([image.ravel() for image in images]))
