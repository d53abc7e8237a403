"""OpenCV decodes cameras and ordinary video files."""

from collections.abc import Iterator

import numpy as np

from activity.quiet.opencv import cv2
from activity.video.backends import (
    CLOCK,
    DAMAGED_PACKETS,
    Format,
    NoFrameError,
    Pool,
    usable_fps,
)


class OpenCVBackend:
    """A camera, by its number, or a video file, of which something else told the format.

    Raises `NoFrameError` for one that cannot be opened.
    """

    def __init__(self, source: int | str, format: Format | None = None) -> None:
        if isinstance(source, int):
            self._capture = cv2.VideoCapture(source)
            self._attempts = 1
        else:
            self._capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG)
            self._attempts = DAMAGED_PACKETS
        if not self._capture.isOpened():
            raise NoFrameError
        # The default has changed between versions of OpenCV.
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        fps = usable_fps(self._capture.get(cv2.CAP_PROP_FPS))
        self.format = format or Format(fps, fps, CLOCK)

    def decode(
        self,
        pool: Pool,
        start: float = 0.0,  # noqa: ARG002
    ) -> Iterator[tuple[int, float | None, np.ndarray]]:
        """Yield each frame; see `Backend`."""
        number, first = 0, None
        while (picture := self._read(pool.get(), number)) is not None:
            time = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            first = time if first is None else first
            # The last frames of an .avi may have none, for which OpenCV gives one before the first.
            yield number, round(time - first, 6) if time >= first else None, picture
            number += 1

    def _read(self, memory: np.ndarray | None, number: int) -> np.ndarray | None:
        for _ in range(self._attempts):
            decoded, picture = self._capture.read(memory)
            if decoded:
                return picture
            if number == self.format.claimed:
                break
        return None

    def close(self) -> None:
        """Release the camera or the file."""
        self._capture.release()
