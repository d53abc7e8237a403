"""What a run prints: a clip in a few lines, or each of several in a line."""

from collections.abc import Sequence

from activity.cli import Progress
from activity.errors import print_error
from activity.label_file import UNCERTAIN
from activity.prediction.batch import Job
from activity.prediction.outputs.page import Page
from activity.prediction.outputs.video import Video
from activity.prediction.result import Result
from activity.text import printable
from activity.video.sources import is_picture, redacted


class Console:
    """Tells of each clip as it is done; columns are as wide as the names that may come."""

    def __init__(self, sources: Sequence[str], labels: Sequence[str], several: bool) -> None:
        self._photos = all(map(is_picture, sources))
        first = "photo" if self._photos else "clip"
        clip = max(map(len, [first, *(printable(redacted(each)) for each in sources)]))
        label = max(map(len, ["label", *labels, *[UNCERTAIN] * self._photos]))
        widths, head = [f"{{:{clip}}}", f"{{:{label}}}", "{:>11}"], [first, "label", "probability"]
        if not self._photos:
            widths += ["{:>11}", "{:>16}", "{:>7}", "{:>8}"]
            head += ["raw changes", "smoothed changes", "frames", "frames/s"]
        self._line = "  ".join([*widths, "{}"])
        self._head = [*head, Video.name if self._photos else "video"]
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
            Progress.print_above(self._line.format(*self._head))
        notes = f" ({'; '.join(result.notes)})" if result.notes else ""
        cells = [printable(result.clip), result.label, f"{result.probability:.3f}"]
        if not self._photos:
            rate = f"{result.frames / result.seconds:.1f}"
            cells += map(str, [result.raw_changes, result.changes, result.frames, rate])
        made = printable(result.outputs.get(Video.name, "-"))
        Progress.print_above(self._line.format(*cells, f"{made}{notes}"))


def text(result: Result) -> str:
    """Return what there is to say about a clip, a fact a line."""
    made = printable(result.outputs.get(Video.name, result.clip))
    page = [
        f"page: {printable(each)}" for kind, each in result.outputs.items() if kind == Page.name
    ]
    if result.is_still:
        label = f"{made}: {result.label}, probability {result.probability:.3f}"
        return "\n".join([label, *result.notes, *page])
    shares = ", ".join(f"{label} {share:.1%}" for label, share in result.shares.items())
    return "\n".join([
        f"{made}: {result.frames} frames, {result.frames / result.seconds:.1f} frames/s",
        *result.notes,
        f"whole clip: {result.label}, mean probability {result.probability:.3f}",
        f"frames per label: {shares}",
        f"label changes: {result.raw_changes} frame by frame, {result.changes} by "
        f"{result.smoothing} ({result.raw_changes_per_minute:.1f} and "
        f"{result.changes_per_minute:.1f} per minute)",
        *page,
    ])  # fmt: skip


class BatchProgress(Progress):
    """Tells how many clips and hours of video are done and left, and how fast that goes."""

    def __init__(self, jobs: Sequence[Job], quiet: bool) -> None:
        self._photos = all(is_picture(job.source) for job in jobs)
        super().__init__(len(jobs), "photos" if self._photos else "clips", quiet=quiet)
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
        if self._photos:
            self.advance(f"{left} left")
            return
        self.advance(
            f"{self._seconds / 3600:.2f} of about {self._seconds / 3600 / share:.2f} hours of "
            f"video, {self._seconds / max(elapsed, 0.001):.1f} times as fast as it plays, "
            f"{left} left"
        )
