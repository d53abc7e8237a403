"""What a run says about a clip: a row a frame, and a summary at the end."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from activity.artifacts import written_whole
from activity.cli import printable

UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Prediction:
    """What is known about one frame."""

    frame: int  # its number in the clip, from 0
    label: str  # of the largest averaged probability, or UNCERTAIN
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

    def add(self, prediction: Prediction) -> None:
        """Append the row of a frame; times count from 0 at the constant frame rate."""
        self._rows.writerow(
            [
                prediction.frame,
                f"{prediction.frame / self._fps:.3f}",
                _cell(prediction.label),
                f"{prediction.averaged.max():.6f}",
                _cell(prediction.raw_label),
                f"{prediction.raw.max():.6f}",
                *(f"{probability:.6f}" for probability in prediction.averaged),
            ]
        )
        self._file.flush()


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


@contextmanager
def frame_table(path: Path, labels: Sequence[str], fps: float) -> Iterator[FrameTable]:
    """Give a table whose file stands at `path` once it is complete."""
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        yield FrameTable(file, labels, fps)


@dataclass(frozen=True)
class Segment:
    """A stretch of frames with the same label."""

    label: str
    start: float  # seconds
    end: float
    frames: int
    mean_probability: float  # the largest averaged one of each frame


class ClipSummary:
    """What the frames of a clip add up to; its memory grows with the label changes only."""

    def __init__(self, labels: Sequence[str], fps: float) -> None:
        self._labels = labels
        self._fps = fps
        self._sum = np.zeros(len(labels))
        self._shares: Counter[str] = Counter()
        self.raw_changes = 0
        self.skipped = 0  # frames that were dropped between those counted
        self._finished: list[Segment] = []
        self._first: Prediction | None = None  # of the segment that goes on
        self._last: Prediction | None = None
        self._segment_frames = 0
        self._segment_sum = 0.0

    def add(self, prediction: Prediction) -> None:
        """Count one frame."""
        if self._first is None or self._last is None:
            self._first = prediction
        else:
            self.skipped += prediction.frame - self._last.frame - 1
            self.raw_changes += prediction.raw_label != self._last.raw_label
            if prediction.label != self._last.label:
                self._finished.append(self._segment(prediction.frame))
                self._first, self._segment_frames, self._segment_sum = prediction, 0, 0.0
        self._last = prediction
        self._sum += prediction.raw
        self._shares[prediction.label] += 1
        self._segment_frames += 1
        self._segment_sum += float(prediction.averaged.max())

    def _segment(self, end: int) -> Segment:
        assert self._first is not None
        return Segment(
            self._first.label,
            round(self._first.frame / self._fps, 3),
            round(end / self._fps, 3),
            self._segment_frames,
            round(self._segment_sum / self._segment_frames, 6),
        )

    @property
    def frames(self) -> int:
        """The number of frames counted."""
        return self._shares.total()

    @property
    def segments(self) -> list[Segment]:
        """The stretches of equal labels, in order."""
        if self._last is None:
            return []
        return [*self._finished, self._segment(self._last.frame + 1)]

    @property
    def label(self) -> str:
        """The class of the largest mean probability over the whole clip."""
        return self._labels[int(self._sum.argmax())]

    @property
    def probability(self) -> float:
        """The mean probability of that class; at least one frame has to be counted."""
        return float(self._sum.max() / self.frames)

    @property
    def changes(self) -> int:
        """How often the averaged label changed."""
        return len(self._finished)

    def record(self) -> dict[str, Any]:
        """Return the summary as it stands in the JSON report."""
        return {
            "frames": self.frames,
            "whole_clip": {
                "label": self.label,
                "mean_probabilities": {
                    label: round(float(total / self.frames), 6)
                    for label, total in zip(self._labels, self._sum, strict=True)
                },
            },
            "share_of_frames": {
                label: round(count / self.frames, 6) for label, count in self._shares.most_common()
            },
            "label_changes": {"frame_by_frame": self.raw_changes, "averaged": self.changes},
            "segments": [asdict(segment) for segment in self.segments],
        }

    def lines(self) -> list[str]:
        """Return the summary, a fact a line; at least one frame has to be counted."""
        shares = ", ".join(
            f"{label} {count / self.frames:.1%}" for label, count in self._shares.most_common()
        )
        return [
            f"whole clip: {self.label}, mean probability {self.probability:.3f}",
            f"frames per label: {shares}",
            f"label changes: {self.raw_changes} frame by frame, {self.changes} averaged",
        ]


class Report(Protocol):
    """What takes in the prediction of one frame after the other."""

    def add(self, prediction: Prediction) -> None:
        """Take in one frame."""


@dataclass(frozen=True)
class ClipResult:
    """What a run has to say about one clip."""

    clip: str
    video: Path
    summary: ClipSummary
    seconds: float
    notes: Sequence[str]  # what a user may not expect

    @property
    def rate(self) -> float:
        """Frames/s, from the first to the last."""
        return self.summary.frames / self.seconds

    def text(self) -> str:
        """Return it with a fact a line."""
        first = f"{printable(self.video)}: {self.summary.frames} frames, {self.rate:.1f} frames/s"
        return "\n".join([first, *self.notes, *self.summary.lines()])


class SummaryTable:
    """A line for each of several clips; columns are as wide as the names that may come."""

    def __init__(self, clips: Sequence[str], labels: Sequence[str]) -> None:
        self._clip = max(map(len, ["clip", *map(printable, clips)]))
        self._label = max(map(len, ["label", *labels]))
        self._headed = False

    def row(self, result: ClipResult) -> str:
        """Return the line of a clip, under a heading if it is the first."""
        summary = result.summary
        line = (
            f"{printable(result.clip):{self._clip}}  {summary.label:{self._label}}"
            f"  {summary.probability:11.3f}  {summary.raw_changes:11d}  {summary.changes:16d}"
            f"  {summary.frames:7d}  {result.rate:8.1f}  {printable(result.video)}"
        )
        if result.notes:
            line += f" ({'; '.join(result.notes)})"
        if not self._headed:
            self._headed = True
            head = (
                f"{'clip':{self._clip}}  {'label':{self._label}}"
                "  probability  raw changes  averaged changes   frames  frames/s  video"
            )
            line = f"{head}\n{line}"
        return line
