"""A picture of a clip: every class's probability over time, and the label under it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from activity.prediction.reader import Frame
from activity.prediction.settings import UNCERTAIN
from activity.prediction.smoothing import Prediction
from activity.prediction.summary import ClipSummary, Segment

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

COLUMNS = 2048  # about twice what the picture has pixels for
FINEST = 0.001  # seconds of a column, at first
# As many colours as the legend has rows. None is grey: uncertain stretches and other classes are.
PALETTE = (
    "tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown", "tab:pink",
    "tab:olive", "tab:cyan", "blue", "gold", "black",
)  # fmt: skip
OTHERS = "darkgrey"
# Seconds between two marks on the axis, as on a clock.
TICKS = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 36000)


class Timeline:
    """Collects the probabilities of a clip, in the same memory for 5 seconds and for 2 hours.

    The clip is kept as columns of equal time, counted from its first frame. When a frame falls
    beyond the last of them, neighbours are merged. Times must not decrease.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        shape = (COLUMNS, len(labels))
        self._lowest, self._highest = np.full(shape, np.inf), np.full(shape, -np.inf)
        self._smoothed = np.zeros(shape)  # sums, as are the times
        self._times, self._counts = np.zeros(COLUMNS), np.zeros(COLUMNS)
        self._begin: float | None = None
        self._seconds_a_column = FINEST

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Take in one frame."""
        if self._begin is None:
            self._begin = frame.time
        while (column := int((frame.time - self._begin) / self._seconds_a_column)) >= COLUMNS:
            self._merge()
        np.minimum(self._lowest[column], prediction.raw, out=self._lowest[column])
        np.maximum(self._highest[column], prediction.raw, out=self._highest[column])
        self._smoothed[column] += prediction.smoothed
        self._times[column] += frame.time
        self._counts[column] += 1

    def _merge(self) -> None:
        half = COLUMNS // 2

        def fold(values: np.ndarray, reduce: np.ufunc, empty: float) -> None:
            values[:half] = reduce(values[0::2], values[1::2])
            values[half:] = empty

        fold(self._lowest, np.minimum, np.inf)
        fold(self._highest, np.maximum, -np.inf)
        for sums in (self._smoothed, self._times, self._counts):
            fold(sums, np.add, 0)
        self._seconds_a_column *= 2

    def curves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return for each used column the time in seconds, and (columns, classes) probabilities.

        The time is the mean of its frames' times. The probabilities are the lowest and the highest
        of single frames, and the mean of the smoothed ones.
        """
        used = np.flatnonzero(self._counts)
        counts = self._counts[used]
        smoothed = self._smoothed[used] / counts[:, None]
        return self._times[used] / counts, self._lowest[used], self._highest[used], smoothed

    def save(self, path: Path, title: str, segments: Sequence[Segment], smoother: str) -> None:
        """Draw the picture; at least one frame has to be in it."""
        # Matplotlib takes a second to import, which only who wants the picture has to wait.
        from matplotlib.figure import Figure

        from activity.figures import save_picture

        figure = Figure(figsize=(12, 4.2), layout="constrained")
        curves, strip = figure.subplots(2, 1, sharex=True, height_ratios=(8, 1))
        colours = self._colours(segments)
        self._draw_curves(curves, colours)
        _draw_names(curves, title, colours, len(self._labels) - len(colours))
        _draw_strip(strip, segments, colours, smoother)
        save_picture(figure, path, dpi=100)

    def _colours(self, segments: Sequence[Segment]) -> dict[str, str]:
        """Return the classes to be told apart, in their order, and their colours.

        Those that are the label for longest come first, then those that come nearest to it.
        """
        seconds = dict.fromkeys(self._labels, 0.0) | {UNCERTAIN: 0.0}
        for segment in segments:
            seconds[segment.label] += segment.end - segment.start
        nearest = dict(zip(self._labels, self.curves()[3].max(axis=0), strict=True))
        ranked = sorted(self._labels, key=lambda label: (-seconds[label], -nearest[label]))
        leading = sorted(ranked[: len(PALETTE)], key=self._labels.index)
        return dict(zip(leading, PALETTE, strict=False))

    def _draw_curves(self, panel: "Axes", colours: Mapping[str, str]) -> None:
        seconds, lowest, highest, smoothed = self.curves()
        for index, label in enumerate(self._labels):
            if label not in colours:
                panel.plot(seconds, smoothed[:, index], color=OTHERS, linewidth=0.8, zorder=1.5)
                continue
            panel.fill_between(
                seconds, lowest[:, index], highest[:, index],
                step="mid", color=colours[label], alpha=0.25, linewidth=0.5,
            )  # fmt: skip
            panel.plot(seconds, smoothed[:, index], color=colours[label], linewidth=2)
        panel.set(ylabel="probability", ylim=(-0.02, 1.02))
        panel.grid(alpha=0.3)


def _draw_names(panel: "Axes", title: str, colours: Mapping[str, str], others: int) -> None:
    """Put the title above a panel, and the legend beside it; not all fonts have all letters."""
    from matplotlib.lines import Line2D
    from matplotlib.offsetbox import AnchoredOffsetbox, DrawingArea, HPacker, VPacker

    from activity.figures import name_box

    def row(name: str, **style: Any) -> HPacker:
        sample = DrawingArea(20, 7)
        sample.add_artist(Line2D([0, 20], [3.5, 3.5], **style))
        return HPacker(children=[sample, name_box(name, size=10, longest=170)], pad=0, sep=8)

    rows: list[Artist] = [row(name, color=colour, linewidth=2) for name, colour in colours.items()]
    if others:
        rows.append(row(f"and {others} more", color=OTHERS, linewidth=0.8))
    legend, above = VPacker(children=rows, pad=0, sep=5), name_box(title, size=12, longest=500)
    for side, anchor, box, pad in (
        ("center left", (1, 0.5), legend, 0.4), ("lower center", (0.5, 1), above, 0.0),
    ):  # fmt: skip
        panel.add_artist(
            AnchoredOffsetbox(
                side, child=box, pad=pad, frameon=False, bbox_to_anchor=anchor,
                bbox_transform=panel.transAxes,
            )
        )  # fmt: skip


def _draw_strip(
    panel: "Axes", segments: Sequence[Segment], colours: Mapping[str, str], smoother: str
) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    for segment in segments:
        colour = colours.get(segment.label, "lightgrey" if segment.label == UNCERTAIN else OTHERS)
        panel.barh(0, segment.end - segment.start, left=segment.start, color=colour)
    panel.set(yticks=[], ylim=(-0.4, 0.4), xlabel=f"time (thin: single frames, bold: {smoother})")
    start, end = segments[0].start, segments[-1].end
    step = next((step for step in TICKS if (end - start) / step <= 12), TICKS[-1])
    panel.xaxis.set_major_locator(MultipleLocator(step))
    panel.xaxis.set_major_formatter(FuncFormatter(_clock))
    panel.set_xlim(start, end)


@contextmanager
def timeline_of(path: Path, title: str, summary: ClipSummary) -> Iterator[Timeline]:
    """Give a timeline that is drawn to `path`, over the summary's segments, when the block ends."""
    timeline = Timeline(summary.labels)
    yield timeline
    timeline.save(path, title, summary.segments, summary.smoother)


def _clock(seconds: float, _position: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02.0f}"
    return f"{minutes}:{rest:02.0f}" if rest.is_integer() else f"{minutes}:{rest:04.1f}"
