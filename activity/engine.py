"""Outputs of a model for a stream of images, fast and the same for every batch size.

Each engine imports its library only when it is made: TensorFlow takes seconds to import.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from activity.artifacts import cannot_be_loaded, load_model, load_openvino_model
from activity.cli import one_line
from activity.pipeline import batches

if TYPE_CHECKING:
    import keras
    import openvino

# Images a call of the model. Fewer mean less memory, more are no faster on a CPU; a GPU wants more.
KERAS_BATCH = 16
OPENVINO_BATCH = 2


class Engine(Protocol):
    """Computes the outputs of a model."""

    def stream(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the (outputs,) float32 outputs of (height, width, 3) uint8 RGB images, in order.

        It takes some images more than it has yielded outputs, unless it was loaded as `prompt`.
        """


def load_engine(path: Path, batch_size: int | None = None, prompt: bool = False) -> Engine:
    """Load a model for inference: OpenVINO for a name ending in `.xml`, Keras for any other.

    If `prompt`, it computes one image at a time and answers before it takes the next one. Raises
    `UserError` if it cannot be loaded.
    """
    if prompt:
        batch_size = 1
    model = load_openvino_model(path) if path.suffix == ".xml" else load_model(path)
    try:
        if path.suffix == ".xml":
            return OpenVINOEngine(model, batch_size or OPENVINO_BATCH, prompt)
        return KerasEngine(model, batch_size or KERAS_BATCH)
    except Exception as error:  # a model can be readable and still not computable
        raise cannot_be_loaded(path, one_line(error)) from error


class KerasEngine:
    """Runs a Keras model.

    The graph is compiled once, for one shape, and a shorter batch is padded. So an image gives the
    same output, whatever it is batched with.
    """

    def __init__(self, model: "keras.Model", batch_size: int = KERAS_BATCH) -> None:
        from activity.runtime import tf

        # A single row would take another matrix kernel, which rounds differently in the last bits.
        rows = max(2, batch_size)
        self._batch_size = batch_size
        self._inputs = np.zeros((rows, *model.input_shape[1:]), np.uint8)
        self._function = tf.function(
            lambda images: model(tf.cast(images, tf.float32), training=False),
            input_signature=[tf.TensorSpec(self._inputs.shape, tf.uint8)],
        )
        self._function(self._inputs)  # compiles it

    def stream(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the (outputs,) float32 outputs of (height, width, 3) uint8 RGB images, in order."""
        for batch in batches(images, self._batch_size):
            for row, image in enumerate(batch):
                self._inputs[row] = image
            yield from self._function(self._inputs).numpy()[: len(batch)]


class OpenVINOEngine:
    """Runs an OpenVINO model: several batches at the same time, each on a core of its own.

    If `prompt`, it is one batch on all cores. What is not int8 runs in bfloat16 where the processor
    can, as OpenVINO does by itself.
    """

    def __init__(
        self, model: "openvino.Model", batch_size: int = OPENVINO_BATCH, prompt: bool = False
    ) -> None:
        import openvino as ov

        self._batch_size = batch_size
        shape = model.inputs[0].partial_shape
        shape[0] = batch_size
        model.reshape(shape)
        hint = "LATENCY" if prompt else "THROUGHPUT"
        compiled = ov.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": hint})
        # One more than can run at the same time, so that none of them waits for the next batch.
        count = 1 if prompt else compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1
        self._requests = [compiled.create_infer_request() for _ in range(count)]

    def stream(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the (outputs,) float32 outputs of (height, width, 3) uint8 RGB images, in order."""
        running: deque[tuple[openvino.InferRequest, int]] = deque()
        # They take turns, so the next one is always the one that was started first.
        for request, batch in zip(
            cycle(self._requests), batches(images, self._batch_size), strict=False
        ):
            inputs = request.get_input_tensor().data
            for row, image in enumerate(batch):
                inputs[row] = image
            request.start_async()
            running.append((request, len(batch)))
            if len(running) == len(self._requests):
                yield from _finished(*running.popleft())
        for request, rows in running:
            yield from _finished(request, rows)


def _finished(request: "openvino.InferRequest", rows: int) -> np.ndarray:
    request.wait()
    outputs: np.ndarray = request.get_output_tensor().data[:rows].copy()  # its memory is reused
    return outputs
