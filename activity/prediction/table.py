"""A CSV table with a row for each frame."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from activity.files import written_whole
from activity.prediction.reader import Frame
from activity.prediction.smoothing import Prediction


class FrameTable:
    """Writes one CSV row a frame, as the frames come; made by `frame_table`."""

    def __init__(self, file: TextIO, labels: Sequence[str]) -> None:
        self._file = file
        self._rows = csv.writer(file)
        self._rows.writerow(
            ["frame", "time_s", "label", "probability", "raw_label", "raw_probability"]
            + [f"p_{label}" for label in labels]
        )

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Append the row of a frame."""
        self._rows.writerow(
            [
                frame.number,
                f"{frame.time:.3f}",
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
def frame_table(path: Path, labels: Sequence[str]) -> Iterator[FrameTable]:
    """Give a table whose file stands at `path` once it is complete."""
    with written_whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        yield FrameTable(file, labels)
