"""What all kinds of output share; `outputs` has one module each, and the registry."""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from activity.cli import file_path
from activity.errors import UserError
from activity.files import check_output
from activity.model_file import ModelMetadata
from activity.prediction.observation import Observation, Prediction
from activity.prediction.result import Result
from activity.prediction.settings import Settings
from activity.video.backends import Format
from activity.video.reader import Frame
from activity.video.stop import Stop

PARTS = ".parts"  # a clip's part of something made of all clips waits in a folder called so
Names = Sequence[str]


@dataclass(frozen=True)
class Clip:
    """What an output may know of a clip before its first frame."""

    source: str
    format: Format
    model: Path
    metadata: ModelMetadata
    settings: Settings
    stop: Stop  # the wish to end the run, which a window may have, too
    several: bool  # whether there may be others, and an index of all

    def begin(self, first: float) -> float:
        """Return the time at which its annotated video begins, if `first` is the first frame's.

        A whole clip may have sound before that.
        """
        return first if self.settings.start else self.format.begin


class Gatherer(Protocol):
    """Makes something of the results of all clips, at `path`, in the process of the run."""

    path: Path

    def add(self, name: str, result: Result, path: Any) -> None:
        """Take in a clip of this name, whose own output is at `path` if it could be labelled."""

    def finish(self, goes_on: bool = False) -> str | None:
        """Write what there is; return a line to be printed, if there is something to say.

        `goes_on` tells that a table has the results of earlier runs.
        """


class Output:
    """A kind of output; an instance is that of one clip.

    A new kind is a subclass with `name`, `help`, `endings` and what it needs of `add` and `finish`,
    and a line in the registry. Then it has its option, is checked before anything slow, and works
    for one clip, for many, and in other processes.
    """

    name: ClassVar[str]  # of its option, and in records
    help: ClassVar[str]
    endings: ClassVar[Sequence[str]] = ()  # all that its files may have
    flags: ClassVar[Sequence[str]] = ()  # other names of its option
    draws: ClassVar[bool] = False  # whether `add` needs the picture, with the label drawn on it
    observes: ClassVar[bool] = False  # whether it takes in observations, too, in another thread
    local: ClassVar[str] = ""  # why it needs the process of the run, as a window does
    needs_time: ClassVar[bool] = False  # whether there is nothing of it to show in a photo

    @classmethod
    def add_options(cls, group: argparse._ArgumentGroup) -> None:
        """Add its options to the command line."""
        flags = (*cls.flags, f"--{cls.name}")
        group.add_argument(*flags, type=file_path, metavar="FILE", help=cls.help)

    @classmethod
    def requested(cls, options: Mapping[str, Any]) -> Any:
        """Return what the command line asks for, usually a path; None if it does not."""
        return options[cls.name]

    @classmethod
    def endings_of(cls, source: str) -> Sequence[str]:
        """Return the endings for this clip; the first is for files whose names are not given."""
        return cls.endings

    @classmethod
    def place(cls, given: Any, source: str, name: str, several: bool) -> Any:
        """Return the path of a clip's output: what is `given`, or of `several` a file in there.

        Raises `UserError` for a file in place of a folder.
        """
        if not several or not cls.endings:
            return given
        if given.suffix.lower() in cls.endings:
            raise UserError(f"{given} is one file for several clips; name a folder")
        return given / f"{name}{cls.endings_of(source)[0]}"

    @classmethod
    def gatherer(cls, given: Any, labels: Names, several: bool, names: Names) -> Gatherer | None:
        """Return what makes something of all clips, of these names, if this kind does.

        Raises `UserError` if that could not be written.
        """
        return None

    @classmethod
    def check(cls, path: Any, source: str) -> None:
        """Make the folder of a clip's output; raise `UserError` if it could not be written."""
        check_output(path, cls.endings_of(source))

    def __init__(self, path: Any, clip: Clip) -> None:
        self.path, self.clip, self.labels = path, clip, clip.metadata.labels

    def opened(self) -> AbstractContextManager[object]:
        """Return the block in which frames are added; its file is whole when that ends well."""
        return nullcontext()

    def observe(self, observation: Observation) -> None:
        """Take in a sampled frame as it was filmed, if it `observes`."""

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Take in a frame; its picture is not to be kept, as its memory becomes a later one's."""

    def finish(self, result: Result) -> None:
        """Write what depends on the whole clip; the outputs registered before are whole by now."""
