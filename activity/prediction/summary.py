"""What the frames of a clip add up to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from activity.prediction.smoothing import Prediction
from activity.video.reader import Frame


@dataclass(frozen=True)
class Segment:
    """A stretch of frames with the same label."""

    label: str
    start: float  # seconds
    end: float
    frames: int
    mean_probability: float  # the largest smoothed one of each frame


class ClipSummary:
    """What the frames of a clip add up to; its memory grows with the label changes only."""

    def __init__(self, labels: Sequence[str], fps: float, smoother: str) -> None:
        """Begin one of a clip with this frame rate; `smoother` names who makes the labels."""
        self.labels, self.smoother = labels, smoother
        self._sum = np.zeros(len(labels))
        self._shares: Counter[str] = Counter()
        self.raw_changes = 0
        self.skipped = 0  # frames that were dropped between those counted
        self._finished: list[Segment] = []
        self._last: Prediction | None = None
        self._last_number, self._last_time = 0, 0.0
        self._interval = 1 / fps  # seconds for which the last frame is shown
        # Of the segment that goes on:
        self._segment_start = 0.0
        self._segment_frames = 0
        self._segment_sum = 0.0

    def add(self, frame: Frame, prediction: Prediction) -> None:
        """Count one frame."""
        if self._last is None:
            self._segment_start = frame.time
        else:
            frames = frame.number - self._last_number
            self.skipped += frames - 1
            self._interval = (frame.time - self._last_time) / frames
            self.raw_changes += prediction.raw_label != self._last.raw_label
            if prediction.label != self._last.label:
                self._finished.append(self._segment(self._last.label, frame.time))
                self._segment_start, self._segment_frames, self._segment_sum = frame.time, 0, 0.0
        self._last = prediction
        self._last_number, self._last_time = frame.number, frame.time
        self._sum += prediction.raw
        self._shares[prediction.label] += 1
        self._segment_frames += 1
        self._segment_sum += float(prediction.smoothed.max())

    def _segment(self, label: str, end: float) -> Segment:
        return Segment(
            label,
            round(self._segment_start, 3),
            round(end, 3),
            self._segment_frames,
            round(self._segment_sum / self._segment_frames, 6),
        )

    @property
    def frames(self) -> int:
        """The number of frames counted."""
        return self._shares.total()

    @property
    def segments(self) -> list[Segment]:
        """The stretches of equal labels, in order."""
        if self._last is None:
            return []
        end = self._last_time + self._interval
        return [*self._finished, self._segment(self._last.label, end)]

    @property
    def mean_probabilities(self) -> list[float]:
        """Those of the classes over the whole clip; at least one frame has to be counted."""
        return [float(total / self.frames) for total in self._sum]

    @property
    def label(self) -> str:
        """The class of the largest mean probability over the whole clip."""
        return self.labels[int(self._sum.argmax())]

    @property
    def probability(self) -> float:
        """The mean probability of that class."""
        return max(self.mean_probabilities)

    @property
    def changes(self) -> int:
        """How often the smoothed label changed."""
        return len(self._finished)

    @property
    def minutes(self) -> float:
        """How long the frames counted are shown."""
        segments = self.segments
        return max(segments[-1].end - segments[0].start, 0.001) / 60

    @property
    def flicker(self) -> float:
        """Changes of the smoothed label a minute."""
        return self.changes / self.minutes

    @property
    def raw_flicker(self) -> float:
        """Changes of the label a minute, frame by frame."""
        return self.raw_changes / self.minutes

    def record(self) -> dict[str, Any]:
        """Return the summary as it stands in the JSON report."""
        return {
            "frames": self.frames,
            "whole_clip": {
                "label": self.label,
                "mean_probabilities": {
                    label: round(probability, 6)
                    for label, probability in zip(self.labels, self.mean_probabilities, strict=True)
                },
            },
            "share_of_frames": {
                label: round(count / self.frames, 6) for label, count in self._shares.most_common()
            },
            "label_changes": {"frame_by_frame": self.raw_changes, "smoothed": self.changes},
            "label_changes_a_minute": {
                "frame_by_frame": round(self.raw_flicker, 3),
                "smoothed": round(self.flicker, 3),
            },
            "segments": [asdict(segment) for segment in self.segments],
        }

    def lines(self) -> list[str]:
        """Return the summary, a fact a line; at least one frame has to be counted."""
        shares = ", ".join(
            f"{label} {count / self.frames:.1%}" for label, count in self._shares.most_common()
        )
        return [
            f"whole clip: {self.label}, mean probability {self.probability:.3f}",
            f"frames per label: {shares}",
            f"label changes: {self.raw_changes} frame by frame, {self.changes} by {self.smoother} "
            f"({self.raw_flicker:.1f} and {self.flicker:.1f} a minute)",
        ]
