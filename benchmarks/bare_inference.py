"""The model alone, without video: the ceiling of `benchmarks.prediction`.

python -m benchmarks.bare_inference MODEL SECONDS
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from activity.engine import load_engine
from activity.model_file import read_metadata


def main() -> None:
    """Show the model the same picture over and over, and print the speed."""
    path, seconds = Path(sys.argv[1]), float(sys.argv[2])
    side = read_metadata(path).input_size
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    engine = load_engine(path)
    list(engine.stream(enumerate([picture] * 64)))  # the first calls are slower
    started = time.monotonic()

    def pictures() -> Iterator[np.ndarray]:
        while time.monotonic() < started + seconds:
            yield picture

    frames = sum(1 for _ in engine.stream(enumerate(pictures())))
    print(f"{frames} frames, {frames / (time.monotonic() - started):.1f} frames/s")


if __name__ == "__main__":
    main()
