"""Tables of labels: which files, or which parts of videos, show what."""

import math
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from activity.errors import SourceError, UserError, print_error
from activity.folders import files_below
from activity.streams import parallel_map
from activity.text import cell_text
from activity.training.annotations import TEST, TRAIN, Annotation, part_of
from activity.training.columns import FRAMES, NOTHING, STATUS, Columns, find_columns, time_in
from activity.training.exports import Sheet, read_sheet
from activity.training.footage import Extent, extent
from activity.video.content import PICTURE_ENDINGS, VIDEO_ENDINGS, kind_of
from activity.video.sources import is_address

# Seconds. Tools round the end of a video, and a label may end a little after the next one begins.
ROUNDING, OVERLAP = 1.0, 0.1
A_BIT = 0.001  # seconds, the precision of the times of frames
MOST_NAMES = 6
WINDOWS = re.compile(r"/?[A-Za-z]:/")
ELAN = ".eaf"  # the ending of its files, which are called as their videos
UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before a file's name


@dataclass(frozen=True)
class _Row:
    """A row as it stands in the table; its times are seconds or frames."""

    place: str
    names: tuple[str, ...]  # of the file
    label: str
    start: float
    end: float | None
    part: str | None
    site: str | None
    fps: float | None  # as the tool that counted the frames has it


def read_table(path: Path, folder: Path) -> list[Annotation]:
    """Read a table with a column for the file, one for the label, and perhaps others.

    A file is looked for as it is named, beside the table and in `folder`; one of another machine
    also by the end of its path. Without times a row is about the whole file. Raises `UserError`
    for a table that cannot be used, and says what in it is not used.
    """
    sheet = read_sheet(path)
    try:
        columns = find_columns(sheet.header, [cells for _, cells in sheet.rows])
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    if columns.unused:
        names, others = columns.unused[:MOST_NAMES], columns.unused[MOST_NAMES:]
        rest = f" and {len(others)} more" if others else ""
        print_error("note", f"{path} has columns that are not used: {', '.join(names)}{rest}")
    rows = list(_rows(path, sheet, columns))
    files = _Files(path.parent, folder)
    paths = [files.find(row.names) for row in rows]
    _require_files(path, rows, paths)
    if files.moved:
        name, found = next(iter(files.moved.items()))
        more = f", and {len(files.moved) - 1} more likewise" if len(files.moved) > 1 else ""
        print_error("note", f"{path}: {name} is taken to be {found}{more}")
    in_frames = any(time.unit == FRAMES for time in columns.times)
    annotations = list(_in_seconds(path, rows, paths, in_frames))
    if moments := sum(row.start == row.end for row in rows):
        what = f"{moments} of {len(rows)} rows begin and end at the same time"
        print_error("note", f"{path}: {what}; the frame of that time is taken")
    return annotations


def say_overlaps(annotations: Iterable[Annotation]) -> None:
    """Warn of files, and stretches of videos, that have two labels: once for each two labels."""
    rows_of = defaultdict[str, list[Annotation]](list)
    for row in annotations:
        rows_of[os.path.realpath(row.path)].append(row)
    found = defaultdict[tuple[str, ...], list[str]](list)
    for rows in rows_of.values():
        going_on: list[tuple[float, str]] = []
        for row in sorted(rows, key=lambda row: row.start):
            end = math.inf if row.end is None else row.end
            going_on = [each for each in going_on if each[0] > row.start]
            for other_end, label in going_on:
                until = min(end, other_end)
                if label != row.label and until > row.start + OVERLAP:
                    to = "the end" if until == math.inf else f"{until:.2f} s"
                    when = f" from {row.start:.2f} s to {to}" if row.start or end < math.inf else ""
                    found[tuple(sorted((label, row.label)))].append(f"{row.path}{when}")
            going_on.append((end, row.label))
    for (label, other), places in found.items():
        more = f", and {len(places) - 1} more" if len(places) > 1 else ""
        print_error("warning", f"labelled both {label!r} and {other!r}: {places[0]}{more}")


