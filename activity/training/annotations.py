"""The label of a file or of a stretch of a video, and tables of such labels."""

import csv
import io
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from activity.errors import UserError, cannot_be_read
from activity.text import TABLE_ENCODING, cell_text

COLUMNS = ("file", "label", "start", "end", "split", "site")
TRAIN, TEST = "train", "test"
# What the parts of a split are called, as folders and in tables. Nothing here is chosen by looking
# at a validation part, so it tells as much about unseen pictures as a test part does.
PARTS = {
    "train": TRAIN, "training": TRAIN,
    "val": TEST, "valid": TEST, "validation": TEST, "test": TEST, "testing": TEST, "holdout": TEST,
}  # fmt: skip


@dataclass(frozen=True)
class Annotation:
    """The label of a picture, or of a video from `start` to `end`, in seconds."""

    path: Path
    label: str
    part: str | None = None  # TRAIN or TEST, if the user has split the data
    site: str | None = None  # what comes from one site stands in one part
    start: float = 0.0
    end: float | None = None  # None for the end of the video


def read_table(path: Path, folder: Path) -> list[Annotation]:
    """Read a CSV table with the columns file and label, and perhaps start, end, split and site.

    A file is looked for as it is named, beside the table and in `folder`. Without times a row is
    about the whole file. Raises `UserError` for a table that cannot be used.
    """
    try:
        text = path.read_text(encoding=TABLE_ENCODING)
    except OSError as error:
        raise cannot_be_read(path, error) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8; save it as CSV in UTF-8") from error
    # Spreadsheets separate by semicolons where numbers have a decimal comma.
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    lines = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    annotations = []
    try:
        lines.fieldnames = [name.strip().lower() for name in lines.fieldnames or ()]
        for name in ("file", "label"):
            if name not in lines.fieldnames:
                raise UserError(
                    f"{path} has no column {name!r}; it needs file and label, and for parts of "
                    "videos start and end, in seconds"
                )
        for line in lines:
            cells = (cell_text((line.get(name) or "").strip()) for name in COLUMNS)
            file, label, start_text, end_text, part, site = cells
            if not file:
                raise ValueError("it names no file")
            start = _seconds(start_text or "0")
            end = _seconds(end_text) if end_text else None
            if end is not None and end <= start:
                raise ValueError(f"end {end:g} is not after start {start:g}")
            part = part.lower()
            if part and part not in PARTS:
                raise ValueError(f"split {part!r} is none of {', '.join(PARTS)}")
            places = [place / file for place in (Path(), path.parent, folder)]
            found = next(filter(os.path.isfile, places), places[0])
            annotations.append(Annotation(found, label, PARTS.get(part), site or None, start, end))
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}, line {lines.line_num}: {error}; correct it") from error
    # Not pathlib: that raises where a name is too long.
    if not any(os.path.isfile(each.path) for each in annotations):  # noqa: PTH113
        example = f", such as {annotations[0].path}" if annotations else ""
        raise UserError(f"{path} names no file that is there{example}; correct it")
    return annotations


def _seconds(text: str) -> float:
    """Return the time in a cell; raise `ValueError` for anything else."""
    with suppress(ValueError):
        if 0 <= (seconds := float(text.replace(",", "."))) < math.inf:
            return seconds
    raise ValueError(f"{text!r} is no time in seconds")
