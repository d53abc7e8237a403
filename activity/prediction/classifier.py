"""A trained model, ready for any number of clips."""

from pathlib import Path

from activity.engine import Engine, load_engine
from activity.model_file import read_card


class Classifier:
    """A model file: its card is read at once, an engine is loaded when a clip needs one.

    Raises `UserError` for a file that `train.py` did not write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.card = read_card(path)
        self._engines: dict[bool, Engine] = {}

    def engine(self, prompt: bool) -> Engine:
        """Return an engine that runs the model, the same one again; see `load_engine`."""
        if prompt not in self._engines:
            self._engines[prompt] = load_engine(self.path, prompt)
        return self._engines[prompt]
