"""Numbered pictures, as a renderer or a time-lapse camera leaves them, are frames, too."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from activity.quiet.opencv import cv2
from activity.video.backends import Format, Pool


class PictureBackend:
    """Pictures, shown at a rate; those that cannot be decoded are left out."""

    def __init__(self, files: Sequence[Path], fps: float) -> None:
        self._files = files
        time_base = 1 / Fraction(fps).limit_denominator(1001)
        self.format = Format(fps, fps, time_base, len(files), len(files) / fps)

    def decode(
        self,
        pool: Pool,  # noqa: ARG002
        start: float = 0.0,
    ) -> Iterator[tuple[int, float | None, np.ndarray]]:
        """Yield each picture; see `Backend`."""
        # One before it, as times are rounded; and the last, or there would seem to be none at all.
        first = min(max(0, int(start * self.format.fps) - 1), len(self._files) - 1)
        number = first
        for index, file in enumerate(self._files[first:], first):
            picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if picture is not None:
                yield number, index / self.format.fps, picture
                number += 1

    def close(self) -> None:
        """Do nothing: no picture is kept open."""
