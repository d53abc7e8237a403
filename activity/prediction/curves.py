"""The probabilities of a clip over time, thinned for drawing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from activity.label_file import UNCERTAIN
from activity.prediction.observation import Prediction
from activity.prediction.output import Clip, Output
from activity.prediction.result import Segment
from activity.video.reader import Frame

COLUMNS = 2048  # about twice what a picture has pixels for
FINEST = 0.001  # seconds of a column, at first
# Matplotlib's, blue, gold and black. Who has none is grey: uncertain stretches and other classes.
PALETTE = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22",
    "#17becf", "#0000ff", "#ffd700", "#000000",
)  # fmt: skip
OTHERS = "#a9a9a9"


class Curves(Output):
    """Collects the probabilities of a clip, in the same memory for 5 seconds and for 2 hours.

    The clip is kept as columns of equal time, counted from its first frame. When a frame falls
    beyond the last of them, neighbours are merged. Times must not decrease.
    """

    def __init__(self, path: Path, clip: Clip) -> None:
        super().__init__(path, clip)
        shape = (COLUMNS, len(self.labels))
        self._lowest, self._highest = np.full(shape, np.inf), np.full(shape, -np.inf)
        self._smoothed = np.zeros(shape)  # sums, as are the times
        self._times, self._counts = np.zeros(COLUMNS), np.zeros(COLUMNS)
        self._begin: float | None = None
        self._seconds_per_column = FINEST

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Take in a frame."""
        if self._begin is None:
            self._begin = frame.time
        while (column := int((frame.time - self._begin) / self._seconds_per_column)) >= COLUMNS:
            extremes = ((self._lowest, np.minimum, np.inf), (self._highest, np.maximum, -np.inf))
            sums = ((each, np.add, 0.0) for each in (self._smoothed, self._times, self._counts))
            for values, reduce, empty in (*extremes, *sums):
                values[: COLUMNS // 2] = reduce(values[0::2], values[1::2])
                values[COLUMNS // 2 :] = empty
            self._seconds_per_column *= 2
        np.minimum(self._lowest[column], prediction.raw, out=self._lowest[column])
        np.maximum(self._highest[column], prediction.raw, out=self._highest[column])
        self._smoothed[column] += prediction.smoothed
        self._times[column] += frame.time
        self._counts[column] += 1

    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return for each used column the time in seconds, and (columns, classes) probabilities.

        The time is the mean of its frames' times. The probabilities are the lowest and the highest
        of single frames, and the mean of the smoothed ones.
        """
        used = self._counts > 0
        counts = self._counts[used]
        smoothed = self._smoothed[used] / counts[:, None]
        return self._times[used] / counts, self._lowest[used], self._highest[used], smoothed

    def colours(self, segments: Sequence[Segment]) -> dict[str, str]:
        """Return the classes to be told apart, in their order, and their colours.

        Those that are the label for longest come first, then those that come nearest to it.
        """
        seconds = dict.fromkeys(self.labels, 0.0) | {UNCERTAIN: 0.0}
        for segment in segments:
            seconds[segment.label] += segment.end - segment.start
        nearest = dict(zip(self.labels, self.columns()[3].max(axis=0), strict=True))
        ranked = sorted(self.labels, key=lambda label: (-seconds[label], -nearest[label]))
        leading = sorted(ranked[: len(PALETTE)], key=self.labels.index)
        return dict(zip(leading, PALETTE, strict=False))
