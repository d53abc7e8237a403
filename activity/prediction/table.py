"""CSV tables, as spreadsheets open them: a row for each frame, or a row for each clip."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from activity.files import written_whole
from activity.prediction.smoothing import Prediction
from activity.video.reader import Frame
from activity.video.sources import shown

if TYPE_CHECKING:
    from activity.prediction.report import ClipResult


class FrameTable:
    """Writes one CSV row a frame, as the frames come; made by `frame_table`."""

    def __init__(self, file: TextIO, labels: Sequence[str], smoother: str, several: bool) -> None:
        self._file, self._smoother = file, smoother
        self._rows = csv.writer(file)
        self._clip: list[str] = []  # the first cell of a row, of several clips
        self._rows.writerow(
            ["clip"] * several
            + [
                "frame",
                "time_s",
                "label",
                "probability",
                "raw_label",
                "raw_probability",
                "smoothing",
            ]
            + [f"p_{label}" for label in labels]
        )

    def begin(self, source: str) -> None:
        """Announce the next of several clips."""
        self._clip = [_cell(shown(source))]

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Append the row of a frame."""
        self._rows.writerow(
            [
                *self._clip,
                frame.number,
                f"{frame.time:.3f}",
                _cell(prediction.label),
                f"{prediction.smoothed.max():.6f}",
                _cell(prediction.raw_label),
                f"{prediction.raw.max():.6f}",
                self._smoother,
                *(f"{probability:.6f}" for probability in prediction.smoothed),
            ]
        )
        self._file.flush()


class ClipTable:
    """Writes one CSV row a clip; made by `clip_table`."""

    def __init__(self, file: TextIO, labels: Sequence[str]) -> None:
        self._file = file
        self._rows = csv.writer(file)
        head = [
            "clip", "label", "probability", "frames", "start_s", "end_s",
            "raw_changes", "smoothed_changes", "smoothing", *(f"p_{label}" for label in labels),
            "video", "remarks",
        ]  # fmt: skip
        self._rows.writerow(head)
        self._columns = len(head)

    def add(self, result: "ClipResult") -> None:
        """Append the row of a clip that was labelled."""
        summary = result.summary
        self._write(
            result.clip,
            summary.label,
            f"{summary.probability:.6f}",
            str(summary.frames),
            f"{summary.segments[0].start:.3f}",
            f"{summary.segments[-1].end:.3f}",
            str(summary.raw_changes),
            str(summary.changes),
            summary.smoother,
            *(f"{probability:.6f}" for probability in summary.mean_probabilities),
            str(result.video or ""),
            result.remarks,
        )

    def fail(self, clip: str, error: str) -> None:
        """Append the row of a clip that could not be labelled."""
        self._write(clip, *[""] * (self._columns - 2), error)

    def _write(self, *cells: str) -> None:
        self._rows.writerow(map(_cell, cells))
        self._file.flush()


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


@contextmanager
def _table(path: Path) -> Iterator[TextIO]:
    # Excel takes a table for UTF-8 only if it begins with a mark.
    with (
        written_whole(path) as partial,
        partial.open("w", newline="", encoding="utf-8-sig") as file,
    ):
        yield file


@contextmanager
def frame_table(
    path: Path, labels: Sequence[str], smoother: str, several: bool = False
) -> Iterator[FrameTable]:
    """Give a table, of one clip or of several, whose file stands at `path` once it is complete."""
    with _table(path) as file:
        yield FrameTable(file, labels, smoother, several)


@contextmanager
def clip_table(path: Path, labels: Sequence[str]) -> Iterator[ClipTable]:
    """Give a table whose file stands at `path` once it is complete."""
    with _table(path) as file:
        yield ClipTable(file, labels)
