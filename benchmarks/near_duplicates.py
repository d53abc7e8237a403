"""Compare how long the search for near-duplicates takes, by a tree and by all pairs.

    python -m benchmarks.near_duplicates --dataset DIR

The thumbnails are those of the given pictures again and again, each time cropped, mirrored and
brightened differently; one in a hundred is a copy of another with a little noise. Or they are of
ten fixed cameras: the thumbnail of a picture each, with a little noise. Each way runs in its own
process.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import radius_neighbors_graph

from activity.preprocessing import shrink_or_grow
from activity.quiet.opencv import cv2
from activity.streams import parallel_map
from activity.training import dataset, layout
from activity.training.near_duplicates import (
    SAME_PICTURE,
    THUMBNAIL_SIDE,
    groups_of,
    link_near_duplicates,
)
from benchmarks.processes import PYTHON, processor, run
from train import TrainingFiles

CAMERAS = 10
MOST_BY_PAIRS = 20_000


def distinct(pictures: list[np.ndarray], number: int) -> np.ndarray:
    """Return the thumbnails, (number, 768) uint8, of variations of (H, W, 3) pictures."""

    def vary(index: int) -> np.ndarray:
        random = np.random.default_rng(index)
        picture = pictures[index % len(pictures)]
        height, width = picture.shape[:2]
        rows, columns = (int(side * random.uniform(0.5, 1)) for side in (height, width))
        top, left = random.integers(0, [height - rows + 1, width - columns + 1])
        part = picture[top : top + rows, left : left + columns]
        part = np.ascontiguousarray(part[:, :: random.choice([-1, 1])])
        thumbnail = shrink_or_grow(part, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        contrast, brightness = random.uniform(0.6, 1.4), random.uniform(-40, 40)
        return cv2.convertScaleAbs(thumbnail, alpha=contrast, beta=brightness).ravel()

    thumbnails = np.stack(list(parallel_map(vary, range(number))))
    random = np.random.default_rng(0)
    again, copied = random.choice(number, (2, number // 100), replace=False)
    thumbnails[again] = noisy(thumbnails[copied], random)
    return thumbnails


def cameras(pictures: list[np.ndarray], number: int) -> np.ndarray:
    """Return the thumbnails, (number, 768) uint8, of ten fixed cameras of equal share."""
    random = np.random.default_rng(0)
    chosen = distinct(pictures, len(pictures))[random.choice(len(pictures), CAMERAS, replace=False)]
    return noisy(np.repeat(chosen, number // CAMERAS, axis=0), random)


def noisy(thumbnails: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return thumbnails as they are when a picture is saved or taken again."""
    noise = random.integers(-2, 3, thumbnails.shape, np.int8)
    return cv2.add(thumbnails, noise, dtype=cv2.CV_8U)


def by_tree(thumbnails: np.ndarray) -> np.ndarray:
    """Number the groups, (N,), as `train.py` does."""
    return groups_of(len(thumbnails), link_near_duplicates(thumbnails))


def by_all_pairs(thumbnails: np.ndarray) -> np.ndarray:
    """Number the groups, (N,), as versions up to 0.13.0 did."""
    points = thumbnails.astype(np.float32)
    radius = SAME_PICTURE * np.sqrt(points.shape[1])
    links = radius_neighbors_graph(points, radius, include_self=True)
    groups: np.ndarray = connected_components(links, directed=False)[1]
    return groups


KINDS: dict[str, Callable[[list[np.ndarray], int], np.ndarray]] = {
    "distinct, 1 % near-duplicates": distinct,
    "ten fixed cameras": cameras,
}
WAYS = {"a tree": by_tree, "all pairs": by_all_pairs}


def small(picture: dataset.Picture) -> np.ndarray:
    """Return a picture, (H, W, 3) uint8, its short side at most 128 pixels."""
    image = dataset.read_picture(picture)
    scale = min(1.0, 128 / min(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def peak() -> float:
    """Return the largest resident memory of this process in MB.

    The usual ru_maxrss would begin with that of the process that started it.
    """
    (found,) = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found) / 1024


def measure(path: Path, way: str) -> None:
    """Group the thumbnails in a file; print the seconds, the megabytes they took and the groups."""
    thumbnails = np.load(path)
    WAYS[way](thumbnails[:100])  # what is loaded or begun at first use is not measured
    before = peak()
    started = time.monotonic()
    groups = WAYS[way](thumbnails)
    seconds = time.monotonic() - started
    print(f"{seconds:.1f} | {peak() - before:.0f} | {groups.max() + 1:,}")


def main() -> None:
    """Print a table of both ways; all pairs only of few pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--measure", nargs=2, metavar=("FILE", "WAY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(Path(args.measure[0]), args.measure[1])
        return

    found = dataset.load(
        layout.find_annotations(args.dataset, layout.ALL), TrainingFiles().frames
    ).pictures
    pictures = list(parallel_map(small, found))
    print(f"{processor()}\n\n| thumbnails | number | way | seconds | MB | groups |")
    print("|---|---|---|---|---|---|", flush=True)
    for kind, make in KINDS.items():
        for size in args.sizes:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "thumbnails.npy")
                np.save(path, make(pictures, size))
                for way in WAYS if size <= MOST_BY_PAIRS else ["a tree"]:
                    command = [PYTHON, "-m", "benchmarks.near_duplicates", "--measure", path, way]
                    row = run(command).stdout.strip()
                    print(f"| {kind} | {size:,} | {way} | {row} |", flush=True)


if __name__ == "__main__":
    main()
