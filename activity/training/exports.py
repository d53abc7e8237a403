"""The files of tables, in the dialects of spreadsheets and annotation tools, as rows of cells."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from activity.errors import UserError, cannot_be_read, print_error
from activity.training.annotations import part_of
from activity.training.columns import meaning

DELIMITERS = ",;\t|"
HEADER = 200  # lines, in one of which the columns are named
ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # by their marks
CSV = "export it as CSV"
# By the first bytes of a file, or the ending of its name.
BINARY = {
    b"PK\3\4": f"is a spreadsheet or an archive; {CSV}, or unpack it",
    b"\xd0\xcf\x11\xe0": f"is an old spreadsheet; {CSV}",
    b"PAR1": f"is in Parquet; {CSV}",
}
ELAN = (
    "in ELAN, call the tier 'label', and choose File > Export As > Tab-delimited Text, with a "
    "separate column for each tier, which names the columns"
)
FOREIGN = {
    ".eaf": f"is ELAN's own file; {ELAN}", ".boris": "is a project of BORIS; in BORIS, choose "
    "Observations > Export events > Aggregated events, as CSV",
    ".srt": f"has subtitles; {CSV}", ".vtt": f"has subtitles; {CSV}",
    ".textgrid": f"is Praat's own file; {CSV}", ".html": f"is a web page; {CSV}",
}  # fmt: skip
BOXES = "has boxes; their labels are taken for those of whole pictures"
OWN = "is what predict_video.py itself found; open its --page, correct it, and name segments.csv"
# The media file in the first lines of ELAN's exports, and its offset in milliseconds.
MEDIA = re.compile(r'"?#(file:.+?) -- offset: (-?\d+)')


@dataclass(frozen=True)
class Sheet:
    """The cells of a table, each row with its place in the file."""

    header: list[str]
    rows: list[tuple[str, list[str]]]


def read_sheet(path: Path) -> Sheet:
    """Read a table in CSV, or an export in JSON or XML; raise `UserError` for anything else."""
    text = _read_text(path)
    start = text.lstrip()[:1]
    if start in "[{" and start:
        return _of_records(path, _from_json(path, text))
    if start == "<":
        return _of_records(path, _from_xml(path, text))
    return _from_csv(path, text)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise cannot_be_read(path, error) from error
    for begin, fault in BINARY.items():
        if content.startswith(begin):
            raise UserError(f"{path} {fault}")
    if (ending := path.suffix.lower()) in FOREIGN:
        raise UserError(f"{path} {FOREIGN[ending]}")
    encoding = ENCODINGS.get(content[:2], "utf-8-sig")
    # UTF-16 has a zero in each letter of ASCII, in the first or in the second byte.
    zeros = content[::2].count(0), content[1::2].count(0)
    if encoding == "utf-8-sig" and 20 * max(zeros) > len(content):
        encoding = "utf-16-le" if zeros[0] < zeros[1] else "utf-16-be"
    try:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            text = content.decode("cp1252")
            print_error("note", f"{path} is not in UTF-8; it is read in Windows' code page 1252")
        if re.search(r"[\0-\x08\x0e-\x1f]", text):
            raise ValueError
    except ValueError as error:
        raise UserError(f"{path} is no text; name a table in CSV") from error
    return text


def _from_csv(path: Path, text: str) -> Sheet:
    """Read the rows below the first line that names columns, for whichever delimiter it does."""
    lines = list(io.StringIO(text, newline=""))
    media, first, header, reader = "", 0, list[str](), csv.reader([""])
    try:
        for (first, line), delimiter in product(enumerate(lines[:HEADER]), DELIMITERS):
            if not media and (found := MEDIA.match(line)):
                media = found[1]
                if int(found[2]):
                    fault = f"line {first + 1}: ELAN moves this video by {found[2]} ms"
                    raise UserError(f"{path}, {fault}; export it without an offset")
            reader = csv.reader(lines[first:], delimiter=delimiter)
            header = [name.strip() for name in next(reader, [])]
            if {"time_s", "raw_label"} <= {*header} or {"raw_changes", "settings"} <= {*header}:
                raise UserError(f"{path} {OWN}")
            if _names_columns(header, media, lines[first + 1 : first + 2]):
                break
        else:
            raise _without_header(path, lines)
        rows = [
            (f"line {first + reader.line_num}", cells) for row in reader
            # Tables that were joined name their columns once more.
            if any(cells := [cell.strip() for cell in row]) and cells != header
        ]  # fmt: skip
    except csv.Error as error:
        fault = f"line {first + reader.line_num}: {error}"
        raise UserError(f"{path}, {fault}; correct it") from error
    if media and not any(_role(name) == "file" for name in header):
        header = [*header, "file"]
        width = len(header)
        rows = [(place, [*row, *[""] * (width - len(row) - 1), media]) for place, row in rows]
    if any(_is_json(cell) for _, row in rows for cell in row):  # Label Studio's
        records = ((place, dict(zip(header, row, strict=False))) for place, row in rows)
        return _of_records(path, _flat(path, records))
    return Sheet(header, rows)


def _names_columns(header: Sequence[str], media: str, following: Sequence[str]) -> bool:
    roles = {_role(name) for name in header}
    labelled = "label" in roles or any("[{" in line for line in following)
    return labelled and ("file" in roles or ("start" in roles and bool(media)))


def _role(name: str) -> str:
    found = meaning(name)
    return found.role if found else ""


def _without_header(path: Path, lines: Sequence[str]) -> UserError:
    """Say what is missing of the columns that a table needs."""
    if any(re.search(r"\t\d\d:\d\d:\d\d", line) for line in lines[:HEADER]):
        return UserError(f"{path} does not name its columns; do so in a first line; or {ELAN}")
    if any("-->" in line for line in lines[:HEADER]):
        return UserError(f"{path} {FOREIGN['.srt']}")
    names = (name for line in lines[:HEADER] for name in re.split(f"[{DELIMITERS}]", line))
    missing = "label" if any(_role(name) == "file" for name in names) else "file"
    return UserError(
        f"{path} has no column {missing!r}; it needs file and label, and for parts of videos start "
        "and end, in seconds"
    )


def _of_records(path: Path, records: Iterable[tuple[str, Mapping[str, Any]]]) -> Sheet:
    """Make a table of records, whose keys name its columns."""
    try:
        found = list(records)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        fault = "has another form than the exports of Label Studio, Create ML and CVAT"
        raise UserError(f"{path} {fault}; {CSV}, with columns file and label") from error
    header = list(dict.fromkeys(key for _, record in found for key in record))
    missing = {"file", "label"} - {_role(name) for name in header}
    if missing:
        raise UserError(
            f"{path} labels no files, or no stretches of videos (it has nothing that says the "
            f"{min(missing)}); {CSV}, with columns file and label"
        )
    rows = [
        (place, ["" if record.get(key) is None else str(record[key]) for key in header])
        for place, record in found
    ]
    return Sheet(header, rows)


def _from_json(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of Label Studio's JSON and JSON-MIN, of Create ML's, and of JSON lines."""
    try:
        try:
            found = json.loads(text)
        except ValueError:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged JSON ({error}); export it again") from error
    if isinstance(found, dict):
        if "segments" in found and "model" in found:
            raise UserError(f"{path} {OWN}")
        if "behaviors_conf" in found:
            raise UserError(f"{path} {FOREIGN['.boris']}")
        found = [found]
    records = [each for each in found if isinstance(each, dict)]
    return _flat(path, ((f"entry {n}", each) for n, each in enumerate(records, 1)))


