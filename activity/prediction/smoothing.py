"""From the probabilities of single frames to a label that does not flicker."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from activity.prediction.reader import Frame
from activity.prediction.settings import UNCERTAIN, Settings


@dataclass(frozen=True)
class Prediction:
    """What is known about one frame."""

    label: str  # of the largest averaged probability, or UNCERTAIN
    raw_label: str  # of the largest probability of this frame alone
    averaged: np.ndarray  # (classes,) rolling mean of the probabilities
    raw: np.ndarray  # (classes,) probabilities of this frame alone


class RollingAverage:
    """Mean of the last `size` probability vectors, at the same cost for every size."""

    def __init__(self, size: int) -> None:
        self._window: deque[np.ndarray] = deque(maxlen=size)
        self._sum = np.zeros(0)
        self._updates = 0

    def update(self, probabilities: np.ndarray) -> np.ndarray:
        """Add a (classes,) vector and return the (classes,) float64 mean of the window."""
        vector = probabilities.astype(np.float64)
        size = self._window.maxlen or 1
        leaving = self._window[0] if len(self._window) == size else 0.0
        self._window.append(vector)
        if self._updates % size == 0:
            # Adding and subtracting drifts by rounding; a fresh sum once a window ends that.
            self._sum = np.sum(self._window, axis=0)
        else:
            self._sum = self._sum + vector - leaving
        self._updates += 1
        return self._sum / len(self._window)


def smooth(
    frames: Iterable[tuple[Frame, np.ndarray | None]], labels: Sequence[str], settings: Settings
) -> Iterator[tuple[Frame, Prediction]]:
    """Yield each frame with its label, from its (classes,) probabilities and those before it.

    A frame without probabilities keeps the prediction of the one before; the first has some.
    """
    average = RollingAverage(settings.size)
    prediction: Prediction
    for frame, raw in frames:
        if raw is not None:
            averaged = average.update(raw)
            sure = averaged.max() >= settings.min_probability
            label = labels[int(averaged.argmax())] if sure else UNCERTAIN
            prediction = Prediction(label, labels[int(raw.argmax())], averaged, raw)
        yield frame, prediction
