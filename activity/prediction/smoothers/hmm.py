"""A hidden Markov model, which looks ahead, so that the label turns when the video does."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from activity.cli import real_number, setting
from activity.prediction.observation import Observation, Smoothed
from activity.video.reader import Frame

# What the model assumes; docs/smoothing.md has what other values give.
ACTIVITY_SECONDS = 10.0  # how long an activity lasts, on average
# Neighbouring frames say the same thing twice, so evidence is counted by the second, as so many
# independent samples, and not by the frame.
EVIDENCE_PER_SECOND = 3.0
DOUBT = 0.03  # the share of samples that say nothing: no single one is more certain than that
LOOK_AHEAD = 5.0  # seconds; what lies further ahead changes no label (docs/smoothing.md)
BLOCK = 1.0  # seconds of a file that are settled together


@dataclass(frozen=True)
class HiddenMarkov:
    """The hidden Markov model, looking `delay` seconds ahead.

    None stands for `LOOK_AHEAD` where frames can wait, and for nothing where they cannot.
    """

    delay: float | None = setting(
        None, "--delay", type=real_number(0, 60), metavar="SECONDS",
        help="how far 'hmm' looks ahead, and how late a live picture is shown (default: "
        f"{LOOK_AHEAD:g} for files; 0 for cameras, streams and pipes)",
    )  # fmt: skip
    name: ClassVar[str] = "hmm"
    help: ClassVar[str] = "is a hidden Markov model: it looks ahead, and turns with the video"
    looks_ahead: ClassVar[bool] = True
    title: ClassVar[str] = "hmm"
    # Without parentheses, which OpenCV's font lacks: it would take the word from another one.
    caption: ClassVar[str] = "activity by hmm"

    def smooth(self, observations: Iterable[Observation], can_wait: bool) -> Iterator[Smoothed]:
        """Yield each observation with its posterior; see `Smoother`."""
        foresees = self.delay is None and can_wait
        model = ForwardBackward(LOOK_AHEAD, BLOCK) if foresees else ForwardBackward(self.delay or 0)
        for observation in observations:
            yield from model.add(observation)
        yield from model.finish()


@dataclass(slots=True)
class Step:
    """A frame as a step of the hidden Markov model."""

    frame: Frame
    raw: np.ndarray  # (classes,) probabilities of the last sampled frame
    seconds: float  # since the step before
    evidence: np.ndarray  # (classes,) likelihoods of the observation; 1 where there is none
    forward: np.ndarray  # (classes,) probabilities, given all observations so far


class ForwardBackward:
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
        self._sampled = 0.0  # the time of the last frame that was sampled

    def add(self, observation: Observation) -> Iterator[Smoothed]:
        """Take in an observation; yield those that are settled by now, in order."""
        step = self._last = self._forward(observation.frame, observation.probabilities)
        self._waiting.append(step)
        settled = step.frame.time - self._delay
        if self._waiting[0].frame.time <= settled - self._block:
            yield from self._settle(settled)

    def finish(self) -> Iterator[Smoothed]:
        """Yield the observations that are left, in order."""
        return self._settle(math.inf)

    def _forward(self, frame: Frame, raw: np.ndarray | None) -> Step:
        last = self._last
        if raw is None:
            assert last is not None  # the first frame is sampled
            raw, evidence = last.raw, np.ones_like(last.forward)
        else:
            # The first sample counts as a whole one: how much time it stands for is not known yet.
            samples = (frame.time - self._sampled) * EVIDENCE_PER_SECOND if last else 1.0
            doubtful = (1 - DOUBT) * raw.astype(np.float64) + DOUBT / len(raw)
            evidence = doubtful ** min(1.0, samples)
            self._sampled = frame.time
        seconds = frame.time - last.frame.time if last else 0.0
        forward = evidence * _moved(last.forward, seconds) if last else evidence
        return Step(frame, raw, seconds, evidence, forward / forward.sum())

    def _settle(self, until: float) -> Iterator[Smoothed]:
        """Yield the steps up to a time, with all that is known."""
        later = np.ones_like(self._waiting[-1].forward) if self._waiting else np.empty(0)
        posteriors = []
        for step in reversed(self._waiting):
            posterior = step.forward * later
            posteriors.append(posterior / posterior.sum())
            later = _moved(step.evidence * later, step.seconds)
            later /= later.sum()
        while self._waiting and self._waiting[0].frame.time <= until:
            step = self._waiting.popleft()
            yield Smoothed(step.frame, step.raw, posteriors.pop())


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
