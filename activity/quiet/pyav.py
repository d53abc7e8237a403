"""PyAV, silent."""

import av
import av.filter
from av.format import Flags
from av.stream import Discard, Disposition

av.logging.set_level(None)

# Videos of a container that no player shows as such.
COVERS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

__all__ = ["COVERS", "Discard", "Disposition", "Flags", "av"]
