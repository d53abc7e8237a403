"""OpenCV decodes cameras, ordinary video files and pictures."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from activity.errors import SourceError
from activity.pictures import read_image
from activity.quiet.opencv import cv2
from activity.video.backends import ATTEMPTS, CLOCK, Decoded, Format, NoFrameError, Pool, usable_fps


class OpenCVBackend:
    """A camera, by its number, or a video file, with the format that PyAV found in it.

    Raises `NoFrameError` for one that cannot be opened.
    """

    def __init__(self, source: int | str, format: Format | None = None) -> None:
        is_camera = isinstance(source, int)
        self._attempts = 1 if is_camera else ATTEMPTS
        self._capture = cv2.VideoCapture(source, cv2.CAP_ANY if is_camera else cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise NoFrameError
        # The default has changed between versions of OpenCV.
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        fps = usable_fps(self._capture.get(cv2.CAP_PROP_FPS))
        self.format = format or Format(fps, fps, CLOCK)

    def decode(self, pool: Pool, start: float = 0.0) -> Decoded:
        """Yield each frame; see `Backend`."""
        number = failures = 0
        first = None
        while failures < (1 if number == self.format.claimed else self._attempts):
            decoded, picture = self._capture.read(pool.popleft() if pool else None)
            if not decoded:
                failures += 1
                continue
            time = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            first = time if first is None else first
            # The last frames of an .avi may have none, for which OpenCV gives one before the first.
            since = round(time - first + self.format.first, 6) if time >= first else None
            yield number, since, picture
            number, failures = number + 1, 0

    def close(self) -> None:
        """Release the camera or the file."""
        self._capture.release()


class PictureBackend:
    """Pictures, shown at a rate; those that cannot be decoded are left out, and are its `loss`.

    Raises `SourceError` where none of those that are read can be.
    """

    def __init__(self, files: Sequence[Path], fps: float) -> None:
        self._files = files
        self._faults: list[str] = []
        time_base = 1 / Fraction(fps).limit_denominator(1001)
        self.format = Format(fps, fps, time_base, len(files), len(files) / fps)

    def decode(self, pool: Pool, start: float = 0.0) -> Decoded:
        """Yield each picture; see `Backend`."""
        # One more, as times are rounded; at least the last, or there would seem to be none at all.
        first = min(max(0, int(start * self.format.fps) - 1), len(self._files) - 1)
        number = first
        for index, file in enumerate(self._files[first:], first):
            try:
                image = read_image(file)[1]
            except SourceError as error:
                self._faults.append(str(error))
                continue
            memory = pool.popleft() if pool else None
            yield number, index / self.format.fps, cv2.cvtColor(image, cv2.COLOR_RGB2BGR, memory)
            number += 1
        if number == first:
            raise SourceError(self._faults[0])

    @property
    def loss(self) -> str:
        """What could not be decoded so far, in words; else nothing."""
        if not self._faults:
            return ""
        lost = f"{len(self._faults)} of {len(self._files)} pictures"
        return f": {lost} cannot be decoded; {self._faults[0]}"

    def close(self) -> None:
        """Do nothing: no picture is kept open."""
