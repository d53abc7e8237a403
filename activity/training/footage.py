"""Videos to learn from: some of their frames, kept as pictures."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from activity.errors import SourceError, print_error
from activity.files import atomic_write
from activity.preprocessing import shrink_or_grow
from activity.quiet.opencv import cv2
from activity.training.annotations import Annotation
from activity.video.reader import HALF_A_MILLISECOND, Frame, VideoReader
from activity.video.unread import unread

SPACING = 1.0  # seconds between frames, as a rule
# Of one class in one video: with fewer than four a class cannot be split, and more than 60 would
# outweigh other videos.
FEWEST_FRAMES, MOST_FRAMES = 4, 60
FAR = 10.0  # seconds; the reader seeks further ones, which takes as long as reading so many
CONSTANT = 0.01  # how much a constant frame rate may differ from the average one
# Pixels. A frame is halved while its short side stays as long as this: networks see smaller
# pictures, which are made by halving anyway.
SHORT_SIDE = 320
QUALITY = 95  # of JPEG
CLOCK = "a player's"  # of the times by which they are kept


def extract_frames(video: Path, rows: Sequence[Annotation], folder: Path) -> list[list[Path]]:
    """Return frames, kept as pictures, of each of the stretches of a video that the rows describe.

    Those of one class are about a second apart; closer or further, where there would be fewer than
    `FEWEST_FRAMES` or more than `MOST_FRAMES`; but each stretch has one. What an earlier run left
    in `folder` is not read again. Raises `SourceError` for a video that does not decode.
    """
    if any(row.end is None for row in rows):
        start, end, *_ = extent(video)
        rows = [row if row.end else replace(row, start=max(start, row.start)) for row in rows]
    ends = [end if row.end is None else row.end for row in rows]
    plan, status = _planned(rows, ends), video.stat()
    name = f"{video.resolve()} {status.st_size} {status.st_mtime_ns} {SHORT_SIDE} {QUALITY} {CLOCK}"
    folder = folder / hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    stills = {int(file.stem.split("-")[0]): file for file in folder.glob("*-*.jpg")}
    missing = sorted({moment for moments in plan for moment in moments} - stills.keys())
    for moment, frame in _frames_at(video, missing) if missing else ():
        stills[moment] = folder / f"{moment:09d}-{round(1000 * frame.time):09d}.jpg"
        with atomic_write(stills[moment]) as partial:
            partial.write_bytes(_encoded(frame.picture))
    return [
        [stills[each] for each in moments if each in stills and time_of(stills[each]) < end]
        for moments, end in zip(plan, ends, strict=True)
    ]


def time_of(still: Path) -> float:
    """Return the time of a frame by the name of its file, in seconds, as a player shows it."""
    return int(still.stem.split("-")[1]) / 1000


class Extent(NamedTuple):
    """When a video begins and ends, in seconds, and how its frames come."""

    start: float
    end: float
    fps: float
    is_constant: bool


def extent(video: Path) -> Extent:
    """Return when a video begins and ends; one that does not say so is read through."""
    with VideoReader(video, sparse=True) as reader:
        start, end, fps = reader.time, reader.format.end, reader.format.fps
        is_constant = math.isclose(fps, reader.format.base_fps, rel_tol=CONSTANT)
        if end is None:
            for frame in reader:
                reader.recycle(frame)
            end = reader.time + 1 / fps
        return Extent(start, end, fps, is_constant)


def _planned(rows: Sequence[Annotation], ends: Sequence[float]) -> list[list[int]]:
    """Return the moments to take frames at, in milliseconds, of stretches with these ends."""
    stretches = Counter(row.label for row in rows)
    seconds = dict.fromkeys(stretches, 0.0)
    for row, end in zip(rows, ends, strict=True):
        seconds[row.label] += end - row.start
    plan = []
    for row, end in zip(rows, ends, strict=True):
        fewest = math.ceil(FEWEST_FRAMES / stretches[row.label])
        spacing = max(SPACING, seconds[row.label] / MOST_FRAMES)
        count = max(fewest, round((end - row.start) / spacing))
        part = (end - row.start) / count
        # In the middle of each part; but a very short one may have no frame after its middle.
        first = row.start + (part / 2 if end - row.start >= SPACING else 0.0)
        plan.append([round(1000 * (first + index * part)) for index in range(count)])
    return plan


def _frames_at(video: Path, moments: Sequence[int]) -> Iterator[tuple[int, Frame]]:
    """Yield moments, sorted, in milliseconds, each with the first frame not before it."""
    with ExitStack() as opened:
        reader = opened.enter_context(VideoReader(video, sparse=True))
        for note in reader.notes:
            print_error("note", f"{video}: {note}")
        if fault := unread(video):
            print_error("warning", f"{video}: {fault}")
        with suppress(SourceError, StopIteration):  # it may have fewer frames than it claims
            frame = next(frames := iter(reader))
            for moment in moments:
                if moment / 1000 - frame.time > FAR:
                    opened.close()
                    reader = opened.enter_context(VideoReader(video, moment / 1000, sparse=True))
                    frame = next(frames := iter(reader))
                while frame.time < moment / 1000 - HALF_A_MILLISECOND:
                    reader.recycle(frame)
                    frame = next(frames)
                yield moment, frame


def _encoded(picture: np.ndarray) -> bytes:
    """Return an (H, W, 3) uint8 BGR picture as JPEG, smaller where that costs nothing."""
    while min(picture.shape[:2]) >= 2 * SHORT_SIDE:
        picture = shrink_or_grow(picture, picture.shape[1] // 2, picture.shape[0] // 2)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return encoded.tobytes()