@contextmanager
def _in(path: Path, place: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UserError(f"{path}, {place}: {error}; correct it") from error


def _rows(path: Path, sheet: Sheet, columns: Columns) -> Iterator[_Row]:
    """Yield the rows, and for rows that begin and end events one for each event."""
    begun = defaultdict[tuple[object, str], list[_Row]](list)
    for place, cells in sheet.rows:
        with _in(path, place):
            if any(cells[len(sheet.header) :]):
                raise ValueError("it has more cells than there are columns")
            cells += [""] * (len(sheet.header) - len(cells))
            row = _row(columns, place, cells)
            if columns.status is None:
                yield row
                continue
            status = STATUS.fullmatch(cells[columns.status])
            waiting = begun[row.names, row.label]
            if not status:
                raise ValueError("it does not say whether the event begins or ends")
            if status[1].lower() == "start":
                waiting.append(row)
            elif status[1].lower() == "point":
                yield replace(row, end=row.start)
            elif not waiting:
                raise ValueError(f"{row.label!r} ends, but did not begin")
            else:
                yield replace(waiting.pop(0), end=row.start)
    for row in (row for rows in begun.values() for row in rows):
        with _in(path, row.place):
            raise ValueError(f"{row.label!r} begins, but does not end")


def _row(columns: Columns, place: str, cells: Sequence[str]) -> _Row:
    names = [cell_text(cells[each]) for each in columns.files]
    names = [name for name in names if not NOTHING.fullmatch(name)]
    if not names:
        raise ValueError("it names no file")
    start, end, duration = (
        time_in(cells[time.place], time.unit) if time else None
        for time in (columns.start, columns.end, columns.duration)
    )
    start = start or 0.0
    end = start + duration if duration is not None else end
    if end is not None and end < start:
        raise ValueError(f"end {end:g} is before start {start:g}")
    split, site, fps = (
        "" if each is None else cells[each] for each in (columns.split, columns.site, columns.fps)
    )
    part, rest = part_of(split)
    if split and (rest or not part):
        raise ValueError(f"split {split!r} is none of train, val and test")
    rate = time_in(fps, FRAMES) if fps and FRAMES in (time.unit for time in columns.times) else None
    label = cell_text(cells[columns.label])
    return _Row(place, tuple(names), label, start, end, part, cell_text(site) or None, rate)


class _Files:
    """Finds the files that a table names; `moved` has those of other machines."""

    def __init__(self, *places: Path) -> None:
        self.moved: dict[str, Path] = {}
        self._places = [Path(), *places]
        self._known: dict[tuple[str, ...], Path] = {}
        self._named: dict[str, list[Path]] | None = None  # files of the last place, by their names

    def find(self, names: tuple[str, ...]) -> Path:
        """Return the first of the files that is there, else the first one."""
        if names not in self._known:
            found = filter(None, (self._there(name) or self._elsewhere(name) for name in names))
            self._known[names] = next(found, Path(names[0]))
        return self._known[names]

    def _elsewhere(self, name: str) -> Path | None:
        """Return the file that has another path here, or another ending."""
        stem, ending = os.path.splitext(name)  # noqa: PTH122 (it need not be a path)
        endings = sorted(VIDEO_ENDINGS | PICTURE_ENDINGS)
        others = [] if ending.lower() in endings else endings
        stem = stem if ending.lower() == ELAN else name
        found = filter(None, map(self._find, (name, *(stem + other for other in others))))
        if path := next(found, None):
            self.moved[name] = path
        return path

    def _find(self, name: str) -> Path | None:
        text, is_foreign = _local(name)
        if found := self._there(text):
            return found
        *above, last = PurePosixPath(f"/{text}").parts[1:] or [""]
        ends = dict.fromkeys((last, UPLOAD.sub("", last, count=1))) if is_foreign else (last,)
        # Only another machine's folders may be called otherwise here.
        firsts = range(len(above) + 1 if is_foreign else 1)
        tails = [(*above[first:], end) for end in ends for first in firsts]
        places = (self._there("/".join(tail)) or self._below(tail) for tail in tails)
        return next(filter(None, places), None)

    def _there(self, name: str) -> Path | None:
        # Not pathlib: that raises where a name is too long.
        places = (place / name for place in self._places)
        return next(filter(os.path.isfile, places), None)

    def _below(self, tail: tuple[str, ...]) -> Path | None:
        """Return the file at any depth whose path ends so, if there is just one."""
        if self._named is None:
            self._named = defaultdict(list)
            for path in files_below(self._places[-1]):
                self._named[_spelling(path.name)].append(path)
        named = self._named.get(_spelling(tail[-1]), [])
        wanted = _spelling("/".join(tail))
        same = [path for path in named if _spelling("/".join(path.parts[-len(tail) :])) == wanted]
        return same[0] if len(same) == 1 else None


def _local(name: str) -> tuple[str, bool]:
    """Return the path in an address, or in Windows' spelling, and if another machine may have it.

    Label Studio has paths in the query of an address.
    """
    address = urlsplit(name) if is_address(name) or name.startswith("/data/") else None
    query = parse_qs(address.query).get("d") if address else None
    path = query[0] if query else unquote(address.path) if address else name
    path = path.replace("\\", "/")
    plain = WINDOWS.sub("", path, count=1) if WINDOWS.match(path) else path
    return plain, plain != path or bool(address) or path.startswith("/")


def _spelling(name: str) -> str:
    """Return a name as Windows and Macs compare it."""
    return unicodedata.normalize("NFC", name).casefold()


def _require_files(path: Path, rows: Sequence[_Row], paths: Sequence[Path]) -> None:
    """Raise `UserError` if all files of the table, or of a part of the split, are missing."""
    missing = [not os.path.isfile(each) for each in paths]  # noqa: PTH113 (see above)
    if all(missing):
        such_as = f", such as {paths[0]}" if paths else ""
        raise UserError(f"{path} names no file that is there{such_as}; correct it")
    for part in (TRAIN, TEST):
        of_part = [place for place, row in enumerate(rows) if row.part == part]
        if of_part and all(missing[place] for place in of_part):
            fault = f"names no file of the {part} part that is there, such as {paths[of_part[0]]}"
            raise UserError(f"{path} {fault}; correct it")
    if any(missing):
        count = f"{sum(missing)} of {len(rows)} rows"
        example = paths[missing.index(True)]
        fault = f"{count} name files that are not there, such as {example}"
        print_error("warning", f"{path}: {fault}")


def _in_seconds(
    path: Path, rows: Sequence[_Row], paths: Sequence[Path], in_frames: bool
) -> Iterator[Annotation]:
    """Yield the annotations, with times that are in their videos."""
    timed = [
        each for row, each in zip(rows, paths, strict=True) if row.start or row.end is not None
    ]
    files = [each for each in dict.fromkeys(timed) if os.path.isfile(each)]  # noqa: PTH113
    extents = dict(zip(files, parallel_map(_extent, files), strict=True))
    late = []
    for row, file in zip(rows, paths, strict=True):
        start, end = row.start, row.end
        with _in(path, row.place):
            if (start or end is not None) and (known := extents.get(file)):
                start, last = _within(row, file, known, in_frames)
                end = None if last is None else min(last, known.end)
                if last is not None and last > known.end + ROUNDING:
                    late.append(f"at {last:g} s of {file}, which is {known.end:.1f} s long")
            elif (start or end) and file in extents and kind_of(file) == "picture":
                raise ValueError(f"it has times, but {file} is a picture")
        yield Annotation(file, row.label, row.part, row.site, start, end)
    if late:
        count = f"{len(late)} of {len(rows)} rows"
        print_error("warning", f"{path}: {count} end after their video, such as {late[0]}")


def _extent(file: Path) -> Extent | None:
    """Return when a video begins and ends; None for what is none, or does not decode."""
    try:
        return extent(file) if kind_of(file) == "video" else None
    except SourceError:
        return None  # dataset.load says so


def _within(row: _Row, file: Path, video: Extent, in_frames: bool) -> tuple[float, float | None]:
    """Return a row's start and end in seconds; raise `ValueError` if most of it is not in it."""
    start, end = row.start, row.end
    if in_frames:
        if not row.fps and not video.is_constant:
            fault = "has no constant frame rate, which frame numbers need"
            raise ValueError(f"{file} {fault}; give seconds, or the rate in a column fps")
        rate = row.fps or video.fps
        start = video.start + start / rate
        end = None if end is None else video.start + end / rate
    last = start if end is None else end
    # A row that begins in the video and ends a little later is one of the whole rest.
    if start >= video.end or last - video.end > max(ROUNDING, (last - start) / 2):
        fault = f"{file} has no frame at {last:g} s, it is {video.end:.1f} s long"
        units = "columns start_frame and end_frame have frames, start_ms and end_ms milliseconds"
        raise ValueError(fault if in_frames else f"{fault}; are these seconds? ({units})")
    if end == start:  # the frame that is seen then, which began at most so long ago
        start = max(start, video.start)
        return max(0.0, start - 1 / video.fps + A_BIT), start + A_BIT
    if end is not None and end <= video.start:
        raise ValueError(f"{file} has no frame at {end:g} s, it begins at {video.start:.1f} s")
    return start, end
