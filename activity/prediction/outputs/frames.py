"""A CSV table with a row for each frame, as spreadsheets open it."""

import csv
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from activity.files import atomic_write, check_output
from activity.prediction.observation import Prediction
from activity.prediction.output import PARTS, Gatherer, Names, Output
from activity.prediction.result import Result
from activity.text import TABLE_ENCODING, spreadsheet_cell
from activity.video.reader import Frame


class FrameTable(Output):
    """A row for each frame, written as the frames come."""

    name = "csv"
    help = "table with a row for each frame; for more than one clip a folder, or one table of all"
    endings: ClassVar = (".csv",)

    @classmethod
    def place(cls, given: Path, source: str, name: str, several: bool) -> Path:
        """Return the path of a clip's table, or of its part of one table of all clips."""
        shared = several and given.suffix.lower() in cls.endings
        return Path(super().place(_parts_of(given) if shared else given, source, name, several))

    @classmethod
    def gatherer(cls, given: Path, labels: Names, several: bool, names: Names) -> Gatherer | None:
        """Return what makes one table of all clips, if a file is given for several."""
        shared = several and given.suffix.lower() in cls.endings
        return FrameTableOfClips(given, names) if shared else None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Write rows; the table stands at its path once it is complete."""
        with (
            atomic_write(self.path) as partial,
            partial.open("w", newline="", encoding=TABLE_ENCODING) as self._file,
        ):
            self._rows = csv.writer(self._file)
            self._rows.writerow([
                "frame", "time_s", "label", "probability", "raw_label", "raw_probability",
                "smoothing", *(f"p_{label}" for label in self.labels),
            ])  # fmt: skip
            yield

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Append the row of a frame."""
        self._rows.writerow([
            frame.number, f"{frame.time:.3f}",
            spreadsheet_cell(prediction.label), f"{prediction.smoothed.max():.6f}",
            spreadsheet_cell(prediction.raw_label), f"{prediction.raw.max():.6f}",
            self.clip.settings.smoother.title, *(f"{each:.6f}" for each in prediction.smoothed),
        ])  # fmt: skip
        self._file.flush()


class FrameTableOfClips:
    """Makes one table of those of the clips, with the clip in a first column."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        check_output(path)
        self.path = path
        self._order = {name: place for place, name in enumerate(names)}
        self._parts: list[tuple[int, str, Path]] = []
        self._failed: list[str] = []

    def add(self, name: str, result: Result, path: Path) -> None:
        """Take in a clip."""
        clip = spreadsheet_cell(result.clip)
        if path.exists():
            self._parts.append((self._order[name], clip, path))
        elif result.error:
            self._failed.append(clip)

    def finish(self, goes_on: bool = False) -> None:
        """Write the table, and remove the parts; rows of other clips stay if the run `goes_on`."""
        replaced = {*self._failed, *(clip for _, clip, _ in self._parts)}
        with (
            atomic_write(self.path) as partial,
            partial.open("w", newline="", encoding=TABLE_ENCODING) as file,
        ):
            rows = csv.writer(file)
            head: list[str] = []
            for row in _rows(self.path) if goes_on and self.path.exists() else ():
                if not head or row[0] not in replaced:
                    rows.writerow(row)
                head = head or row
            for _, clip, path in sorted(self._parts):
                part = _rows(path)
                columns = ["clip", *next(part)]
                if not head:
                    rows.writerow(columns)
                head = columns
                rows.writerows([clip, *row] for row in part)
        shutil.rmtree(_parts_of(self.path), ignore_errors=True)


def _parts_of(path: Path) -> Path:
    return path.with_name(f".{path.name}{PARTS}")


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(newline="", encoding=TABLE_ENCODING) as file:
        yield from csv.reader(file)
