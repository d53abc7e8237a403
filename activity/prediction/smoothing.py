"""From the probabilities of single frames to a label that does not flicker."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from activity.label_file import UNCERTAIN
from activity.prediction.settings import Settings
from activity.video.reader import Frame

# What the hidden Markov model takes for granted; docs/smoothing.md has what other values give.
ACTIVITY_SECONDS = 10.0  # how long an activity lasts, on average
# Independent looks a second. Neighbouring frames say the same thing twice, so evidence is counted
# by the second and not by the frame.
LOOKS_A_SECOND = 3.0
DOUBT = 0.03  # the share of looks that say nothing: no single one is surer than that


@dataclass(frozen=True)
class Prediction:
    """What is known about one frame."""

    label: str  # of the largest smoothed probability, or UNCERTAIN
    raw_label: str  # of the largest probability of the last classified frame alone
    smoothed: np.ndarray  # (classes,) probabilities, by the frames around, too
    raw: np.ndarray  # (classes,) probabilities of the last classified frame alone


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


@dataclass(slots=True)
class Step:
    """A frame as a step of the hidden Markov model."""

    frame: Frame
    raw: np.ndarray  # (classes,) probabilities of the last classified frame
    seconds: float  # since the step before
    evidence: np.ndarray  # (classes,) likelihoods of what was seen; 1 if nothing was
    forward: np.ndarray  # (classes,) probabilities, given all that was seen so far


class HiddenMarkov:
    """The probabilities of each frame given those before it and `delay` seconds of those after it.

    A hidden Markov model with one state a class, solved by the forward-backward algorithm over a
    window (Rabiner 1989, "A tutorial on hidden Markov models"). An activity gives way to any other
    at a constant rate. Time is counted in seconds, so frame rates and strides may vary. The label
    of the largest of these probabilities is the one that is wrong least often.
    """

    def __init__(self, delay: float, block: float = 0.0) -> None:
        """Look ahead for `delay` seconds; steps are settled together, a `block` of seconds at once.

        With blocks a step costs the same for every delay, but its result comes later.
        """
        self._delay, self._block = delay, block
        self._waiting: deque[Step] = deque()
        self._last: Step | None = None
        self._looked = 0.0  # the time of the last frame that was classified

    def add(self, frame: Frame, raw: np.ndarray | None) -> Iterator[tuple[Step, np.ndarray]]:
        """Take in a frame with its (classes,) probabilities, or with none if nobody looked at it.

        Yield the steps that are settled by now, in order, each with its (classes,) posterior.
        """
        step = self._last = self._forward(frame, raw)
        self._waiting.append(step)
        settled = frame.time - self._delay
        if self._waiting[0].frame.time <= settled - self._block:
            yield from self._settle(settled)

    def finish(self) -> Iterator[tuple[Step, np.ndarray]]:
        """Yield the steps that are left, in order."""
        return self._settle(math.inf)

    def _forward(self, frame: Frame, raw: np.ndarray | None) -> Step:
        last = self._last
        if raw is None:
            assert last is not None  # the first frame is looked at
            raw, evidence = last.raw, np.ones_like(last.forward)
        else:
            # The first look counts as a whole one: how much time it stands for is not known yet.
            looks = (frame.time - self._looked) * LOOKS_A_SECOND if last else 1.0
            doubtful = (1 - DOUBT) * raw.astype(np.float64) + DOUBT / len(raw)
            evidence = doubtful ** min(1.0, looks)
            self._looked = frame.time
        seconds = frame.time - last.frame.time if last else 0.0
        forward = evidence * _moved(last.forward, seconds) if last else evidence
        return Step(frame, raw, seconds, evidence, forward / forward.sum())

    def _settle(self, until: float) -> Iterator[tuple[Step, np.ndarray]]:
        """Yield the steps up to a time, with all that is known."""
        later = np.ones_like(self._waiting[-1].forward) if self._waiting else np.empty(0)
        posteriors = []
        for step in reversed(self._waiting):
            posterior = step.forward * later
            posteriors.append(posterior / posterior.sum())
            later = _moved(step.evidence * later, step.seconds)
            later /= later.sum()
        while self._waiting and self._waiting[0].frame.time <= until:
            yield self._waiting.popleft(), posteriors.pop()


def _moved(states: np.ndarray, seconds: float) -> np.ndarray:
    """Return the (classes,) weights of states after a time in which one may give way to others.

    It is symmetric, so it holds backwards, too.
    """
    if len(states) == 1:
        return states
    stays = math.exp(-seconds / ACTIVITY_SECONDS)
    comes = (1 - stays) / (len(states) - 1)
    moved: np.ndarray = comes * states.sum() + (stays - comes) * states
    return moved


def smooth(
    frames: Iterable[tuple[Frame, np.ndarray | None]],
    labels: Sequence[str],
    settings: Settings,
    delay: float = 0.0,
    block: float = 0.0,
) -> Iterator[tuple[Frame, Prediction]]:
    """Yield each frame with its label, from its (classes,) probabilities and those around it.

    A frame without probabilities has those of the one before as raw ones; the first has some.
    `delay` and `block` are those of `HiddenMarkov`.
    """
    mean = settings.smoothing == "mean"
    smoothed = averaged(frames, settings.size) if mean else posterior(frames, delay, block)
    for frame, raw, probabilities in smoothed:
        sure = probabilities.max() >= settings.min_probability
        label = labels[int(probabilities.argmax())] if sure else UNCERTAIN
        yield frame, Prediction(label, labels[int(raw.argmax())], probabilities, raw)


def averaged(
    frames: Iterable[tuple[Frame, np.ndarray | None]], size: int
) -> Iterator[tuple[Frame, np.ndarray, np.ndarray]]:
    """Yield each frame with its raw probabilities and with their rolling average."""
    average = RollingAverage(size)
    last: tuple[np.ndarray, np.ndarray]
    for frame, raw in frames:
        if raw is not None:
            last = raw, average.update(raw)
        yield frame, *last


def posterior(
    frames: Iterable[tuple[Frame, np.ndarray | None]], delay: float, block: float
) -> Iterator[tuple[Frame, np.ndarray, np.ndarray]]:
    """Yield each frame with its raw probabilities and with the hidden Markov model's."""
    model = HiddenMarkov(delay, block)
    for frame, raw in frames:
        for step, probabilities in model.add(frame, raw):
            yield step.frame, step.raw, probabilities
    for step, probabilities in model.finish():
        yield step.frame, step.raw, probabilities
