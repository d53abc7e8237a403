"""Outputs of a model for a stream of images, fast and the same for every batch size.

Each image travels with a key, which comes out again beside its outputs. Each engine imports its
library only when it is made: TensorFlow takes seconds to import.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from activity.model_file import cannot_be_loaded, load_model, load_openvino_model
from activity.text import one_line

if TYPE_CHECKING:
    import keras
    import openvino

# Images per call of the model. Fewer mean less memory, more are no faster on a CPU.
KERAS_BATCH = 16
OPENVINO_BATCH = 2

Key = TypeVar("Key")
# An image, and its outputs: a key without the one comes out without the other.
Image = TypeVar("Image", np.ndarray, np.ndarray | None)


def batches(items: Iterable[tuple[Key, Image]], size: int) -> Iterator[list[tuple[Key, Image]]]:
    """Yield the items in order, in lists with `size` images, the last one shorter.

    If the size is 1, nothing waits: a key without an image is a list of its own.
    """
    batch: list[tuple[Key, Image]] = []
    images = 0
    for item in items:
        batch.append(item)
        images += item[1] is not None
        if images == size or size == 1:
            yield batch
            batch, images = [], 0
    if batch:
        yield batch


class KerasEngine:
    """Runs a Keras model, compiled once for one shape; a shorter batch is padded."""

    def __init__(self, model: "keras.Model", batch_size: int = KERAS_BATCH) -> None:
        from activity.quiet.keras import tf

        self._inputs = np.zeros((batch_size, *model.input_shape[1:]), np.uint8)
        self._function = tf.function(
            lambda images: model(tf.cast(images, tf.float32), training=False),
            input_signature=[tf.TensorSpec(self._inputs.shape, tf.uint8)],
        )
        self._function(self._inputs)  # compiles it

    def stream(self, items: Iterable[tuple[Key, Image]]) -> Iterator[tuple[Key, Image]]:
        """Yield each key with the (outputs,) float32 outputs of its image, in order.

        Images are (height, width, 3) uint8 RGB. A key without an image comes out in its turn,
        without outputs. Unless the batch size is 1, items are taken ahead of those yielded.
        """
        for batch in batches(items, len(self._inputs)):
            pictured = _fill(self._inputs, batch)
            yield from _keyed(batch, self._function(self._inputs).numpy() if pictured else ())


class OpenVINOEngine:
    """Runs an OpenVINO model: several batches at the same time, each on a core of its own.

    A batch of 1 is for low latency: one image at a time, on all cores. What is not int8 runs in
    bfloat16 where the processor can, as OpenVINO does by itself.
    """

    def __init__(
        self, model: "openvino.Model", batch_size: int = OPENVINO_BATCH, threads: int | None = None
    ) -> None:
        from activity.quiet.openvino import ov

        self._batch_size, alone = batch_size, batch_size == 1
        _, *image = model.inputs[0].partial_shape
        model.reshape([batch_size, *image])
        options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY" if alone else "THROUGHPUT"}
        if threads:
            # Without pinning, as all processes of a machine would be pinned to the same cores.
            options |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        compiled = ov.Core().compile_model(model, "CPU", options)
        # One more than can run at the same time, so that none of them waits for the next batch.
        count = 1 if alone else compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1
        self._requests = [compiled.create_infer_request() for _ in range(count)]

    def stream(self, items: Iterable[tuple[Key, Image]]) -> Iterator[tuple[Key, Image]]:
        """Yield each key with the outputs of its image; see `KerasEngine`."""
        running: deque[tuple[openvino.InferRequest, list[tuple[Key, Image]]]] = deque()

        def finished() -> Iterator[tuple[Key, Image]]:
            request, batch = running.popleft()
            request.wait()
            # A copy, as the memory of the outputs is used again.
            return _keyed(batch, request.get_output_tensor().data.copy())

        # They take turns, so the next one is always the one that was started first.
        requests = cycle(self._requests)
        for request, batch in zip(requests, batches(items, self._batch_size), strict=False):
            request.wait()  # a stream that was left in the middle may have started it
            if _fill(request.get_input_tensor().data, batch):
                request.start_async()
            running.append((request, batch))
            if len(running) == len(self._requests):
                yield from finished()
        while running:
            yield from finished()


Engine = KerasEngine | OpenVINOEngine


def load_engine(path: Path, low_latency: bool = False, threads: int | None = None) -> Engine:
    """Load a model for inference: OpenVINO for a name ending in `.xml`, Keras for any other.

    With `low_latency` it computes one image at a time, and answers before it takes the next.
    OpenVINO uses this number of `threads`, by default one per core. Raises `UserError` if the model
    cannot be loaded.
    """
    model = load_openvino_model(path) if path.suffix == ".xml" else load_model(path)
    try:
        if path.suffix == ".xml":
            return OpenVINOEngine(model, 1 if low_latency else OPENVINO_BATCH, threads)
        return KerasEngine(model, 1 if low_latency else KERAS_BATCH)
    except Exception as error:  # a model can be readable and still not computable
        raise cannot_be_loaded(path, one_line(error)) from error


def _fill(inputs: np.ndarray, batch: list[tuple[Key, Image]]) -> bool:
    """Put the images of a batch into the first rows of `inputs`; tell whether there is one."""
    images = [image for _, image in batch if image is not None]
    for row, image in enumerate(images):
        inputs[row] = image
    return bool(images)


def _keyed(
    batch: list[tuple[Key, Image]], outputs: Iterable[np.ndarray]
) -> Iterator[tuple[Key, Image]]:
    """Put the rows of the outputs beside the keys that have an image."""
    rows = iter(outputs)
    return ((key, None if image is None else next(rows)) for key, image in batch)
