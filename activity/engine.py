"""Outputs of a model for a batch of images, fast and the same for every batch size.

Each engine imports its library only when it is made: TensorFlow takes seconds to import.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from activity.artifacts import load_model
from activity.cli import UserError

if TYPE_CHECKING:
    import keras
    import openvino

Item = TypeVar("Item")


class Engine(Protocol):
    """Computes the outputs of up to `batch_size` images a call."""

    batch_size: int

    def __call__(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the (N, outputs) float32 outputs of N (height, width, 3) uint8 RGB images."""


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items in order, the last one shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def load_engine(path: Path, batch_size: int) -> Engine:
    """Load a model for inference: OpenVINO for a name ending in `.xml`, Keras for any other.

    Raises `UserError` if it cannot be loaded.
    """
    if path.suffix == ".xml":
        return OpenVINOEngine(path, batch_size)
    return KerasEngine(load_model(path), batch_size)


class KerasEngine:
    """Runs a Keras model.

    The graph is compiled once, for one shape, and a shorter batch is padded. So an image gives the
    same output, whatever it is batched with.
    """

    def __init__(self, model: "keras.Model", batch_size: int) -> None:
        from activity.runtime import tf

        # A single row would take another matrix kernel, which rounds differently in the last bits.
        rows = max(2, batch_size)
        self.batch_size = batch_size
        self._batch = np.zeros((rows, *model.input_shape[1:]), np.uint8)
        self._function = tf.function(
            lambda images: model(tf.cast(images, tf.float32), training=False),
            input_signature=[tf.TensorSpec(self._batch.shape, tf.uint8)],
        )
        self._function(self._batch)  # compiles it

    def __call__(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the (N, outputs) float32 outputs of N (height, width, 3) uint8 RGB images."""
        for row, image in enumerate(images):
            self._batch[row] = image
        outputs: np.ndarray = self._function(self._batch).numpy()
        return outputs[: len(images)]


class OpenVINOEngine:
    """Runs an OpenVINO model, one image a request and a request a core at the same time."""

    def __init__(self, path: Path, batch_size: int) -> None:
        import openvino as ov

        self.batch_size = batch_size
        try:
            model = ov.Core().compile_model(path, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
        except RuntimeError as error:
            weights = path.with_suffix(".bin")
            reason = str(error).strip().splitlines()[-1]
            if not weights.is_file():
                reason = f"{weights} is missing"
            raise UserError(
                f"--model {path} cannot be loaded ({reason}); train it again"
            ) from error
        self._requests = ov.AsyncInferQueue(model)
        self._requests.set_callback(self._collect)
        self._outputs: dict[int, np.ndarray] = {}

    def __call__(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the (N, outputs) float32 outputs of N (height, width, 3) uint8 RGB images."""
        for row, image in enumerate(images):
            self._requests.start_async({0: image[None]}, row)
        self._requests.wait_all()
        return np.stack([self._outputs.pop(row) for row in range(len(images))])

    def _collect(self, request: "openvino.InferRequest", row: int) -> None:
        self._outputs[row] = request.get_output_tensor().data[0].copy()
