"""The tutorial's smoother: the mean of the last predictions, in a deque."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from activity.cli import setting, whole_number
from activity.prediction.observation import Observation, Smoothed


@dataclass(frozen=True)
class Mean:
    """The mean over the last `size` predictions."""

    size: int = setting(
        128, "-s", "--size", type=whole_number(1, 10**6), metavar="K",
        help="average over the last K predictions; 1 shows the raw labels (default: 128)",
    )  # fmt: skip
    name: ClassVar[str] = "mean"
    help: ClassVar[str] = "averages the last predictions"
    looks_ahead: ClassVar[bool] = False
    caption: ClassVar[str] = "activity"  # the tutorial's text

    @property
    def title(self) -> str:
        """What reports call it."""
        return f"mean of {self.size}"

    def smooth(self, observations: Iterable[Observation], can_wait: bool) -> Iterator[Smoothed]:
        """Yield each observation with the mean; see `Smoother`."""
        window = RollingMean(self.size)
        raw = mean = np.zeros(0)
        for observation in observations:
            if observation.probabilities is not None:
                raw = observation.probabilities
                mean = window.update(raw)
            yield Smoothed(observation.frame, raw, mean)


class RollingMean:
    """Mean of the last `size` vectors, at the same cost for every size."""

    def __init__(self, size: int) -> None:
        self._window: deque[np.ndarray] = deque(maxlen=size)
        self._size = size
        self._sum = np.zeros(0)
        self._updates = 0

    def update(self, vector: np.ndarray) -> np.ndarray:
        """Add a (classes,) vector and return the (classes,) float64 mean of the window."""
        vector = vector.astype(np.float64)
        leaving = self._window[0] if len(self._window) == self._size else 0.0
        self._window.append(vector)
        if self._updates % self._size == 0:
            # Adding and subtracting drifts by rounding; a fresh sum once a window ends that.
            self._sum = np.sum(self._window, axis=0)
        else:
            self._sum = self._sum + vector - leaving
        self._updates += 1
        return self._sum / len(self._window)
