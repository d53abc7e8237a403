"""PyAV, silent."""

import av
import av.filter
from av.stream import Discard

av.logging.set_level(None)

__all__ = ["Discard", "av"]
