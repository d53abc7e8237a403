"""What a run prints: a clip in a few lines, or each of several in a line."""

from collections.abc import Sequence

from activity.cli import Progress
from activity.errors import print_error
from activity.prediction.batch import Job
from activity.prediction.outputs.page import Page
from activity.prediction.outputs.video import Video
from activity.prediction.result import Result
from activity.text import printable
from activity.video.sources import redacted


class Console:
    """Tells of each clip as it is done; columns are as wide as the names that may come."""

    def __init__(self, sources: Sequence[str], labels: Sequence[str], several: bool) -> None:
        clip = max(map(len, ["clip", *(printable(redacted(each)) for each in sources)]))
        label = max(map(len, ["label", *labels]))
        self._line = (
            f"{{:{clip}}}  {{:{label}}}  {{:>11}}  {{:>11}}  {{:>16}}  {{:>7}}  {{:>8}}  {{}}"
        )
        self._several, self._headed = several, False

    def add(self, result: Result) -> None:
        """Tell of a clip: in a line, if there may be several."""
        if result.error:
            print_error("error", result.error)
            return
        for warning in result.warnings:
            print_error("warning", warning)
        if not self._several:
            Progress.print_above(text(result))
            return
        if not self._headed:
            self._headed = True
            changes = ("raw changes", "smoothed changes")
            head = ("clip", "label", "probability", *changes, "frames", "frames/s", "video")
            Progress.print_above(self._line.format(*head))
        notes = f" ({'; '.join(result.notes)})" if result.notes else ""
        Progress.print_above(
            self._line.format(
                printable(result.clip), result.label, f"{result.probability:.3f}",
                result.raw_changes, result.changes, result.frames,
                f"{result.frames / result.seconds:.1f}",
                f"{printable(result.outputs.get(Video.name, '-'))}{notes}",
            )
        )  # fmt: skip


def text(result: Result) -> str:
    """Return what there is to say about a clip, a fact a line."""
    made = printable(result.outputs.get(Video.name, result.clip))
    shares = ", ".join(f"{label} {share:.1%}" for label, share in result.shares.items())
    lines = [
        f"{made}: {result.frames} frames, {result.frames / result.seconds:.1f} frames/s",
        *result.notes,
        f"whole clip: {result.label}, mean probability {result.probability:.3f}",
        f"frames per label: {shares}",
        f"label changes: {result.raw_changes} frame by frame, {result.changes} by "
        f"{result.smoothing} ({result.raw_changes_per_minute:.1f} and "
        f"{result.changes_per_minute:.1f} per minute)",
    ]
    if page := result.outputs.get(Page.name):
        lines.append(f"page: {printable(page)}")
    return "\n".join(lines)


class BatchProgress(Progress):
    """Tells how many clips and hours of video are done and left, and how fast that goes."""

    def __init__(self, jobs: Sequence[Job], quiet: bool) -> None:
        super().__init__(len(jobs), "clips", quiet=quiet)
        self.bar_format = "{n_fmt}/{total_fmt}{unit} [{elapsed}{postfix}]"
        self._bytes = sum(job.size for job in jobs)
        self._bytes_done, self._seconds = 0, 0.0

    def count(self, job: Job, result: Result) -> None:
        """Count a clip. How long those to come are is guessed from their sizes."""
        self._bytes_done += job.size
        self._seconds += result.end - result.start
        elapsed = self.format_dict["elapsed"]
        share = self._bytes_done / self._bytes if self._bytes_done else 1.0
        left = self.format_interval(elapsed / share - elapsed)
        self.advance(
            f"{self._seconds / 3600:.2f} of about {self._seconds / 3600 / share:.2f} hours of "
            f"video, {self._seconds / max(elapsed, 0.001):.1f} times as fast as it plays, "
            f"{left} left"
        )
