"""How labels are kept from flickering: one module each, and the registry."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Protocol

from activity.prediction.observation import Observation, Smoothed
from activity.prediction.smoothers.hmm import HiddenMarkov
from activity.prediction.smoothers.mean import Mean


class Smoother(Protocol):
    """The settings of a smoother, a frozen dataclass; fields made by `cli.setting` are options."""

    name: ClassVar[str]  # of the choice on the command line
    help: ClassVar[str]
    # Whether a label depends on later frames, as long as they can be waited for.
    looks_ahead: ClassVar[bool]

    @property
    def title(self) -> str:
        """What reports call it."""

    @property
    def caption(self) -> str:
        """What stands before the label that is drawn on a frame."""

    def smooth(self, observations: Iterable[Observation], can_wait: bool) -> Iterator[Smoothed]:
        """Yield each observation in order, with smoothed (classes,) probabilities.

        The first one has probabilities; one without has those of the last one before as raw ones.
        `can_wait` tells that results may come as much later as is good for them.
        """


SMOOTHERS: dict[str, type[Smoother]] = {kind.name: kind for kind in (Mean, HiddenMarkov)}
