"""Frames in and frames out: the reader, the writer and the preview window."""

import math
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from activity.artifacts import written_whole
from activity.cli import Stop, UserError, cannot_be_read, is_utf8
from activity.sources import is_stream

CODECS = {".avi": "MJPG", ".mp4": "mp4v"}
JPEG_QUALITY = 85
# Used where the container does not say, or says something no camera does.
USUAL_FPS = 30.0
HIGHEST_FPS = 1000.0
# A damaged packet looks like the end of the file; a healthy frame may follow this many packets on.
DAMAGED_PACKETS = 64
# Of a stream, in milliseconds; OpenCV's own are half a minute.
TIMEOUTS = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 5_000)
RECONNECT_PAUSES = (1.0, 2.0, 4.0)  # seconds before each attempt


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
            raise UserError(
                f"--input {source} is not named in UTF-8, as OpenCV needs it; rename it"
            )
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
                raise UserError(
                    f"--input {source} has no frame at --start {start:g}; begin earlier"
                )
            if is_stream(source):
                raise UserError(f"--input {source} gives no frame; is it connected, and reachable?")
            raise UserError(f"--input {source} holds no frame that can be decoded; is it a video?")
        self.height, self.width = self._first.shape[:2]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield every frame as (H, W, 3) uint8 BGR."""
        frame, self._first = self._first, None
        while frame is not None:
            self.decoded += 1
            yield frame
            if self.decoded >= self.end:
                break
            frame = self._read()
            if frame is None and self.live:
                frame = self._reconnect()

    @property
    def expected(self) -> int | None:
        """How many frames there are to read, as far as anybody knows."""
        end = min(self.end, self.claimed or math.inf)
        return None if math.isinf(end) else int(end) - self.decoded

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
        """Take up a source that broke off, and return its next frame, or None if it is gone."""
        for pause in RECONNECT_PAUSES:
            if self._stop and self._stop.wanted:
                break
            time.sleep(pause)
            self._capture.release()
            self._capture = self._open()
            decoded, frame = self._capture.read()
            if decoded:
                self.reconnections += 1
                return frame
        return None

    def _skip(self, frames: int) -> int:
        """Go to a frame and return its number."""
        if frames and self.claimed is not None:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, frames)
            return frames
        return sum(1 for _ in takewhile(lambda _: self._capture.grab(), range(frames)))

    def recycle(self, frame: np.ndarray) -> None:
        """Let the memory of a frame that nobody needs any more become that of a later one.

        Frames in fresh memory would cost time, and with several threads hundreds of megabytes.
        """
        self._free.append(frame)

    def _read(self) -> np.ndarray | None:
        memory = self._free.popleft() if self._free else None
        for _ in range(DAMAGED_PACKETS):
            decoded, frame = self._capture.read(memory)
            if decoded:
                return frame
            if self.claimed is None or self.decoded >= self.claimed:
                break
        return None


def _require_file(source: str) -> None:
    """Raise `UserError` with the reason, where FFmpeg would only say that it sees no video."""
    path = Path(source)
    try:
        if not path.is_file():
            kind = "is a folder" if path.is_dir() else "does not exist"
            raise UserError(f"--input {source} {kind}; name a video file")
        path.open("rb").close()
    except OSError as error:
        raise cannot_be_read("--input", source, error) from error


class VideoWriter:
    """Encodes frames: MJPG for `.avi`, mp4v for `.mp4`; made by `video_writer`.

    All frames get the size of the first.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.written = 0
        self._path = path
        self._fps = fps
        self._codec = CODECS[path.suffix.lower()]
        self._encoder: cv2.VideoWriter | None = None

    def write(self, frame: np.ndarray, times: int = 1) -> None:
        """Append an (H, W, 3) uint8 BGR frame, and show it for as many frames as `times` says."""
        if self._encoder is None:
            self._size = (frame.shape[1], frame.shape[0])
            self._encoder = self._open(frame)
        if (frame.shape[1], frame.shape[0]) != self._size:
            frame = cv2.resize(frame, self._size)
        if self._codec == "MJPG":
            # Such a video is a row of JPEG files, and OpenCV's JPEG encoder (libjpeg-turbo) takes
            # less than half the time of its video encoder (FFmpeg).
            _, encoded = cv2.imencode(".jpg", frame, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        else:
            encoded = _with_even_sides(frame)  # the encoder does the rest
        for _ in range(times):
            self._encoder.write(encoded)
        self.written += times

    def _open(self, frame: np.ndarray) -> cv2.VideoWriter:
        options: tuple[int, ...] = ()
        if self._codec == "MJPG":
            options = (cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1)  # it gets encoded frames
        else:
            frame = _with_even_sides(frame)
        height, width = frame.shape[:2]
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


def _with_even_sides(frame: np.ndarray) -> np.ndarray:
    """Repeat the last row or column of a frame with an odd side, which mp4v cannot have."""
    bottom, right = frame.shape[0] % 2, frame.shape[1] % 2
    if not bottom and not right:
        return frame
    return cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE)


