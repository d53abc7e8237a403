"""The frames that the model is least certain of, as pictures to be labelled by a person.

Uncertainty sampling, a kind of active learning (Lewis and Gale 1994). So that the frames are not
all of one moment, a clip is a row of equal slots of time, and gives one frame per slot.
"""

import argparse
import math
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from activity.cli import whole_number
from activity.errors import UserError, cannot_be_read
from activity.files import atomic_write, check_output
from activity.prediction.observation import Observation
from activity.prediction.output import PARTS, Clip, Gatherer, Names, Output
from activity.prediction.result import Result
from activity.quiet.opencv import cv2
from activity.text import printable

MOST = 10_000  # pictures
QUALITY = 95  # of the JPEG pictures, which are to be trained on


class Request(NamedTuple):
    """So many pictures, in a folder."""

    number: int
    folder: Path

    def __fspath__(self) -> str:
        return str(self.folder)

    def absolute(self) -> "Request":
        """Return the same from any working folder, as `Path.absolute` does."""
        return Request(self.number, self.folder.absolute())


class Candidate(NamedTuple):
    """A frame that may be chosen; the first in order are."""

    rank: int  # in its stretch, from 0
    probability: float  # the largest of the frame alone
    time: float  # seconds
    file: Path
    clip: str  # the name


class UncertainFrames(Output):
    """Keeps the least certain frame of each slot of a clip, in a file each."""

    name = "ask"
    help = (
        "save the N frames that the model is least certain of, spread over clips and time, as "
        "pictures in a new folder: sort them into class folders, and train on them, too"
    )
    observes = True

    @classmethod
    def add_options(cls, group: argparse._ArgumentGroup) -> None:
        """Add the option, which takes a number and a folder."""
        group.add_argument("--ask", nargs=2, metavar=("N", "DIR"), help=cls.help)

    @classmethod
    def requested(cls, options: Mapping[str, Any]) -> Request | None:
        """Return what the command line asks for; raise `UserError` for a wrong number."""
        if options["ask"] is None:
            return None
        number, folder = options["ask"]
        try:
            return Request(whole_number(1, MOST)(number), Path(folder))
        except argparse.ArgumentTypeError as error:
            raise UserError(f"argument --ask: {error}") from error

    @classmethod
    def place(cls, given: Request, source: str, name: str, several: bool) -> Request:
        """Return the folder where a clip's frames wait to be chosen."""
        return Request(given.number, given.folder / PARTS / name)

    @classmethod
    def gatherer(cls, given: Request, labels: Names, several: bool, names: Names) -> Gatherer:
        """Return what chooses among the frames of all clips."""
        return Choice(given, len(names))

    @classmethod
    def check(cls, path: Request, source: str) -> None:
        """Make the folder of a clip's frames; they get longer names if they are chosen."""
        check_output(path.folder.with_name(f"{path.folder.name}_{0:010.3f}.jpg"))
        check_output(path.folder / f"{0:.3f}.jpg")

    def __init__(self, path: Request, clip: Clip) -> None:
        super().__init__(path.folder, clip)
        self._most = 2 * path.number  # slots: enough if this was the only clip
        self._slots: dict[int, tuple[float, Path]] = {}  # the largest probability and the picture
        self._seconds = 1.0  # of a slot, at first
        self._begin: float | None = None
        for file in self.path.glob("*.jpg"):  # of an earlier run
            file.unlink()

    def observe(self, observation: Observation) -> None:
        """Keep a frame, if it is the least certain one of its slot."""
        assert observation.probabilities is not None
        probability = float(observation.probabilities.max())
        time = round(observation.frame.time, 3)  # pictures are named by milliseconds
        self._begin = math.floor(time) if self._begin is None else self._begin
        while (slot := int((time - self._begin) / self._seconds)) >= self._most:
            # Of two slots that become one, the less certain frame stays.
            ranked = sorted((kept, place) for place, kept in self._slots.items())
            self._slots, self._seconds = {}, 2 * self._seconds
            for kept, place in ranked:
                if self._slots.setdefault(place // 2, kept) is not kept:
                    kept[1].unlink()
        last = self._slots.get(slot)
        if last and last[0] <= probability:
            return
        file = self.path / f"{time:010.3f}_{probability!r}.jpg"
        quality = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        _, jpeg = cv2.imencode(".jpg", observation.frame.picture, quality)
        with atomic_write(file) as partial:
            partial.write_bytes(jpeg.tobytes())
        if last:
            last[1].unlink()
        self._slots[slot] = probability, file


class Choice:
    """Chooses the least certain frames of all clips.

    Each clip is cut into equal stretches of time, twice as many as frames are wanted of it on
    average. The least certain frames of the stretches are compared; where they are too few, the
    second ones of the stretches follow, and so on.
    """

    def __init__(self, request: Request, clips: int) -> None:
        self._number, self.path = request
        self._stretches = math.ceil(2 * self._number / clips)
        self._chosen: list[Candidate] = []
        self._all = True
        try:
            # What is in it may have been sorted by now.
            if self.path.is_dir() and any(file.name != PARTS for file in self.path.iterdir()):
                raise UserError(f"{self.path} holds files already; name another folder")
        except OSError as error:
            raise cannot_be_read(self.path, error) from error

    def add(self, name: str, result: Result, path: Request) -> None:
        """Take in a clip; of all frames so far keep those that may be chosen."""
        found = []
        for file in path.folder.glob("*.jpg"):
            time, probability = map(float, file.stem.split("_"))
            found.append((probability, time, file))
        ranks: Counter[int] = Counter()
        for probability, time, file in sorted(found):
            share = (time - result.start) / max(result.end - result.start, 0.001)
            stretch = min(int(share * self._stretches), self._stretches - 1)
            self._chosen.append(Candidate(ranks[stretch], probability, time, file, name))
            ranks[stretch] += 1
        self._chosen.sort()
        for candidate in self._chosen[self._number :]:
            candidate.file.unlink()
            self._all = False
        del self._chosen[self._number :]

    def finish(self, goes_on: bool = False) -> str | None:
        """Move the frames to their folder; return what there is to say about them."""
        for candidate in self._chosen:
            picture = self.path / f"{candidate.clip}_{candidate.time:010.3f}.jpg"
            picture.parent.mkdir(parents=True, exist_ok=True)
            candidate.file.replace(picture)
        shutil.rmtree(self.path / PARTS, ignore_errors=True)
        if not self._chosen:
            return None
        confidences = [candidate.probability for candidate in self._chosen]
        frames, clips = len(self._chosen), len({candidate.clip for candidate in self._chosen})
        return (
            f"{printable(self.path)}: {frames} frame{'s' * (frames > 1)}"
            f"{' (there are no more, at one per second)' * self._all} of {clips} "
            f"clip{'s' * (clips > 1)}, labelled with a confidence of {min(confidences):.0%} to "
            f"{max(confidences):.0%}; sort them into class folders"
        )
