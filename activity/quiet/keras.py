"""TensorFlow and Keras, without what they print about themselves.

Importing them takes seconds, so only what trains or runs a Keras model may do it.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Hold back what C++ code writes to stderr, and show it only if the block fails."""
    # TF_CPP_MIN_LOG_LEVEL does not reach the lines that are written before TensorFlow's own
    # logging is set up, so the file descriptor has to be redirected.
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


with _held_back_stderr():
    import keras
    import tensorflow as tf

    # The search for a GPU prints, too, so it is made here rather than at the first computation.
    tf.config.list_physical_devices()

__all__ = ["keras", "tf"]
