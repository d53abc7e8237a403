"""Pages for a browser: a clip with its curves and segments to be corrected, and an index of clips.

A page is its data and one script, which it allows by digest: no name of a clip or class can be one.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any, ClassVar
from urllib.parse import quote

import numpy as np

from activity.errors import UserError
from activity.files import atomic_write, check_output
from activity.prediction.curves import OTHERS, PALETTE, Curves
from activity.prediction.output import Gatherer, Names
from activity.prediction.outputs.report import report
from activity.prediction.outputs.video import Video
from activity.prediction.result import Result
from activity.quiet.opencv import cv2
from activity.text import printable
from activity.video.reader import VideoReader
from activity.video.sources import OWN_MARK, is_picture, source_title

PAGES = Path(__file__).with_name("pages")
MEDIA = {"clip": "media-src *; img-src *", "index": "img-src *"}  # what a page may load
THEMED = {"#000000": "currentColor"}  # black is not seen on a dark ground
INDEX = "index"  # the name of the index, which no clip's page may have
BAND = 120  # pieces of a clip's band in the index
PICTURE_WIDTH, PHOTO_WIDTH, PICTURE_QUALITY = 192, 512, 70


class Page(Curves):
    """The page of a clip; of several clips there is an index, too."""

    name = "page"
    help = (
        "page for a browser: the clip, the probabilities under it, and the segments, to be "
        "corrected and handed on as a table; for more than one clip a folder, with an index"
    )
    endings: ClassVar = (".html", ".htm")

    @classmethod
    def gatherer(cls, given: Path, labels: Names, several: bool, names: Names) -> Gatherer | None:
        """Return what makes the index of several clips."""
        return Index(given / f"{INDEX}{cls.endings[0]}", labels) if several else None

    def finish(self, result: Result) -> None:
        """Write the page, and the picture that an index shows of the clip.

        The page plays the annotated video, if there is one, or the clip, of which browsers show the
        usual track.
        """
        annotated, is_photo = result.outputs.get(Video.name), is_picture(self.clip.source)
        video = Path(annotated or self.clip.source)
        played: dict[str, Any] | None = None
        shown = annotated or not self.clip.settings.track
        if shown and os.path.isfile(video):  # noqa: PTH113 (pathlib raises where a name is too long)
            begin = self.clip.begin(result.start) if annotated else 0.0
            played = {"address": address(video, self.path), "name": video.name, "begin": begin}
            if self.clip.several or is_photo:
                _save_picture(result, video, begin, picture_of(self.path))
        times, lowest, highest, smoothed = self.columns()
        kinds = {"low": lowest, "high": highest, "smoothed": smoothed}
        curves = []
        for label, colour in self.colours(result.segments).items():
            index = self.labels.index(label)
            values = {kind: each[:, index].round(3).tolist() for kind, each in kinds.items()}
            curves.append({"label": label, "colour": THEMED.get(colour, colour), **values})
        record = report(self.clip, result)
        _write_page("clip", self.path, source_title(self.clip.source), {
            "file": result.clip, "video": played, "start": result.start, "end": result.end,
            "photo": address(picture_of(self.path), self.path) if is_photo else None,
            "fps": result.fps, "smoother": result.smoothing, "segments": record["segments"],
            "labels": self.labels, "others": len(self.labels) - len(curves),
            "times": times.round(3).tolist(), "curves": curves, "facts": list(_facts(record)),
        })  # fmt: skip


class Index:
    """A page with a row for each clip, in the order of their names."""

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        check_output(path)
        self.path = path
        colours = zip(labels, PALETTE, strict=False)
        self._colours = {label: THEMED.get(colour, colour) for label, colour in colours}
        self._rows: list[dict[str, Any]] = []

    def add(self, name: str, result: Result, path: Path) -> None:
        """Add the row of a clip, whose page stands at `path` if it could be labelled."""
        ends = [segment.end for segment in result.segments]
        middles = np.linspace(result.start, result.end, 2 * BAND + 1)[1::2] if ends else ()
        pieces = (result.segments[place].label for place in np.searchsorted(ends, middles))
        picture = picture_of(path)
        facts = {
            "page": address(path, self.path),
            "probability": round(result.probability, 6),
            "changes": None if result.is_still else round(result.changes_per_minute, 3),
            "seconds": None if result.is_still else round(result.end - result.start, 3),
            "picture": address(picture, self.path) if picture.is_file() else None,
        }
        band = [(len(list(piece)), label) for label, piece in groupby(pieces)]
        remarks = result.error or result.remarks
        row = {"name": name, "label": result.label, "band": band, "remarks": remarks}
        self._rows.append({**row, **(dict.fromkeys(facts) if result.error else facts)})

    def finish(self, goes_on: bool = False) -> str:
        """Write the page; return where it is."""
        self._rows.sort(key=lambda row: row["name"])
        lengths = [row["seconds"] for row in self._rows if row["page"]]
        unit = "photo" if lengths and not any(lengths) else "clip"
        title = f"One {unit}" if len(self._rows) == 1 else f"{len(self._rows)} {unit}s"
        data = {"unit": unit, "colours": self._colours, "rows": self._rows}
        _write_page("index", self.path, title, data)
        return f"page: {printable(self.path)}"


def picture_of(page: Path) -> Path:
    """Return the path of the picture that the index shows of a clip with this page."""
    return page.with_name(f"{page.name}.jpg")


def address(path: Path, page: Path) -> str:
    """Return the address of a file for a page beside or near it."""
    return quote(os.fsencode(Path(os.path.relpath(path, page.parent)).as_posix()))


def _write_page(kind: str, path: Path, title: str, data: Mapping[str, Any]) -> None:
    script = "".join((PAGES / f"{name}.js").read_text() for name in ("common", kind))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    everything = {**data, "title": title, "grey": OTHERS}
    page = Template((PAGES / "frame.html").read_text()).substitute(
        title=escape(title),
        media=MEDIA[kind],
        style=(PAGES / "style.css").read_text(),
        body=(PAGES / f"{kind}.html").read_text().rstrip(),
        # Within a script element nothing but the end of it means something to HTML.
        data=json.dumps(everything, default=str, separators=(",", ":")).replace("<", "\\u003c"),
        hash=f"sha256-{digest}",
        script=script,
    )
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8", errors="replace")


def _save_picture(result: Result, video: Path, begin: float, path: Path) -> None:
    """Write a small frame of what the clip shows for longest, if it can be read again."""
    best = max(result.segments, key=lambda it: (it.label == result.label, it.end - it.start))
    middle = best.start + (best.end - best.start) * (best.frames - 1) / (2 * best.frames)
    try:
        with VideoReader(video, start=middle - begin) as reader:
            frame = next(iter(reader)).picture
    except (UserError, StopIteration):
        return
    width = PHOTO_WIDTH if result.is_still else PICTURE_WIDTH
    height = max(1, round(width * frame.shape[0] / frame.shape[1]))
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, PICTURE_QUALITY])
    with atomic_write(path) as partial:
        partial.write_bytes(jpeg.tobytes() + OWN_MARK)


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what else there is to know about a clip, a name and a value each."""
    clip, model = record["clip"], record["model"]
    size, is_still = f"{clip['input']}, {clip['width']}x{clip['height']}", record["frames"] == 1
    means = record["whole_clip"]["mean_probabilities"]
    leading = sorted(means, key=lambda label: -means[label])[:5]
    probabilities = ", ".join(f"{label} {means[label]:.3f}" for label in leading)
    if is_still:
        yield "Photo", size
        yield "Probabilities", probabilities
    else:
        yield "Clip", f"{size}, {clip['fps']:g} frames/s"
        claimed = f" of {clip['frames_claimed']} that it claims" if clip["frames_claimed"] else ""
        yield "Frames", f"{record['frames']} labelled; {clip['frames_decoded']} decoded{claimed}"
        yield "Mean probabilities", probabilities
        shares = record["share_of_frames"].items()
        yield "Frames per label", ", ".join(f"{label} {share:.1%}" for label, share in shares)
        for kind, name in (("frame_by_frame", "single frames"), ("smoothed", "smoothed")):
            changes, rate = record["label_changes"][kind], record["label_changes_per_minute"][kind]
            yield f"Label changes, {name}", f"{changes}, {rate:.1f} per minute"
        yield "Smoothing", record["smoothing"]
    yield "Model", f"{model['file']}, written by version {model['version']}"
    yield "Classes", ", ".join(model["labels"])
    settings = record["settings"].items()
    yield "Settings", ", ".join(f"{name} {value}" for name, value in settings if value is not None)