def _flat(
    path: Path, records: Iterable[tuple[str, dict[str, Any]]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a record without parts for each region of a record; or the record, if it has none."""
    boxes = False
    for place, record in records:
        # Label Studio's tasks have what was labelled beside the work of each annotator.
        task = isinstance(record.get("data"), dict) and "annotations" in record
        data = record["data"] if task else record
        parts = {name: _parsed(value) for name, value in data.items()}
        plain = {n: value for n, value in parts.items() if not isinstance(value, dict | list)}
        nested = [value for value in parts.values() if isinstance(value, dict | list)]
        if task:
            done = (each for each in record["annotations"] if not each.get("was_cancelled"))
            nested = [each["value"] for work in done for each in work["result"]]
        regions = [region for value in nested for region in _regions(path, place, value)]
        regions += [
            {name: label} for name, value in parts.items() if _role(name) == "label"
            for label in (value if isinstance(value, list) else ()) if isinstance(label, str)
        ]  # fmt: skip
        for region in regions:
            boxes = region.pop("box", False) or boxes
            yield place, plain | region
        if not regions and not task:
            yield place, plain
    if boxes:
        print_error("note", f"{path} {BOXES}")


def _regions(path: Path, place: str, value: Any) -> Iterator[dict[str, Any]]:
    """Yield the labels in a part of a record, with the times that they are for."""
    if isinstance(value, list):
        for each in value:
            yield from _regions(path, place, each)
    elif isinstance(value, dict):
        if "sequence" in value:
            raise UserError(
                f"{path}, {place}: Label Studio's boxes in videos say where something is, not what "
                "the video shows; label with TimelineLabels or Choices"
            )
        [(kind, labels), *_] = [
            (name, each) for name, each in value.items()
            if name == "choices" or name.endswith("label") or name.endswith("labels")
        ] or [("", [])]  # fmt: skip
        times: list[dict[str, Any]] = [{}]
        if kind == "timelinelabels":  # which counts frames from one
            times = [
                {"start_frame": each["start"] - 1, "end_frame": each["end"]}
                for each in value["ranges"]
            ]
        elif "start" in value or "startTime" in value:
            names = {"start", "end", "startTime", "endTime"}
            times = [{n: each for n, each in value.items() if n in names}]
        elif kind and kind != "choices" and value.keys() != {kind}:
            times = [{"box": True}]
        for label in [labels] if isinstance(labels, str) else labels:
            for each in times:
                yield {"label": label} | each


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and _is_json(value) else value


def _is_json(cell: str) -> bool:
    if not cell.startswith(("[{", '{"')):
        return False
    try:
        json.loads(cell)
    except ValueError:
        return False
    return True


def _from_xml(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the records of CVAT's XML."""
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(f"{path} is damaged XML ({error}); export it again") from error
    if root.tag == "ANNOTATION_DOCUMENT":
        raise UserError(f"{path} {FOREIGN['.eaf']}")
    if root.tag != "annotations" or root.find("meta") is None:
        raise UserError(f"{path} is XML, but none of CVAT's; {CSV}")
    return _from_cvat(path, root)


def _from_cvat(path: Path, root: ElementTree.Element) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a record for each picture, or stretch of a video, that has a label."""
    source = root.findtext("meta//source")
    sources = {each.findtext("id"): each.findtext("source") for each in root.iter("task")}
    images = list(root.iter("image"))
    tags = any(image.find("tag") is not None for image in images)
    boxed = not tags and any("label" in shape.attrib for image in images for shape in image)
    if boxed or root.find("track") is not None:
        print_error("note", f"{path} {BOXES}")
    open_since: dict[tuple[str, str], int] = {}
    last: dict[str, int] = {}
    for image in images:
        labels = {
            shape.attrib["label"] for shape in image
            if "label" in shape.attrib and (shape.tag == "tag") == tags
        }  # fmt: skip
        subset = image.get("subset", "")
        part, rest = part_of(subset)
        video = sources.get(image.get("task_id"), source)
        # The identifier of a video's frame leaves out those that the task does.
        name = re.fullmatch(r"frame_(\d+)(?:\.\w+)?", image.get("name", ""))
        number = int(name[1] if name else image.attrib["id"])
        if not video:
            for label in sorted(labels):
                record = {"file": image.get("name"), "label": label}
                column = "split" if part and not rest else "subset of the task"
                yield f"image {number}", record | {column: subset}
            continue
        for place, label in list(open_since):
            if place == video and label not in labels:
                yield _stretch(video, label, open_since.pop((place, label)), number)
        for label in labels:
            open_since.setdefault((video, label), number)
        last[video] = number
    for (video, label), begin in open_since.items():
        yield _stretch(video, label, begin, last[video] + 1)
    for track in root.iter("track"):
        video = sources.get(track.get("task_id"), source)
        seen = list[int]()  # the frames since its object came into view
        for shape in [each for each in track if "frame" in each.attrib]:
            number = int(shape.attrib["frame"])
            if shape.get("outside") != "1":
                seen.append(number)
            elif seen:
                yield _stretch(video, track.get("label"), seen[0], number)
                seen = []
        if seen:
            yield _stretch(video, track.get("label"), seen[0], seen[-1] + 1)


def _stretch(
    video: str | None, label: str | None, begin: int, end: int
) -> tuple[str, dict[str, Any]]:
    record = {"file": video, "label": label, "start_frame": begin, "end_frame": end}
    return f"frame {begin}", record
