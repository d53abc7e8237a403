"""PyAV, silent."""

import av
import av.filter
from av.format import Flags
from av.stream import Discard, Disposition

av.logging.set_level(None)

__all__ = ["Discard", "Disposition", "Flags", "av"]
