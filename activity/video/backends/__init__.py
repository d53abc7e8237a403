"""What decodes videos: OpenCV and PyAV, behind one protocol."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

USUAL_FPS = 30.0  # where a source does not say, or says something no camera does
HIGHEST_FPS = 1000.0
ATTEMPTS = 64  # to read on where a damaged packet looks like the end
CLOCK = Fraction(1, 90_000)  # seconds; the time base where times are those of arrival

# Pictures are (H, W, 3) uint8 BGR, upright, in their displayed shape; or a function that returns
# one, as a frame that nobody looks at need not be converted.
Picture = np.ndarray | Callable[[], np.ndarray]
# A frame's number, counted from the clip's first, its time in seconds on the clock of a player, or
# None where the container has none, and its picture.
Decoded = Iterator[tuple[int, float | None, Picture]]
# Memory of frames that nobody needs any more, for later ones: fresh memory would cost time, and
# with several threads hundreds of megabytes.
Pool = deque[np.ndarray]


class NoFrameError(Exception):
    """A source cannot be opened, or nothing in it can be decoded; the message may say why."""


@dataclass(frozen=True)
class Colour:
    """How a video's numbers become colours: the codes of ITU-T H.273, as FFmpeg has them."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool


@dataclass(frozen=True)
class Format:
    """What a source says about itself."""

    fps: float  # frames/s, on average
    base_fps: float  # of the constant rate at which no frame would be left out
    time_base: Fraction  # seconds; times are whole multiples of it
    claimed: int | None = None  # frames, if it says how many
    end: float | None = None  # the time at which the video ends, as far as is known
    is_estimate: bool = False  # the end: it does not say so, its last packets do
    colour: Colour | None = None  # of what is decoded; None for the colours of a screen
    sound: str | None = None  # the address of the clip, if it has some
    origin: float = 0.0  # the zero of these times in seconds, as the container counts
    begin: float = 0.0  # the time at which a player begins, with sound, perhaps
    first: float = 0.0  # the time of the first frame


class Backend(Protocol):
    """An open source; `tests/test_backends.py` has what all of them promise."""

    format: Format

    def decode(self, pool: Pool, start: float = 0.0) -> Decoded:
        """Yield each frame that decodes, in order; those before `start`, in s, may be left out."""

    def close(self) -> None:
        """Release the source."""


def usable_fps(*candidates: Fraction | float | None) -> float:
    """Return the first of these frame rates that some camera has, or else the usual one."""
    usable = (fps for fps in candidates if fps is not None and 0 < fps <= HIGHEST_FPS)
    return float(next(usable, USUAL_FPS))
