"""What a run says about a clip: in a few lines, in one of a table, or as a JSON record."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from activity.errors import UserError, print_error
from activity.prediction.classifier import Classifier
from activity.prediction.outputs import Outputs
from activity.prediction.page import Index
from activity.prediction.settings import Settings
from activity.prediction.summary import ClipSummary
from activity.prediction.table import ClipTable
from activity.text import printable
from activity.video.reader import VideoReader
from activity.video.sources import shown

NEGLIGIBLE = 0.02  # of a clip's duration


@dataclass(frozen=True)
class ClipResult:
    """What came of one clip."""

    clip: str  # as people may see it
    video: Path | None
    page: Path | None
    summary: ClipSummary
    decoded: int  # frames, from the clip's beginning to the last one read
    claimed: int | None  # frames, by the file
    seconds: float  # from the first frame to the last
    notes: Sequence[str] = ()  # what a user may not expect
    warnings: Sequence[str] = ()  # what is missing

    @classmethod
    def of(
        cls,
        source: str,
        reader: VideoReader,
        outputs: Outputs,
        summary: ClipSummary,
        seconds: float,
        cut: bool,
    ) -> Self:
        """Say what came of a clip that was read; `cut` if that was ended before the clip's end."""
        notes, warnings = [], []
        if summary.skipped:
            notes.append(f"skipped {summary.skipped} frames to keep up with the source")
        if cut:
            notes.append("ended before the end of the clip")
        elif loss := _loss(reader):
            warnings.append(f"{shown(source)}{loss}")
        video, page = outputs.output, outputs.page
        frames = reader.decoded, reader.format.claimed
        return cls(shown(source), video, page, summary, *frames, seconds, notes, warnings)

    @property
    def rate(self) -> float:
        """Frames/s, from the first to the last."""
        return self.summary.frames / self.seconds

    @property
    def remarks(self) -> str:
        """The notes and the warnings."""
        return "; ".join([*self.notes, *self.warnings])

    def text(self) -> str:
        """Return it with a fact a line."""
        made = printable(self.video or self.clip)
        first = f"{made}: {self.summary.frames} frames, {self.rate:.1f} frames/s"
        page = [f"page: {printable(self.page)}"] if self.page else []
        return "\n".join([first, *self.notes, *self.summary.lines(), *page])


def _loss(reader: VideoReader) -> str:
    """Tell where a clip that was read to its end is shorter than it claims; else return nothing."""
    decoded, claimed, duration = reader.decoded, reader.format.claimed, reader.format.duration
    if reader.reached_end:
        return ""
    if reader.live:
        return f" broke off after {decoded} frames and did not come back"
    if claimed:
        if decoded < claimed:
            lost = 1 - decoded / claimed
            return f": decoded {decoded} frames, the file claims {claimed}, {lost:.0%} are missing"
    elif (
        duration
        and not reader.format.is_estimate
        and duration - reader.time > max(1.0, NEGLIGIBLE * duration)
    ):
        # Not to the frame: the last one may be shown for a while, and sound may go on after it.
        claim = f"the file claims {duration:.1f} s, {1 - reader.time / duration:.0%} are missing"
        return f": ends at {reader.time:.1f} s, {claim}"
    return ""


def json_record(
    source: str,
    reader: VideoReader,
    classifier: Classifier,
    settings: Settings,
    outputs: Outputs,
    summary: ClipSummary,
) -> dict[str, Any]:
    """Return all that is known about a clip, as the JSON report has it."""
    return {
        "clip": {
            "input": shown(source),
            "width": reader.width,
            "height": reader.height,
            "fps": reader.format.fps,
            "frames_decoded": reader.decoded,
            "frames_claimed": reader.format.claimed,
            "reconnections": reader.reconnections,
        },
        "model": {"file": classifier.path, "unknown": classifier.unknown} | asdict(classifier.card),
        "settings": asdict(settings),
        "smoothing": settings.smoother(),
        "outputs": outputs.wanted(),
        **summary.record(),
    }


class RunReport:
    """Says what came of each clip of a run: on the terminal, and in what else is wanted of it.

    For several clips it is a line each, with columns as wide as the names that may come.
    """

    def __init__(
        self,
        sources: Sequence[str],
        labels: Sequence[str],
        several: bool,
        others: Sequence[ClipTable | Index],
    ) -> None:
        self._several = several
        self._others = others
        self._clip = max(map(len, ["clip", *(printable(shown(source)) for source in sources)]))
        self._label = max(map(len, ["label", *labels]))
        self._headed = False

    def add(self, result: ClipResult) -> None:
        """Tell of a clip that was labelled."""
        for warning in result.warnings:
            print_error("warning", warning)
        for other in self._others:
            other.add(result)
        print(self.line(result) if self._several else result.text())

    def fail(self, source: str, error: UserError) -> None:
        """Tell of a clip that could not be labelled."""
        print_error("error", error)
        for other in self._others:
            other.fail(shown(source), str(error.__cause__ or error))  # without an option

    def line(self, result: ClipResult) -> str:
        """Return the line of a clip, under a heading if it is the first."""
        summary = result.summary
        line = (
            f"{printable(result.clip):{self._clip}}  {summary.label:{self._label}}"
            f"  {summary.probability:11.3f}  {summary.raw_changes:11d}  {summary.changes:16d}"
            f"  {summary.frames:7d}  {result.rate:8.1f}  {printable(result.video or '-')}"
        )
        if result.notes:
            line += f" ({'; '.join(result.notes)})"
        if not self._headed:
            self._headed = True
            head = (
                f"{'clip':{self._clip}}  {'label':{self._label}}"
                "  probability  raw changes  smoothed changes   frames  frames/s  video"
            )
            line = f"{head}\n{line}"
        return line
