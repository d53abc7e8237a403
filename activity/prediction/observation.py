"""What is known of a frame: by the model alone, and smoothed."""

from dataclasses import dataclass

import numpy as np

from activity.video.reader import Frame


@dataclass(frozen=True, slots=True)
class Observation:
    """A frame and what the model says of it; what else a model may say would be a field here."""

    frame: Frame
    probabilities: np.ndarray | None  # (classes,) float32; None if the frame was not sampled


@dataclass(frozen=True, slots=True)
class Smoothed:
    """What a smoother makes of an observation."""

    frame: Frame
    raw: np.ndarray  # (classes,) probabilities of the last sampled frame alone
    probabilities: np.ndarray  # (classes,), by the frames around it, too


@dataclass(frozen=True, slots=True)
class Prediction:
    """The label of a frame, and where it comes from."""

    label: str  # of the largest smoothed probability, or UNCERTAIN
    raw_label: str  # of the largest probability of the last sampled frame alone
    smoothed: np.ndarray  # (classes,) probabilities, by the frames around, too
    raw: np.ndarray  # (classes,) probabilities of the last sampled frame alone
