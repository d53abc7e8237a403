"""What a run says about a clip: in a few lines, in one of a table, or as a JSON record."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from activity.prediction.classifier import Classifier
from activity.prediction.outputs import Outputs
from activity.prediction.reader import VideoReader
from activity.prediction.settings import Settings
from activity.prediction.sources import shown
from activity.prediction.summary import ClipSummary
from activity.text import printable


@dataclass(frozen=True)
class ClipResult:
    """What came of one clip."""

    clip: str  # as people may see it
    video: Path | None
    summary: ClipSummary
    seconds: float  # from the first frame to the last
    notes: Sequence[str] = ()  # what a user may not expect
    warnings: Sequence[str] = ()  # what is missing

    @classmethod
    def of(
        cls,
        source: str,
        reader: VideoReader,
        video: Path | None,
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
        return cls(shown(source), video, summary, seconds, notes, warnings)

    @property
    def rate(self) -> float:
        """Frames/s, from the first to the last."""
        return self.summary.frames / self.seconds

    def text(self) -> str:
        """Return it with a fact a line."""
        made = printable(self.video or self.clip)
        first = f"{made}: {self.summary.frames} frames, {self.rate:.1f} frames/s"
        return "\n".join([first, *self.notes, *self.summary.lines()])


def _loss(reader: VideoReader) -> str:
    """Tell where a clip has fewer frames than it should, or more; else return nothing."""
    decoded, claimed = reader.decoded, reader.claimed
    if reader.live and decoded < reader.end:
        return f" broke off after {decoded} frames and did not come back"
    if claimed and decoded != min(claimed, reader.end):
        lost = f", {1 - decoded / claimed:.0%} are missing" if decoded < claimed else ""
        return f": decoded {decoded} frames, the file claims {claimed}{lost}"
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
            "fps": reader.fps,
            "frames_decoded": reader.decoded,
            "frames_claimed": reader.claimed,
            "reconnections": reader.reconnections,
        },
        "model": {"file": classifier.path} | asdict(classifier.card),
        "settings": asdict(settings),
        "outputs": outputs.wanted(),
        **summary.record(),
    }


class SummaryTable:
    """A line for each of several clips; columns are as wide as the names that may come."""

    def __init__(self, sources: Sequence[str], labels: Sequence[str]) -> None:
        self._clip = max(map(len, ["clip", *(printable(shown(source)) for source in sources)]))
        self._label = max(map(len, ["label", *labels]))
        self._headed = False

    def row(self, result: ClipResult) -> str:
        """Return the line of a clip, under a heading if it is the first."""
        summary = result.summary
        line = (
            f"{printable(result.clip):{self._clip}}  {summary.label:{self._label}}"
            f"  {summary.probability:11.3f}  {summary.raw_changes:11d}  {summary.changes:16d}"
            f"  {summary.frames:7d}  {result.rate:8.1f}  {printable(result.video)}"
        )
        if result.notes:
            line += f" ({'; '.join(result.notes)})"
        if not self._headed:
            self._headed = True
            head = (
                f"{'clip':{self._clip}}  {'label':{self._label}}"
                "  probability  raw changes  averaged changes   frames  frames/s  video"
            )
            line = f"{head}\n{line}"
        return line
