"""Which label a file has, or a stretch of a video, and tables of such labels."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from activity.errors import UserError, cannot_be_read

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
    part: str | None = None  # TRAIN or TEST, where somebody says so
    site: str | None = None  # what comes from one site stands in one part
    start: float = 0.0
    end: float | None = None  # None for the end of the video


def read_table(path: Path, folder: Path) -> list[Annotation]:
    """Read a CSV table with the columns file and label, and if wanted start, end, split and site.

    A file is looked for as it is named, beside the table and in `folder`. Without times a row is
    about the whole file. Raises `UserError` for a table that cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise cannot_be_read(path, error) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8; save it as CSV in UTF-8", path) from error
    first = text.partition("\n")[0]
    # Spreadsheets write semicolons where a comma stands in numbers.
    lines = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in first else ",")
    annotations = []
    try:
        names = {name.strip().lower(): name for name in lines.fieldnames or []}
        for name in ("file", "label"):
            if name not in names:
                raise UserError(
                    f"{path} has no column {name!r}; it needs file and label, and for parts of "
                    "videos start and end, in seconds",
                    path,
                )
        for line in lines:
            cells = {name: _text(line[column]) for name, column in names.items()}
            annotations.append(_annotation(cells, path.parent, folder))
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}, line {lines.line_num}: {error}; correct it", path) from error
    if not any(annotation.path.is_file() for annotation in annotations):
        example = f", such as {annotations[0].path}" if annotations else ""
        raise UserError(f"{path} names no file that is there{example}; correct it", path)
    return annotations


def _annotation(cells: dict[str, str], *folders: Path) -> Annotation:
    """Make it of the cells of a row; raise `ValueError` where one of them cannot be."""
    if not cells["file"]:
        raise ValueError("it names no file")
    path = Path(cells["file"])
    places = [path, *(folder / path for folder in folders)]
    start, end = _seconds(cells.get("start", "")), _seconds(cells.get("end", ""))
    if end is not None and end <= (start or 0.0):
        raise ValueError(f"end {end:g} is not after start {start or 0.0:g}")
    part = cells.get("split", "").lower()
    if part and part not in PARTS:
        raise ValueError(f"split {part!r} is none of {', '.join(PARTS)}")
    return Annotation(
        next((place for place in places if place.is_file()), path),
        cells["label"],
        PARTS.get(part),
        cells.get("site") or None,
        start or 0.0,
        end,
    )


def _text(cell: str | None) -> str:
    """Return the text of a cell without the apostrophe that keeps a spreadsheet from running it."""
    text = (cell or "").strip()
    return text[1:] if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@") else text


def _seconds(text: str) -> float | None:
    """Return a time, None where there is none; raise `ValueError` for what is none."""
    if not text:
        return None
    try:
        seconds = float(text.replace(",", "."))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{text!r} is no time in seconds")
    return seconds
