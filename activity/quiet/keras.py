"""TensorFlow and Keras, without what they print about themselves.

Importing them takes seconds, so only what trains or runs a Keras model may do it.
"""

import os
import sys
import tempfile

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# That level does not reach the lines that are written before TensorFlow's own logging is set up, so
# what C++ code writes to stderr is held back, and shown only if the import fails.
sys.stderr.flush()
_stderr = os.dup(2)
with tempfile.TemporaryFile() as held:
    os.dup2(held.fileno(), 2)
    try:
        import keras
        import tensorflow as tf

        # The search for a GPU prints, too, so it is made here and not at the first computation.
        tf.config.list_physical_devices()
    except BaseException:
        held.seek(0)
        os.write(_stderr, held.read())
        raise
    finally:
        os.dup2(_stderr, 2)
        os.close(_stderr)

__all__ = ["keras", "tf"]
