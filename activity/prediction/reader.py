"""Frames in: of a video file, a camera or a network stream."""

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Self

import numpy as np

from activity.errors import UserError, cannot_be_read
from activity.prediction.sources import is_stream, shown
from activity.prediction.stop import Stop
from activity.quiet.opencv import cv2
from activity.text import is_utf8

# Used where the container does not say, or says something no camera does.
USUAL_FPS = 30.0
HIGHEST_FPS = 1000.0
# A damaged packet looks like the end of the file; a healthy frame may follow this many packets on.
DAMAGED_PACKETS = 64
# Of a stream, in milliseconds; OpenCV's own are half a minute.
TIMEOUTS = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 5_000)
RECONNECT_PAUSES = (1.0, 2.0, 4.0)  # seconds before each attempt


@dataclass(slots=True)
class Frame:
    """One frame on its way through the program."""

    number: int  # in the clip, from 0
    time: float  # seconds from the clip's beginning
    picture: np.ndarray  # (H, W, 3) uint8 BGR, which is drawn on later
    seen: np.ndarray | None = None  # (side, side, 3) uint8 RGB, if the model is to see it


class VideoReader:
    """Reads the frames of a video file, a camera or a network stream, upright, one at a time.

    `start` and `end`, in seconds, bound what is read. `decoded` is the number of frames from the
    clip's beginning to the last one read; `claimed` is how many the container says it has, an
    estimate (None if it says nothing). `live` tells that frames come at their own pace and cannot
    wait. Where such a source breaks off it is taken up again, `reconnections` times so far, until
    that fails several times in a row or `stop` is wanted. Raises `UserError` for a source that is
    missing or delivers no frame.
    """

    def __init__(
        self,
        source: str | Path,
        start: float = 0.0,
        end: float | None = None,
        stop: Stop | None = None,
    ) -> None:
        self._source = source = str(source)
        if not is_utf8(source):
            raise self._error("is not named in UTF-8, as OpenCV needs it; rename it")
        self._stop = stop
        if not is_stream(source):
            _require_file(source)
        self._capture = self._open()
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps <= HIGHEST_FPS and math.isfinite(fps) else USUAL_FPS
        claimed = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.claimed = claimed if claimed > 0 else None
        self.live = is_stream(source) and self.claimed is None
        self.decoded = self._skip(round(start * self.fps))
        first_end = self.decoded + 1
        self.end = math.inf if end is None else max(first_end, round(end * self.fps))
        self.reconnections = 0
        self._free: deque[np.ndarray] = deque()
        # The first frame is read here, so that a source without one fails before anything slow.
        self._first: np.ndarray | None = self._read()
        if self._first is None:
            self._capture.release()
            if self.decoded:
                raise self._error(f"has no frame at {start:g} s; begin earlier")
            if is_stream(source):
                raise self._error("gives no frame; is it connected, and reachable?")
            raise self._error("holds no frame that can be decoded; is it a video?")
        self.height, self.width = self._first.shape[:2]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame."""
        picture, self._first = self._first, None
        while picture is not None:
            number = self.decoded
            self.decoded += 1
            yield Frame(number, number / self.fps, picture)
            if self.decoded >= self.end:
                break
            picture = self._read()
            if picture is None and self.live:
                picture = self._reconnect()

    @property
    def expected(self) -> int | None:
        """How many frames there are to read, as far as anybody knows."""
        end = min(self.end, self.claimed or math.inf)
        return None if math.isinf(end) else int(end) - self.decoded

    def _error(self, fault: str) -> UserError:
        return UserError(f"{shown(self._source)} {fault}", self._source)

    def _open(self) -> cv2.VideoCapture:
        if self._source.isdecimal():
            capture = cv2.VideoCapture(int(self._source))
        else:
            options = TIMEOUTS if is_stream(self._source) else ()
            capture = cv2.VideoCapture(self._source, cv2.CAP_FFMPEG, options)
        # The default has changed between versions of OpenCV.
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return capture

    def _reconnect(self) -> np.ndarray | None:
        """Take up a source that broke off; return its next picture, or None if it is gone."""
        for pause in RECONNECT_PAUSES:
            if self._stop and self._stop.wanted:
                break
            time.sleep(pause)
            self._capture.release()
            self._capture = self._open()
            decoded, picture = self._capture.read()
            if decoded:
                self.reconnections += 1
                return picture
        return None

    def _skip(self, frames: int) -> int:
        """Go to a frame and return its number."""
        if frames and self.claimed is not None:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, frames)
            return frames
        return sum(1 for _ in takewhile(lambda _: self._capture.grab(), range(frames)))

    def recycle(self, frame: Frame) -> None:
        """Let the memory of a frame that nobody needs any more become that of a later one.

        Frames in fresh memory would cost time, and with several threads hundreds of megabytes.
        """
        self._free.append(frame.picture)

    def _read(self) -> np.ndarray | None:
        memory = self._free.popleft() if self._free else None
        for _ in range(DAMAGED_PACKETS):
            decoded, picture = self._capture.read(memory)
            if decoded:
                return picture
            if self.claimed is None or self.decoded >= self.claimed:
                break
        return None


def _require_file(source: str) -> None:
    """Raise `UserError` with the reason, where FFmpeg would only say that it sees no video."""
    path = Path(source)
    try:
        if not path.is_file():
            kind = "is a folder" if path.is_dir() else "does not exist"
            raise UserError(f"{source} {kind}; name a video file", source)
        path.open("rb").close()
    except OSError as error:
        raise cannot_be_read(source, error) from error
