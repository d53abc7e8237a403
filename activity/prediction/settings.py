"""What the labels of a clip depend on, besides the clip and the model."""

from dataclasses import dataclass

UNCERTAIN = "uncertain"  # stands for a label where none is probable enough


@dataclass(frozen=True)
class Settings:
    """How a clip is labelled; the JSON report holds these."""

    size: int = 128  # how many predictions are averaged; 1 for the raw ones
    min_probability: float = 0.0  # below it the label is UNCERTAIN
    start: float = 0.0  # seconds
    end: float | None = None  # seconds; None for the end of the clip
    stride: int = 1  # every so many frames one is classified
