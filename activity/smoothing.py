"""The rolling average that keeps the label from flickering."""

from collections import deque

import numpy as np


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
