"""Frames out: the annotated video, checked before it stands under its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from activity.errors import UserError
from activity.files import written_whole
from activity.prediction.reader import Frame
from activity.prediction.smoothing import Prediction
from activity.quiet.opencv import cv2

CODECS = {".avi": "MJPG", ".mp4": "mp4v"}
JPEG_QUALITY = 85


class VideoWriter:
    """Encodes pictures: MJPG for `.avi`, mp4v for `.mp4`; made by `video_writer`.

    All get the size of the first. `begin` is the number of the clip's first frame to be written.
    """

    def __init__(self, path: Path, fps: float, begin: int = 0) -> None:
        self.written = 0
        self._next = begin
        self._path = path
        self._fps = fps
        self._codec = CODECS[path.suffix.lower()]
        self._encoder: cv2.VideoWriter | None = None

    def add(self, frame: Frame, _: Prediction) -> None:
        """Append a frame; it also stands for those dropped before it, so that time is kept."""
        self.write(frame.picture, times=frame.number + 1 - self._next)
        self._next = frame.number + 1

    def write(self, picture: np.ndarray, times: int = 1) -> None:
        """Append an (H, W, 3) uint8 BGR picture, shown for as many frames as `times` says."""
        if self._encoder is None:
            self._size = (picture.shape[1], picture.shape[0])
            self._encoder = self._open(picture)
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size)
        if self._codec == "MJPG":
            # Such a video is a row of JPEG files, and OpenCV's JPEG encoder (libjpeg-turbo) takes
            # less than half the time of its video encoder (FFmpeg).
            _, encoded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        else:
            encoded = _with_even_sides(picture)  # the encoder does the rest
        for _ in range(times):
            self._encoder.write(encoded)
        self.written += times

    def _open(self, picture: np.ndarray) -> cv2.VideoWriter:
        options: tuple[int, ...] = ()
        if self._codec == "MJPG":
            options = (cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1)  # it gets encoded frames
        else:
            picture = _with_even_sides(picture)
        height, width = picture.shape[:2]
        fourcc = cv2.VideoWriter.fourcc(*self._codec)
        encoder = cv2.VideoWriter(
            str(self._path), cv2.CAP_FFMPEG, fourcc, self._fps, (width, height), options
        )
        if not encoder.isOpened():
            raise UserError(f"no video of {width}x{height} pixels can be written to {self._path}")
        return encoder

    def close(self) -> None:
        """Finish the file, so that players can open it."""
        if self._encoder is not None:
            self._encoder.release()


def _with_even_sides(picture: np.ndarray) -> np.ndarray:
    """Repeat the last row or column of a picture with an odd side, which mp4v cannot have."""
    bottom, right = picture.shape[0] % 2, picture.shape[1] % 2
    if not bottom and not right:
        return picture
    return cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE)


@contextmanager
def video_writer(path: Path, fps: float, begin: int = 0) -> Iterator[VideoWriter]:
    """Give a writer whose video stands at `path` once it is complete.

    Raises `UserError` if the file lacks frames in the end: OpenCV drops them without a word, for
    example when the disk is full.
    """
    with written_whole(path) as partial:
        writer = VideoWriter(partial, fps, begin)
        try:
            yield writer
        finally:
            writer.close()
        capture = cv2.VideoCapture(str(partial), cv2.CAP_FFMPEG)
        found = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        capture.release()
        if found != writer.written:
            raise UserError(
                f"{path} was not kept: it holds {found} of {writer.written} frames; "
                "is the disk full?",
                path,
            )
