"""Show that the cost of `train.py` is linear in the number of images.

    python -m benchmarks.scaling --dataset DIR --weights PATH --plot docs/scaling.png

Data sets of each size are made from the given one: its pictures over and over, each time cut and
brightened a little differently, so that none equals another. Training runs with one augmented view,
which is enough to show every step, and an empty cache.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from activity.quiet.opencv import cv2
from activity.streams import parallel_map
from activity.training import dataset, layout
from benchmarks.processes import processor, run_training
from train import TrainingFiles


def changed(picture: dataset.Picture, number: int) -> np.ndarray:
    """Return an (H, W, 3) uint8 BGR variation of a picture, at most 320 pixels high."""
    random = np.random.default_rng(number)
    image = dataset.read_picture(picture)[..., ::-1]
    height, width = image.shape[:2]
    top, left = random.integers(0, [height // 6 + 1, width // 6 + 1])
    image = image[top : height - height // 6 + top, left : width - width // 6 + left]
    scale = min(1.0, 320 / image.shape[0])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.convertScaleAbs(image, alpha=random.uniform(0.7, 1.2), beta=random.uniform(-30, 30))


def write_dataset(folder: Path, pictures: Sequence[dataset.Picture], size: int) -> None:
    """Write `size` different images into `folder`, a folder for each class."""
    for label in {picture.label for picture in pictures}:
        (folder / label).mkdir(parents=True)

    def write(number: int) -> None:
        picture = pictures[number % len(pictures)]
        path = folder / picture.label / f"{number}.jpg"
        cv2.imwrite(str(path), changed(picture, number))

    for _ in parallel_map(write, range(size)):
        pass


def main() -> None:
    """Train on data sets of growing size; print a table and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000, 20000])
    parser.add_argument("--plot", type=Path, required=True)
    args = parser.parse_args()

    pictures = dataset.load(
        layout.find_annotations(args.dataset, layout.ALL), TrainingFiles().frames
    ).pictures
    # Shuffled, so that a small set has all classes.
    order = np.random.default_rng(0).permutation(len(pictures))
    pictures = [pictures[index] for index in order]
    print(f"{processor()}\n\n| images | seconds | peak memory, MB |\n|---|---|---|", flush=True)
    seconds, peaks = [], []
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder, "data")
            write_dataset(data, pictures, size)
            done = run_training(
                Path(folder), "--dataset", data, "--weights", args.weights, "--views", 1
            )
        seconds.append(done.seconds)
        peaks.append(done.peak)
        print(f"| {size} | {done.seconds:.0f} | {done.peak:.0f} |", flush=True)

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for panel, values, name in zip(
        figure.subplots(1, 2), (seconds, peaks), ("seconds", "peak memory, MB"), strict=True
    ):
        panel.plot(args.sizes, values, "o-")
        panel.set(xlabel="images", ylabel=name, ylim=(0, None), title=f"train.py: {name}")
        panel.grid(alpha=0.3)
    figure.savefig(args.plot, dpi=120)


if __name__ == "__main__":
    main()
