"""An output and a smoother as somebody adds them: a file each, and a line in the registry.

Other processes import this, as what they are handed is of it; a test undoes the registration.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from activity.cli import real_number, setting
from activity.files import atomic_write
from activity.prediction.observation import Observation, Smoothed
from activity.prediction.output import Output
from activity.prediction.outputs import OUTPUTS
from activity.prediction.result import Result
from activity.prediction.smoothers import SMOOTHERS


class Words(Output):
    """The labels of a clip in words."""

    name = "words"
    help = "the labels in words"
    endings: ClassVar = (".txt", ".md")

    def finish(self, result: Result) -> None:
        """Write them."""
        with atomic_write(self.path) as partial:
            partial.write_text(", then ".join(segment.label for segment in result.segments))


@dataclass(frozen=True)
class Last:
    """The last probabilities, to a power."""

    power: float = setting(
        1.0, "--power", type=real_number(0, 9), metavar="P",
        help="how much clearer the last one becomes (default: 1)",
    )  # fmt: skip
    name: ClassVar[str] = "last"
    help: ClassVar[str] = "takes the last one"
    looks_ahead: ClassVar[bool] = False
    title: ClassVar[str] = "last"
    caption: ClassVar[str] = "activity"

    def smooth(self, observations: Iterable[Observation], can_wait: bool) -> Iterator[Smoothed]:
        """Yield each observation with the last probabilities."""
        raw = np.zeros(0)
        for observation in observations:
            raw = raw if observation.probabilities is None else observation.probabilities
            yield Smoothed(observation.frame, raw, raw**self.power / (raw**self.power).sum())


def register() -> None:
    """Do what the two lines in the registries do."""
    OUTPUTS[Words.name] = Words
    SMOOTHERS[Last.name] = Last


register()
