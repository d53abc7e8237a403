"""Videos to learn from: a few of their frames, kept as pictures."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activity.errors import UserError
from activity.files import written_whole
from activity.preprocessing import shrink_or_grow
from activity.quiet.opencv import cv2
from activity.training.annotations import Annotation
from activity.video.reader import HALF_A_MILLISECOND, Frame, VideoReader

FRAMES_A_SECOND = 1.0
# Of one class in one video: with less than four a class cannot be split, and more than these would
# outweigh other videos.
FEWEST_FRAMES, MOST_FRAMES = 4, 60
# Seconds; frames that are further away are searched for, which takes as long as reading so many.
FAR = 10.0
# Pixels. A frame is halved as long as its short side stays as long: the sizes that a network sees
# are smaller, and halving is how it is made smaller anyway.
SHORT_SIDE = 320
QUALITY = 95  # of JPEG


@dataclass(frozen=True)
class Still:
    """A frame that is kept as a picture."""

    file: Path
    time: float  # in the video, in seconds from its first frame


def keep_frames(video: Path, annotations: Sequence[Annotation], folder: Path) -> list[list[Still]]:
    """Return frames of each of the stretches of a video that these annotations are of.

    Those of one class are about a second apart; nearer, where there would be less than
    `FEWEST_FRAMES`, and further, where there would be more than `MOST_FRAMES`, but of each stretch
    there is one. What an earlier run left in `folder` is not read again. Raises `UserError` for a
    video that does not decode.
    """
    whole = length(video) if any(each.end is None for each in annotations) else 0.0
    ends = [whole if each.end is None else each.end for each in annotations]
    plan = _planned(annotations, ends)
    status = video.stat()
    name = f"{video.resolve()} {status.st_size} {status.st_mtime_ns} {SHORT_SIDE} {QUALITY}"
    place = folder / hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    place.mkdir(parents=True, exist_ok=True)
    kept = dict(_still(file) for file in place.glob("*-*.jpg"))
    missing = sorted({moment for moments in plan for moment in moments} - kept.keys())
    for moment, frame in _frames_at(video, missing):
        file = place / f"{moment:09d}-{round(1000 * frame.time):09d}.jpg"
        with written_whole(file) as partial:
            partial.write_bytes(_encoded(frame.picture))
        kept |= [_still(file)]
    return [
        [kept[moment] for moment in moments if moment in kept and kept[moment].time < end]
        for moments, end in zip(plan, ends, strict=True)
    ]


def length(video: Path) -> float:
    """Return how many seconds a video has; one that does not say so is read through."""
    with VideoReader(video, sparse=True) as reader:
        if reader.format.duration is not None:
            return reader.format.duration
        for frame in reader:
            reader.recycle(frame)
        return reader.time + 1 / reader.format.fps


def _planned(annotations: Sequence[Annotation], ends: Sequence[float]) -> list[list[int]]:
    """Return moments in each of the stretches, which end there, in milliseconds."""
    stretches = Counter(each.label for each in annotations)
    seconds = dict.fromkeys(stretches, 0.0)
    for each, end in zip(annotations, ends, strict=True):
        seconds[each.label] += end - each.start
    plan = []
    for each, end in zip(annotations, ends, strict=True):
        step = max(1 / FRAMES_A_SECOND, seconds[each.label] / MOST_FRAMES)
        fewest = math.ceil(FEWEST_FRAMES / stretches[each.label])
        count = max(fewest, round((end - each.start) / step))
        part = (end - each.start) / count
        # In the middle of each part; but what is very short may have no frame after its middle.
        first = each.start + (part / 2 if end - each.start >= 1 / FRAMES_A_SECOND else 0.0)
        plan.append([round(1000 * (first + index * part)) for index in range(count)])
    return plan


def _still(file: Path) -> tuple[int, Still]:
    """Return the moment that a frame was taken for, in milliseconds, and the frame."""
    moment, time = map(int, file.stem.split("-"))
    return moment, Still(file, time / 1000)


def _frames_at(video: Path, moments: Sequence[int]) -> Iterator[tuple[int, Frame]]:
    """Yield rising moments, in milliseconds, with the first frame that is not before each."""
    if not moments:
        return
    with ExitStack() as opened:
        reader = opened.enter_context(VideoReader(video, sparse=True))
        frames = iter(reader)
        frame: Frame | None = next(frames)
        for moment in moments:
            if frame and moment / 1000 - frame.time > FAR:
                opened.close()
                try:
                    reader = opened.enter_context(VideoReader(video, moment / 1000, sparse=True))
                except UserError:  # it has fewer frames than it claims
                    return
                frames = iter(reader)
                frame = next(frames)
            while frame and frame.time < moment / 1000 - HALF_A_MILLISECOND:
                reader.recycle(frame)
                frame = next(frames, None)
            if frame is None:
                return
            yield moment, frame


def _encoded(picture: np.ndarray) -> bytes:
    """Return an (H, W, 3) uint8 BGR picture as JPEG, smaller where that costs nothing."""
    while min(picture.shape[:2]) >= 2 * SHORT_SIDE:
        picture = shrink_or_grow(picture, picture.shape[1] // 2, picture.shape[0] // 2)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return encoded.tobytes()
