"""A trained model, ready for any number of clips."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from activity.engine import Engine, load_engine
from activity.errors import UserError
from activity.label_file import NONE_OF_THESE
from activity.model_file import read_card
from activity.video.reader import Frame


class Classifier:
    """A model file: its card is read at once, an engine is loaded when a clip needs one.

    `labels` are its classes, and if it is to say what is `unknown` to it, one more. `threads` are
    those of its engines, see `load_engine`. Raises `UserError` for a file that `train.py` did not
    write, or that cannot say what is unknown.
    """

    def __init__(self, path: Path, unknown: bool = False, threads: int | None = None) -> None:
        self.path, self.unknown, self._threads = path, unknown, threads
        self.card = read_card(path)
        self.labels = self.card.labels + (NONE_OF_THESE,) * unknown
        if len(set(self.labels)) < len(self.labels):
            raise UserError(f"{path} knows {NONE_OF_THESE!r} as a class; leave it out", "unknown")
        if unknown and not self.card.unknown_below:
            raise UserError(
                f"{path} was trained without a measure of what is unknown; train it again",
                "unknown",
            )
        self._engines: dict[bool, Engine] = {}

    def engine(self, prompt: bool) -> Engine:
        """Return an engine that runs the model, the same one again; see `load_engine`."""
        if prompt not in self._engines:
            self._engines[prompt] = load_engine(self.path, prompt, self._threads)
        return self._engines[prompt]

    def classify(
        self, engine: Engine, images: Iterable[tuple[Frame, np.ndarray | None]]
    ) -> Iterator[tuple[Frame, np.ndarray | None]]:
        """Yield each frame with the probabilities of the `labels`, where it has an image."""
        below = self.card.unknown_below if self.unknown else None
        for frame, probabilities in engine.stream(images):
            if probabilities is None or below is None:
                yield frame, probabilities
            else:
                yield frame, with_none(probabilities, below)


def with_none(probabilities: np.ndarray, below: float) -> np.ndarray:
    """Return (classes,) probabilities with one more, of none of them, at the end.

    It is the most probable one where the largest of the others is lower than `below`, and grows
    with what that leaves. So smoothing treats it as a class: what it averages is how unsure the
    model is, and not how often it is too unsure.
    """
    none = (1 - probabilities.max()) * below / (1 - below)
    together: np.ndarray = np.append(probabilities, none) / (1 + none)
    return together
