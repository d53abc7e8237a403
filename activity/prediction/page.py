"""Pages for a browser: a clip with its curves and segments to correct, and an index of clips."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from activity.errors import UserError
from activity.files import written_whole
from activity.prediction.curves import OTHERS, PALETTE, Curves
from activity.prediction.summary import Segment
from activity.quiet.opencv import cv2
from activity.video.reader import VideoReader

if TYPE_CHECKING:
    from activity.prediction.report import ClipResult

SOURCES = Path(__file__).with_name("pages")
MEDIA = {"clip": "media-src *", "index": "img-src *"}  # what a page may load
BAND = 120  # pieces of a clip's band in the index
PICTURE_WIDTH, PICTURE_QUALITY = 192, 70


def save_page(
    path: Path, title: str, record: Mapping[str, Any], curves: Curves, film: Path | None
) -> None:
    """Write the page of a clip from its JSON record and curves; `film` is what it is to play.

    That is the annotated video, if there is one, which begins with the first frame, or the clip.
    """
    segments = [Segment(**segment) for segment in record["segments"]]
    start, end = segments[0].start, segments[-1].end
    drawn = list(_drawn(curves, curves.colours(segments)))
    played: dict[str, Any] | None = None
    if film:
        begin = start if film == record["outputs"].get("output") else 0.0
        played = {"address": _address(film, path), "name": film.name, "begin": begin}
    data = {"file": record["clip"]["input"], "film": played}
    data |= {"start": start, "end": end, "fps": record["clip"]["fps"]}
    data |= {"smoother": record["smoothing"], "segments": record["segments"]}
    data |= {"labels": curves.labels, "others": len(curves.labels) - len(drawn)}
    data |= {"times": curves.columns()[0].round(3).tolist(), "curves": drawn}
    _write("clip", path, title, data | {"facts": list(_facts(record))})


def _drawn(curves: Curves, colours: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the curves of the classes that have a colour."""
    _, lowest, highest, smoothed = curves.columns()
    for label, colour in colours.items():
        index = curves.labels.index(label)
        yield {"label": label, "colour": _themed(colour)} | {
            name: values[:, index].round(3).tolist()
            for name, values in (("low", lowest), ("high", highest), ("smoothed", smoothed))
        }


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what else there is to know about a clip, a name and a value each."""
    clip, model, settings = record["clip"], record["model"], record["settings"]
    yield "Clip", f"{clip['input']}, {clip['width']}x{clip['height']}, {clip['fps']:g} frames/s"
    claimed = f" of {clip['frames_claimed']} that it claims" if clip["frames_claimed"] else ""
    yield "Frames", f"{record['frames']} labelled; {clip['frames_decoded']} decoded{claimed}"
    whole = record["whole_clip"]
    ranked = sorted(whole["mean_probabilities"].items(), key=lambda item: -item[1])
    means = ", ".join(f"{label} {probability:.3f}" for label, probability in ranked[:5])
    yield "Mean probabilities", means
    shares = record["share_of_frames"].items()
    yield "Frames per label", ", ".join(f"{label} {share:.1%}" for label, share in shares)
    for kind, name in (("frame_by_frame", "single frames"), ("smoothed", "smoothed")):
        changes, rate = record["label_changes"][kind], record["label_changes_a_minute"][kind]
        yield f"Label changes, {name}", f"{changes}, {rate:.1f} a minute"
    yield "Smoothing", record["smoothing"]
    yield "Model", f"{model['file']}, written by version {model['version']}"
    yield "Its classes", ", ".join(model["labels"])
    values = (f"{name} {value}" for name, value in settings.items() if value is not None)
    yield "Settings", ", ".join(values)


class Index:
    """Collects a row for each clip of a run; made by `index_of`."""

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        self._path = path
        self._colours = {
            label: _themed(colour) for label, colour in zip(labels, PALETTE, strict=False)
        }
        self._rows: list[dict[str, Any]] = []

    def add(self, result: "ClipResult") -> None:
        """Add the row of a clip that was labelled, and has a page."""
        summary = result.summary
        assert result.page
        save_picture(result)
        self.add_row(
            result.clip, result.page, summary.label, summary.probability, summary.flicker,
            summary.segments, result.remarks,
        )  # fmt: skip

    def add_row(
        self, clip: str, page: Path, label: str, probability: float, flicker: float,
        segments: Sequence[Segment], remarks: str,
    ) -> None:  # fmt: skip
        """Add the row of a clip whose page and picture stand already."""
        picture = _picture_of(page)
        self._rows.append({
            "name": clip,
            "page": _address(page, self._path),
            "label": label,
            "probability": round(probability, 6),
            "changes": round(flicker, 3),
            "seconds": round(segments[-1].end - segments[0].start, 3),
            "band": _band(segments),
            "picture": _address(picture, self._path) if picture.is_file() else None,
            "remarks": remarks,
        })  # fmt: skip

    def fail(self, clip: str, error: str) -> None:
        """Add the row of a clip that could not be labelled."""
        nothing = dict.fromkeys(("page", "probability", "changes", "seconds", "picture"))
        self._rows.append({"name": clip, "label": "", "band": [], "remarks": error, **nothing})

    def save(self) -> None:
        """Write the page."""
        title = "One clip" if len(self._rows) == 1 else f"{len(self._rows)} clips"
        data = {"colours": self._colours, "rows": self._rows}
        _write("index", self._path, title, data)


@contextmanager
def index_of(path: Path, labels: Sequence[str]) -> Iterator[Index]:
    """Give an index whose page stands at `path` once the block ends."""
    index = Index(path, labels)
    yield index
    index.save()


def _band(segments: Sequence[Segment]) -> list[tuple[float, str]]:
    """Return shares of a clip's time and their labels, in order, and no more than `BAND`."""
    start, end = segments[0].start, segments[-1].end
    pieces: list[tuple[float, str]] = []
    upcoming = iter(segments)
    segment = next(upcoming)
    for step in range(BAND):
        while segment.end < start + (step + 0.5) / BAND * (end - start):
            segment = next(upcoming)
        if pieces and pieces[-1][1] == segment.label:
            pieces[-1] = (pieces[-1][0] + 1, segment.label)
        else:
            pieces.append((1, segment.label))
    return pieces


