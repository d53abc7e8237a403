"""Which files are made from each clip, where they go, and what all of them are told."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from activity.errors import UserError
from activity.files import PICTURES, check_output

if TYPE_CHECKING:
    from activity.prediction.smoothing import Prediction
    from activity.video.reader import Frame

# What the name of each kind may end in; the first is for files whose names are not given.
ENDINGS = {
    "output": (".mp4", ".avi"),
    "csv": (".csv",),
    "json": (".json",),
    "timeline": PICTURES,
    "page": (".html", ".htm"),
    "summary": (".csv",),
}
FOLDER = Path("output")
INDEX = "index"  # the page of a run, among those of its clips


class Output(Protocol):
    """What takes in a clip, one frame after the other: a file, a window, a summary."""

    def add(self, frame: "Frame", prediction: "Prediction") -> None:
        """Take in a frame, drawn on, and what is known about it.

        The frame's picture is not to be kept: its memory becomes that of a later one.
        """


class Watcher(Output, Protocol):
    """What takes in several clips, one after the other."""

    def begin(self, source: str) -> None:
        """Announce the next clip."""


@dataclass(frozen=True)
class Outputs:
    """The files to make from one clip, or from a whole run; for several clips also folders.

    None stands for one that is not wanted. The names are those of the options.
    """

    output: Path | None = None  # the annotated video
    csv: Path | None = None  # a row for each frame
    json: Path | None = None  # the report
    timeline: Path | None = None  # a picture of the probabilities over time
    page: Path | None = None  # a page to look at it; of a whole run one with a row for each clip
    summary: Path | None = None  # a row for each clip of a run

    def wanted(self) -> dict[str, Path]:
        """Return the files that are wanted, by their kind."""
        return {kind: path for kind, path in asdict(self).items() if path}

    def options(self) -> list[tuple[str, Path]]:
        """Return each file with the option that asks for it on the command line."""
        return [(f"--{kind}", path) for kind, path in self.wanted().items()]

    def check(self) -> None:
        """Make their folders; raise `UserError` if one of the files could not be written."""
        for kind, path in self.wanted().items():
            check_output(path, ENDINGS[kind])


def plan_outputs(
    named: Outputs, names: Sequence[str], several: bool, video: bool = True
) -> tuple[Outputs, list[Outputs]]:
    """Return the files to make from a whole run, and those to make from its clips of these names.

    `named` has what the user gave for a kind: a file, or for several clips a folder that gets one
    file a clip; but one table may hold several clips. There is an annotated video of each clip,
    named or not, unless `video` is False. Raises `UserError` for one file where it takes several.
    """
    common = Outputs(summary=named.summary)
    named = replace(named, summary=None)
    if several and named.page:
        common = replace(common, page=named.page / f"{INDEX}{ENDINGS['page'][0]}")
    if several and named.csv and named.csv.suffix.lower() in ENDINGS["csv"]:
        common, named = replace(common, csv=named.csv), replace(named, csv=None)
    if video and not named.output:
        film = f"{names[0]}{ENDINGS['output'][0]}"
        named = replace(named, output=FOLDER if several else FOLDER / film)
    if not several:
        return common, [named]
    folders = named.wanted()
    for kind, folder in folders.items():
        if folder.suffix.lower() in ENDINGS[kind]:
            raise UserError(f"{folder} is one file for several clips; name a folder", folder)
    return common, [
        Outputs(**{kind: folder / f"{name}{ENDINGS[kind][0]}" for kind, folder in folders.items()})
        for name in names
    ]
