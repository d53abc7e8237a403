"""What came of a clip: the one record that terminal, table, index, report and page render."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from activity.prediction.observation import Prediction
from activity.video.reader import Frame, VideoReader
from activity.video.sources import redacted


@dataclass(frozen=True)
class Segment:
    """A stretch of frames with the same label."""

    label: str
    start: float  # seconds
    end: float
    frames: int
    mean_probability: float  # the largest smoothed one of each frame


@dataclass(frozen=True)
class Result:
    """What came of a clip; where that is an error, the rest is empty."""

    clip: str  # as people may see it
    error: str | None = None
    # The class of the largest mean probability over the whole clip; of a photo what it is labelled.
    label: str = ""
    mean_probabilities: dict[str, float] = field(default_factory=dict)  # of the frames alone
    segments: Sequence[Segment] = ()
    shares: dict[str, float] = field(default_factory=dict)  # of the frames, by smoothed label
    raw_changes: int = 0  # of the label, frame by frame
    frames: int = 0  # labelled
    frames_decoded: int = 0  # from the clip's beginning to the last one read
    frames_claimed: int | None = None  # by the file
    reconnections: int = 0
    width: int = 0  # pixels
    height: int = 0
    fps: float = 0.0
    smoothing: str = ""  # the title of the smoother
    seconds: float = 0.0  # that labelling took
    notes: Sequence[str] = ()  # what a user may not expect
    warnings: Sequence[str] = ()  # what is missing
    outputs: dict[str, str] = field(default_factory=dict)  # files by kind

    @property
    def probability(self) -> float:
        """The mean probability of the label."""
        return max(self.mean_probabilities.values(), default=0.0)

    @property
    def start(self) -> float:
        """The time of the first frame, in seconds."""
        return self.segments[0].start if self.segments else 0.0

    @property
    def end(self) -> float:
        """The end of the last frame, in seconds."""
        return self.segments[-1].end if self.segments else 0.0

    @property
    def changes(self) -> int:
        """How often the smoothed label changed."""
        return max(0, len(self.segments) - 1)

    @property
    def changes_per_minute(self) -> float:
        """The rate of these changes."""
        return 60 * self.changes / max(self.end - self.start, 0.001)

    @property
    def raw_changes_per_minute(self) -> float:
        """The rate of the changes frame by frame."""
        return 60 * self.raw_changes / max(self.end - self.start, 0.001)

    @property
    def is_still(self) -> bool:
        """Whether it is of a single frame, as of a photo, in which nothing changes."""
        return sum(segment.frames for segment in self.segments) == 1

    @property
    def remarks(self) -> str:
        """The notes and the warnings."""
        return "; ".join([*self.notes, *self.warnings])

    def record(self) -> dict[str, Any]:
        """Return it as it stands in the JSON report."""
        facts = ("width", "height", "fps", "frames_decoded", "frames_claimed", "reconnections")
        means = {label: round(mean, 6) for label, mean in self.mean_probabilities.items()}
        rates = (round(self.raw_changes_per_minute, 3), round(self.changes_per_minute, 3))
        return {
            "clip": {"input": self.clip} | {fact: getattr(self, fact) for fact in facts},
            "smoothing": self.smoothing,
            "outputs": self.outputs,
            "frames": self.frames,
            "whole_clip": {"label": self.label, "mean_probabilities": means},
            "share_of_frames": {label: round(share, 6) for label, share in self.shares.items()},
            "label_changes": {"frame_by_frame": self.raw_changes, "smoothed": self.changes},
            "label_changes_per_minute": {"frame_by_frame": rates[0], "smoothed": rates[1]},
            "segments": [asdict(segment) for segment in self.segments],
        }


class Tally:
    """Adds the frames of a clip up; its memory grows with the label changes only."""

    def __init__(self, labels: Sequence[str], fps: float) -> None:
        self._labels = labels
        self._sum = np.zeros(len(labels))
        self._shares: Counter[str] = Counter()
        self._raw_changes = self._skipped = 0
        self._finished: list[Segment] = []
        self._last: tuple[Frame, Prediction] | None = None
        self._interval = 1 / fps  # seconds for which the last frame is shown
        # Of the segment that goes on:
        self._segment_start, self._segment_frames, self._segment_sum = 0.0, 0, 0.0

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Count one frame."""
        if self._last is None:
            self._segment_start = frame.time
        else:
            last, before = self._last
            frames = frame.number - last.number
            self._skipped += frames - 1
            self._interval = (frame.time - last.time) / frames
            self._raw_changes += prediction.raw_label != before.raw_label
            if prediction.label != before.label:
                self._finished.append(self._segment(before.label, frame.time))
                self._segment_start, self._segment_frames, self._segment_sum = frame.time, 0, 0.0
        self._last = frame, prediction
        self._sum += prediction.raw
        self._shares[prediction.label] += 1
        self._segment_frames += 1
        self._segment_sum += float(prediction.smoothed.max())

    def _segment(self, label: str, end: float) -> Segment:
        mean = self._segment_sum / self._segment_frames
        start = round(self._segment_start, 3)
        return Segment(label, start, round(end, 3), self._segment_frames, round(mean, 6))

    def result(self, source: str, reader: VideoReader, ended_early: bool, **others: Any) -> Result:
        """Return the record of a clip, of which at least one frame was counted."""
        assert self._last
        notes, warnings = list(reader.notes), []
        if self._skipped:
            notes.append(f"skipped {self._skipped} frames to keep up with the source")
        if ended_early:
            notes.append("ended before the end of the clip")
        elif reader.loss:
            warnings.append(f"{redacted(source)}{reader.loss}")
        last, prediction = self._last
        frames = self._shares.total()
        means = [float(total / frames) for total in self._sum]
        return Result(
            clip=redacted(source),
            label=prediction.label if frames == 1 else self._labels[int(self._sum.argmax())],
            mean_probabilities=dict(zip(self._labels, means, strict=True)),
            segments=[*self._finished, self._segment(prediction.label, last.time + self._interval)],
            shares={label: count / frames for label, count in self._shares.most_common()},
            raw_changes=self._raw_changes,
            frames=frames,
            frames_decoded=reader.decoded,
            frames_claimed=reader.format.claimed,
            reconnections=reader.reconnections,
            width=reader.width,
            height=reader.height,
            fps=reader.format.fps,
            notes=notes,
            warnings=warnings,
            **others,
        )
