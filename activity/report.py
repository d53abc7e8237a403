"""What a run says about a clip: a row a frame, and a summary at the end."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from activity.artifacts import written_whole


@dataclass(frozen=True)
class Prediction:
    """What is known about one frame."""

    frame: int  # its number in the clip, from 0
    label: str  # of the largest averaged probability
    raw_label: str  # of the largest probability of this frame alone
    averaged: np.ndarray  # (classes,) rolling mean of the probabilities
    raw: np.ndarray  # (classes,) probabilities of this frame alone


class FrameTable:
    """Writes one CSV row a frame, as the frames come; made by `frame_table`."""

    def __init__(self, file: TextIO, labels: Sequence[str], fps: float) -> None:
        self._file = file
        self._rows = csv.writer(file)
        self._fps = fps
        self._rows.writerow(
            ["frame", "time_s", "label", "probability", "raw_label", "raw_probability"]
            + [f"p_{label}" for label in labels]
        )

    def write(self, prediction: Prediction) -> None:
        """Append the row of a frame; times count from 0 at the constant frame rate."""
        self._rows.writerow(
            [
                prediction.frame,
                f"{prediction.frame / self._fps:.3f}",
                prediction.label,
                f"{prediction.averaged.max():.6f}",
                prediction.raw_label,
                f"{prediction.raw.max():.6f}",
                *(f"{probability:.6f}" for probability in prediction.averaged),
            ]
        )
        self._file.flush()


@contextmanager
def frame_table(path: Path, labels: Sequence[str], fps: float) -> Iterator[FrameTable]:
    """Give a table whose file stands at `path` once it is complete."""
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        yield FrameTable(file, labels, fps)


class ClipSummary:
    """Counts over the frames of a clip, in constant memory."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._sum = np.zeros(len(labels))
        self._shares: Counter[str] = Counter()
        self._changes = 0
        self._raw_changes = 0
        self._last: Prediction | None = None

    def add(self, prediction: Prediction) -> None:
        """Count one frame."""
        self._sum += prediction.raw
        self._shares[prediction.label] += 1
        if self._last is not None:
            self._changes += prediction.label != self._last.label
            self._raw_changes += prediction.raw_label != self._last.raw_label
        self._last = prediction

    @property
    def frames(self) -> int:
        """The number of frames counted."""
        return self._shares.total()

    @property
    def skipped(self) -> int:
        """The number of frames between those counted, and before the first."""
        return 0 if self._last is None else self._last.frame + 1 - self.frames

    def lines(self) -> list[str]:
        """Return the summary, a fact a line; at least one frame has to be counted."""
        mean = self._sum / self.frames
        best = int(mean.argmax())
        shares = ", ".join(
            f"{label} {count / self.frames:.1%}" for label, count in self._shares.most_common()
        )
        return [
            f"whole clip: {self._labels[best]}, mean probability {mean[best]:.3f}",
            f"frames per label: {shares}",
            f"label changes: {self._raw_changes} frame by frame, {self._changes} averaged",
        ]
