"""A picture of a clip: every class's probability over time, and the label under it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from activity.prediction.reader import Frame
from activity.prediction.settings import UNCERTAIN
from activity.prediction.smoothing import Prediction
from activity.prediction.summary import ClipSummary, Segment

COLUMNS = 2048  # about twice what the picture has pixels for
# Seconds between two marks on the axis, as on a clock.
TICKS = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 36000)


class Timeline:
    """Collects the probabilities of a clip, in the same memory for 5 seconds and for 2 hours.

    The clip is kept as columns of equally many frames, one frame at first. When they are all used,
    neighbours are merged.
    """

    def __init__(self, labels: Sequence[str], fps: float) -> None:
        self._labels = labels
        self._fps = fps
        shape = (COLUMNS, len(labels))
        self._lowest, self._highest = np.full(shape, np.inf), np.full(shape, -np.inf)
        self._averaged = np.zeros(shape)
        self._counts = np.zeros(COLUMNS)
        self._first: int | None = None
        self._frames_a_column = 1

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Take in one frame."""
        if self._first is None:
            self._first = frame.number
        while (column := (frame.number - self._first) // self._frames_a_column) >= COLUMNS:
            self._merge()
        np.minimum(self._lowest[column], prediction.raw, out=self._lowest[column])
        np.maximum(self._highest[column], prediction.raw, out=self._highest[column])
        self._averaged[column] += prediction.averaged
        self._counts[column] += 1

    def _merge(self) -> None:
        half = COLUMNS // 2

        def fold(values: np.ndarray, reduce: np.ufunc, empty: float) -> None:
            values[:half] = reduce(values[0::2], values[1::2])
            values[half:] = empty

        fold(self._lowest, np.minimum, np.inf)
        fold(self._highest, np.maximum, -np.inf)
        fold(self._averaged, np.add, 0)
        fold(self._counts, np.add, 0)
        self._frames_a_column *= 2

    def curves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return for each used column its time in seconds, and (columns, classes) probabilities.

        These are the lowest and the highest of single frames, and the mean of the averaged ones.
        """
        used = np.flatnonzero(self._counts)
        seconds = ((self._first or 0) + (used + 0.5) * self._frames_a_column) / self._fps
        averaged = self._averaged[used] / self._counts[used, None]
        return seconds, self._lowest[used], self._highest[used], averaged

    def save(self, path: Path, title: str, segments: Sequence[Segment]) -> None:
        """Draw the picture; at least one frame has to be in it."""
        # Matplotlib takes a second to import, which only who wants the picture has to wait.
        from matplotlib import colormaps
        from matplotlib.colors import to_rgba
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, MultipleLocator

        from activity.figures import plain, save_picture

        seconds, lowest, highest, averaged = self.curves()
        palette = colormaps["tab10" if len(self._labels) <= 10 else "tab20"]
        colours = {label: palette(index % palette.N) for index, label in enumerate(self._labels)}
        colours.setdefault(UNCERTAIN, to_rgba("lightgrey"))
        figure = Figure(figsize=(12, 4.2), layout="constrained")
        curves, strip = figure.subplots(2, 1, sharex=True, height_ratios=(8, 1))
        for index, label in enumerate(self._labels):
            colour = colours[label]
            curves.fill_between(
                seconds, lowest[:, index], highest[:, index],
                step="mid", color=colour, alpha=0.25, linewidth=0.5,
            )  # fmt: skip
            curves.plot(seconds, averaged[:, index], color=colour, linewidth=2, label=plain(label))
        curves.set(ylabel="probability", ylim=(-0.02, 1.02), title=plain(title))
        curves.grid(alpha=0.3)
        curves.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        for segment in segments:
            width = segment.end - segment.start
            strip.barh(0, width, left=segment.start, color=colours[segment.label])
        strip.set(yticks=[], ylim=(-0.4, 0.4), xlabel="time (thin: single frames, bold: averaged)")
        start, end = segments[0].start, segments[-1].end
        step = next((step for step in TICKS if (end - start) / step <= 12), TICKS[-1])
        strip.xaxis.set_major_locator(MultipleLocator(step))
        strip.xaxis.set_major_formatter(FuncFormatter(_clock))
        strip.set_xlim(start, end)
        save_picture(figure, path, dpi=100)


@contextmanager
def timeline_of(path: Path, title: str, summary: ClipSummary) -> Iterator[Timeline]:
    """Give a timeline that is drawn to `path`, over the summary's segments, when the block ends."""
    timeline = Timeline(summary.labels, summary.fps)
    yield timeline
    timeline.save(path, title, summary.segments)


def _clock(seconds: float, _position: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02.0f}"
    return f"{minutes}:{rest:02.0f}" if rest.is_integer() else f"{minutes}:{rest:04.1f}"
