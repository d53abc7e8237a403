"""What the labels of a clip depend on, besides the clip and the model."""

from dataclasses import dataclass
from typing import Literal

SMOOTHERS = ("mean", "hmm")  # smoothing.py has them
LOOK_AHEAD = 5.0  # seconds; what lies further ahead changes no label (docs/smoothing.md)


@dataclass(frozen=True)
class Settings:
    """How a clip is labelled; the JSON report holds these."""

    smoothing: str = "mean"  # one of SMOOTHERS
    size: int = 128  # how many predictions the mean is over; 1 for the raw ones
    # Seconds that "hmm" looks ahead; None for LOOK_AHEAD where a source can be read twice, else 0.
    delay: float | None = None
    min_probability: float = 0.0  # below it the label is UNCERTAIN
    start: float = 0.0  # seconds
    end: float | None = None  # seconds; None for the end of the clip
    stride: int | Literal["auto"] = 1  # every so many frames one is classified; about five a second

    def smoother(self) -> str:
        """Return the name of the smoother as reports have it."""
        return f"mean of {self.size}" if self.smoothing == "mean" else self.smoothing