@contextmanager
def video_writer(path: Path, fps: float) -> Iterator[VideoWriter]:
    """Give a writer whose video stands at `path` once it is complete.

    Raises `UserError` if the file lacks frames in the end: OpenCV drops them without a word, for
    example when the disk is full.
    """
    with written_whole(path) as partial:
        writer = VideoWriter(partial, fps)
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
                "is the disk full?"
            )


class Preview:
    """A window that shows frames while they are made, and asks for the end of the run.

    Where no window can be opened it says so in one line and shows nothing.
    """

    NAME = "preview"
    QUIT = (ord("q"), ord("Q"), 27)  # 27 is Esc
    PAUSE = ord(" ")
    # Larger frames are scaled down, so that the window fits on a laptop's screen.
    LARGEST = (1280, 720)

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._open = False
        self._possible = True
        # Without a display Qt aborts the whole process, so another one tries it first.
        self._trial = subprocess.Popen(
            [sys.executable, "-c", "import cv2; cv2.namedWindow('preview')"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._trial.wait()
        if self._open and self._is_visible():
            cv2.destroyWindow(self.NAME)

    def begin(self, clip: str, realtime_fps: float | None) -> None:
        """Announce a clip, to be shown no faster than at `realtime_fps`, if that is given."""
        self._title = f"{clip} - space: pause, q: quit"
        self._realtime_fps = realtime_fps
        self._shown = 0

    def show(self, frame: np.ndarray) -> None:
        """Show an (H, W, 3) uint8 BGR frame, and act on the keys pressed since the last one."""
        if self._shown == 0:
            self._open_for(frame)
        if not self._possible:
            return
        cv2.imshow(self.NAME, frame)
        self._shown += 1
        wait = 0.0
        if self._realtime_fps:
            wait = self._started + self._shown / self._realtime_fps - time.monotonic()
        key = cv2.waitKey(max(1, round(1000 * wait)))
        if key == self.PAUSE:
            key = self._pause()
        if key in self.QUIT or not self._is_visible():
            self._stop.wanted = True

    def _pause(self) -> int:
        """Wait for the key that ends the pause, and return it."""
        paused = time.monotonic()
        key = -1
        while key not in (self.PAUSE, *self.QUIT) and self._is_visible() and not self._stop.wanted:
            key = cv2.waitKey(50)
        self._started += time.monotonic() - paused
        return key

    def _is_visible(self) -> bool:
        try:
            return cv2.getWindowProperty(self.NAME, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # what Qt says once its last window has been closed with the mouse
            return False

    def _open_for(self, frame: np.ndarray) -> None:
        if self._possible and self._trial.wait() != 0:
            self._possible = False
            print("preview off: no window can be opened here (no display, or a headless OpenCV?)")
        if not self._possible:
            return
        height, width = frame.shape[:2]
        scale = min(1.0, self.LARGEST[0] / width, self.LARGEST[1] / height)
        if not self._open:
            flags = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
            cv2.namedWindow(self.NAME, flags)
            self._open = True
        cv2.setWindowTitle(self.NAME, self._title)
        cv2.resizeWindow(self.NAME, round(width * scale), round(height * scale))
        self._started = time.monotonic()
