"""What decodes: OpenCV, PyAV and single pictures, behind one protocol."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

USUAL_FPS = 30.0  # where a source does not say, or says something no camera does
HIGHEST_FPS = 1000.0
# A damaged packet may look like the end; a healthy one may follow this many packets on.
DAMAGED_PACKETS = 64
CLOCK = Fraction(1, 90_000)  # seconds; the time base where times are those of arrival


# A picture, or what makes it: a frame that nobody looks at need not be converted.
Picture = np.ndarray | Callable[[], np.ndarray]


class NoFrameError(Exception):
    """A source cannot be opened, or nothing in it can be decoded."""


@dataclass(frozen=True)
class Colour:
    """How a video's numbers mean colours: the codes of ITU-T H.273, as FFmpeg has them."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool


@dataclass(frozen=True)
class Sound:
    """Where the sound of a clip is."""

    address: str  # of the clip
    origin: float  # the time of the clip's first frame in seconds, as the container counts


@dataclass(frozen=True)
class Format:
    """What a source says about itself."""

    fps: float  # frames/s, on average
    base_fps: float  # of the constant rate at which no frame would be left out
    time_base: Fraction  # seconds; times are whole multiples of it
    claimed: int | None = None  # frames, if it says how many
    duration: float | None = None  # seconds from its first frame to its end, as far as is known
    is_estimate: bool = False  # the duration: it does not say so, its last packets do
    colour: Colour | None = None  # of what is decoded; None for the colours of a screen
    sound: Sound | None = None


class Pool:
    """Memory of frames that nobody needs any more, for later ones.

    Frames in fresh memory would cost time, and with several threads hundreds of megabytes.
    """

    def __init__(self) -> None:
        self._free: deque[np.ndarray] = deque(maxlen=8)

    def put(self, picture: np.ndarray) -> None:
        """Take back a picture's memory."""
        self._free.append(picture)

    def get(self) -> np.ndarray | None:
        """Return memory to write to, if there is some."""
        return self._free.popleft() if self._free else None


class Backend(Protocol):
    """An open source; `tests/test_backends.py` has what all of them promise."""

    @property
    def format(self) -> Format:
        """What the source says about itself."""

    def decode(self, pool: Pool, start: float = 0.0) -> Iterator[tuple[int, float | None, Picture]]:
        """Yield the number, the time and the picture of each frame that was decoded, in order.

        Numbers count the clip's frames from 0. Times are seconds since the clip's first frame, as
        the container has them; None where it has none. Pictures are (H, W, 3) uint8 BGR, upright,
        as they are to be shown, or what returns one. Frames before `start`, in seconds, may be
        left out.
        """

    def close(self) -> None:
        """Release the source."""


def usable_fps(*candidates: Fraction | float | None) -> float:
    """Return the first of these frame rates that some camera has, or else the usual one."""
    for fps in candidates:
        if fps is not None and 0 < fps <= HIGHEST_FPS:
            return float(fps)
    return USUAL_FPS