def save_picture(result: "ClipResult") -> None:
    """Write a small frame of a clip beside its page, for the index, if it can be read again."""
    assert result.page
    film = result.video or Path(result.clip)
    segments, label = result.summary.segments, result.summary.label
    # The middle frame of what the clip shows for longest; a film begins with the first frame.
    best = max(segments, key=lambda one: (one.label == label, one.end - one.start))
    middle = best.start + (best.end - best.start) * (best.frames - 1) / (2 * best.frames)
    middle -= segments[0].start if result.video else 0
    if not film.is_file():
        return
    try:
        with VideoReader(film, start=middle) as reader:
            frame = next(iter(reader)).picture
    except (UserError, StopIteration):
        return
    height = max(1, round(PICTURE_WIDTH * frame.shape[0] / frame.shape[1]))
    small = cv2.resize(frame, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, PICTURE_QUALITY])
    with written_whole(_picture_of(result.page)) as partial:
        partial.write_bytes(jpeg.tobytes())


def _picture_of(page: Path) -> Path:
    return page.with_name(f"{page.name}.jpg")


def _themed(colour: str) -> str:
    """Return a colour of the palette for a page, where black is not seen on a dark ground."""
    return "currentColor" if colour == "#000000" else colour


def _address(path: Path, page: Path) -> str:
    """Return the address of a file for a page beside or near it."""
    relative = Path(os.path.relpath(path, page.parent))
    return quote(os.fsencode(relative.as_posix()))


def _write(kind: str, path: Path, title: str, data: dict[str, Any]) -> None:
    """Write a page of a kind with its data.

    The page allows one script, by its digest, so that no name of a clip or class can be another.
    """
    script = "".join((SOURCES / f"{name}.js").read_text() for name in ("common", kind))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    told = data | {"title": title, "grey": OTHERS}
    page = Template((SOURCES / "frame.html").read_text()).substitute(
        title=escape(title),
        media=MEDIA[kind],
        style=(SOURCES / "style.css").read_text(),
        body=(SOURCES / f"{kind}.html").read_text().rstrip(),
        # Within a script element nothing but the end of it means something to HTML.
        data=json.dumps(told, default=str, separators=(",", ":")).replace("<", "\\u003c"),
        hash=f"sha256-{digest}",
        script=script,
    )
    with written_whole(path) as partial:
        partial.write_text(page, encoding="utf-8", errors="replace")
