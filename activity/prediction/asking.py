"""Which frames to ask a person about: those that the model is least sure of, as pictures."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from activity.cli import Progress
from activity.errors import UserError, print_error
from activity.files import check_empty_folder, written_whole
from activity.prediction.smoothing import Prediction
from activity.quiet.opencv import cv2
from activity.text import printable
from activity.video.reader import Frame, VideoReader
from activity.video.sources import is_read_once, shown, source_names

QUALITY = 95  # of the JPEG pictures, which are to be trained on


class Doubt(NamedTuple):
    """A frame, and how sure the model is of it."""

    probability: float  # the largest of the frame alone
    time: float  # seconds since the clip's first frame

    @property
    def second(self) -> int:
        """Where it lies to the millisecond, so that no two pictures share a name."""
        return int(round(self.time, 3))


@dataclass
class Doubts:
    """The least sure frame of each second of a clip, in order of time."""

    source: str
    name: str  # of the clip, in the names of its pictures
    frames: list[Doubt] = field(default_factory=list)
    begin: float = 0.0  # the times of the first and the last frame that was looked at
    end: float = 0.0

    def add(self, doubt: Doubt) -> None:
        """Take in the next frame that was looked at."""
        if not self.frames:
            self.begin = doubt.time
        self.end = doubt.time
        if not self.frames or doubt.second > self.frames[-1].second:
            self.frames.append(doubt)
        elif doubt.probability < self.frames[-1].probability:
            self.frames[-1] = doubt

    def stretch(self, time: float, count: int) -> int:
        """Return in which of `count` equal stretches of the clip a time lies, from 0."""
        length = self.end - self.begin
        return min(int((time - self.begin) * count / length), count - 1) if length else 0


class LeastSure:
    """Finds the frames that the model is least sure of, and saves them as pictures.

    Until the end of the run it keeps one frame a second, as a time and a probability, and reads the
    chosen ones again then. So it raises `UserError` for sources that give their frames only once,
    and for a folder that holds anything: pictures of an earlier run may have been sorted by now.
    """

    def __init__(
        self, number: int, folder: Path, sources: Sequence[str], fps: float | None = None
    ) -> None:
        """Prepare to save `number` frames of these sources; `fps` is that of numbered pictures."""
        self._number, self._folder, self._fps = number, folder, fps
        for source in filter(is_read_once, sources):
            raise UserError(
                f"{shown(source)} gives each frame only once, and those chosen are read again; "
                "record it to a file, and name that",
                source,
            )
        self._names = dict(zip(sources, source_names(sources), strict=True))
        longest = max(self._names.values(), key=lambda name: len(name.encode()))
        check_empty_folder(folder, _file_name(longest, 0.0))
        self._clips: list[Doubts] = []
        self._seen: np.ndarray | None = None

    def begin(self, source: str) -> None:
        """Announce the next clip."""
        self._clips.append(Doubts(source, self._names[source]))

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Take in one frame."""
        # A frame that the model did not look at has the very array of the last one it looked at.
        if prediction.raw is not self._seen:
            self._seen = prediction.raw
            self._clips[-1].add(Doubt(float(prediction.raw.max()), frame.time))

    def save(self, quiet: bool = True) -> str:
        """Save the pictures; return what there is to say about them, nothing if there is none."""
        saved = []
        chosen = choose(self._clips, self._number)
        with Progress(len(chosen), "pictures", quiet=quiet) as progress:
            for clip, doubt in chosen:
                try:
                    with VideoReader(clip.source, doubt.time, fps=self._fps) as reader:
                        picture = next(iter(reader)).picture
                except UserError as error:  # the file was changed or removed
                    print_error("warning", error)
                    continue
                _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                path = self._folder / _file_name(clip.name, doubt.time)
                with written_whole(path) as partial:
                    partial.write_bytes(jpeg.tobytes())
                saved.append((clip.source, doubt.probability))
                progress.update()
        return self._report(saved, len(chosen) < self._number)

    def _report(self, saved: Sequence[tuple[str, float]], all_there_are: bool) -> str:
        """Say what was saved, of (source, probability) pairs."""
        if not saved:
            return ""
        clips = len({source for source, _ in saved})
        probabilities = [probability for _, probability in saved]
        return (
            f"{printable(self._folder)}: {_counted(len(saved), 'frame')}"
            f"{' (there are no more, at one a second)' if all_there_are else ''} of "
            f"{_counted(clips, 'clip')}, of whose labels the model is {min(probabilities):.0%} to "
            f"{max(probabilities):.0%} sure; sort them into class folders"
        )


def choose(clips: Sequence[Doubts], number: int) -> list[tuple[Doubts, Doubt]]:
    """Return the frames to ask about, in order of clip and time: `number`, or all that there are.

    Each clip is cut into equal stretches of time, twice as many as frames are wanted of it on
    average. The least sure frames of the stretches are compared. Where they are too few, the second
    ones of the stretches follow, and so on.
    """
    clips = [clip for clip in clips if clip.frames]
    if not clips:
        return []
    count = math.ceil(2 * number / len(clips))
    ranked = []
    for place, clip in enumerate(clips):
        ranks: Counter[int] = Counter()
        for doubt in sorted(clip.frames):
            stretch = clip.stretch(doubt.time, count)
            ranked.append((ranks[stretch], doubt.probability, place, doubt.time))
            ranks[stretch] += 1
    chosen = sorted(
        (place, time, probability) for _, probability, place, time in sorted(ranked)[:number]
    )
    return [(clips[place], Doubt(probability, time)) for place, time, probability in chosen]


def _file_name(clip: str, time: float) -> str:
    return f"{clip}_{time:010.3f}.jpg"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
