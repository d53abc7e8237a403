"""A trained model, ready for any number of clips."""

from pathlib import Path

from activity.engine import Engine, load_engine
from activity.model_file import read_metadata


class Classifier:
    """A model file: its metadata is read at once, an engine is loaded when a clip needs one.

    `threads` are those of its engines, see `load_engine`. Raises `UserError` for a file that
    `train.py` did not write.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path, self._threads = path, threads
        self.metadata = read_metadata(path)
        self.labels = self.metadata.labels
        self._engines: dict[bool, Engine] = {}

    def engine(self, low_latency: bool = False) -> Engine:
        """Return an engine that runs the model, the same one again; see `load_engine`."""
        if low_latency not in self._engines:
            self._engines[low_latency] = load_engine(self.path, low_latency, self._threads)
        return self._engines[low_latency]
