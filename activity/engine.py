"""Outputs of a Keras model for a batch of images, fast and the same for every batch size."""

from collections.abc import Sequence

import numpy as np

from activity.runtime import keras, tf


class KerasEngine:
    """Runs a model on up to `batch_size` images a call.

    The graph is compiled once, for one shape, and a shorter batch is padded. So an image gives the
    same output, whatever it is batched with.
    """

    def __init__(self, model: keras.Model, batch_size: int) -> None:
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
