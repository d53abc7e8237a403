"""Frames in: of a video file, numbered pictures, a camera or a network stream."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Self

import numpy as np

from activity.errors import UserError, cannot_be_read
from activity.text import is_utf8
from activity.video.backends import USUAL_FPS, Backend, NoFrameError, Picture, Pool
from activity.video.backends.opencv import OpenCVBackend
from activity.video.backends.pictures import PictureBackend
from activity.video.backends.pyav import PyAVBackend
from activity.video.sources import (
    camera_number,
    is_address,
    is_read_once,
    numbered_pictures,
    shown,
)
from activity.video.stop import Stop

RECONNECT_PAUSES = (1.0, 2.0, 4.0)  # seconds before each attempt
# Times are printed to the millisecond, and have to mean the same frame when they are given back.
HALF_A_MILLISECOND = 0.0005


class Frame:
    """One frame on its way through the program.

    `number` counts the clip's frames from 0, `time` is in seconds since the first one.
    """

    __slots__ = ("_picture", "number", "time")

    def __init__(self, number: int, time: float, picture: Picture) -> None:
        self.number, self.time = number, time
        self._picture: Picture | None = picture

    @property
    def picture(self) -> np.ndarray:
        """The (H, W, 3) uint8 BGR picture, which is drawn on later; converted when it is needed."""
        assert self._picture is not None
        if callable(self._picture):
            self._picture = self._picture()
        return self._picture

    def release(self) -> np.ndarray | None:
        """Give up the picture; return its memory, if it has some by now."""
        picture, self._picture = self._picture, None
        return None if callable(picture) else picture


class VideoReader:
    """Reads the frames of a source, upright and in their displayed shape, one at a time.

    OpenCV decodes cameras and ordinary files, PyAV the rest: `_open` has the rule. `start` and
    `end`, in seconds, bound what is read; `fps` is the rate of numbered pictures. A frame's time is
    that of the container, and of cameras and live streams that of its arrival.

    `decoded` is the number of frames from the clip's beginning to the last one read, `time` the
    time of that one. `live` tells that frames come at their own pace and cannot wait. Where such a
    source breaks off it is taken up again, `reconnections` times so far, until that fails several
    times in a row or `stop` is wanted. If `sparse`, few pictures are going to be looked at, and
    where that is possible the others are not converted. Raises `UserError` for a source that is
    missing or delivers no frame.
    """

    def __init__(
        self,
        source: str | Path,
        start: float = 0.0,
        end: float | None = None,
        stop: Stop | None = None,
        fps: float | None = None,
        sparse: bool = False,
    ) -> None:
        self._source = source = str(source)
        if not is_utf8(source):
            raise self._error("is not named in UTF-8, as OpenCV needs it; rename it")
        self._stop = stop or Stop()
        self._start, self._end = start, end
        self._fps = fps or USUAL_FPS
        self._sparse = sparse
        self._pool = Pool()
        self.decoded, self.time = 0, 0.0
        self.reached_end = False  # the one that was asked for, not that of the source
        self.reconnections = 0
        self.live = False
        self._pictures = numbered_pictures(source)
        if camera_number(source) is None and not is_address(source) and not self._pictures:
            self._require_file()
        self._frames = self._read()
        # The first frame is read here, so that a source without one fails before anything slow.
        try:
            self._backend = self._open()
            self._first = next(self._frames)
        except (NoFrameError, StopIteration):
            if self._stop.wanted:  # a pipe was waited for in vain
                raise KeyboardInterrupt from None
            raise self._without_frame() from None
        self.format = self._backend.format
        self.height, self.width = self._first.picture.shape[:2]

    def again(self, sparse: bool) -> Self:
        """Open the source once more; only for one that `can_be_read_again`."""
        return type(self)(self._source, self._start, self._end, self._stop, self._fps, sparse)

    @property
    def can_be_read_again(self) -> bool:
        """Tell whether it is a file, or numbered pictures; no camera, stream or pipe."""
        return not is_read_once(self._source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._backend.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame."""
        yield self._first
        yield from self._frames

    def recycle(self, frame: Frame) -> None:
        """Let the memory of a frame that nobody needs any more become that of a later one."""
        memory = frame.release()
        if memory is not None:
            self._pool.put(memory)

    @property
    def expected(self) -> int | None:
        """About how many frames there are to read, as far as anybody knows."""
        duration = self.format.duration
        if duration is None:
            return None
        frames = self.format.claimed or duration * self.format.fps
        seconds = min(self._end or duration, duration) - self._start
        return max(1, round(frames * seconds / duration)) if duration > 0 else None

    def _error(self, fault: str) -> UserError:
        return UserError(f"{shown(self._source)} {fault}", self._source)

    def _without_frame(self) -> UserError:
        if self.decoded:
            return self._error(f"has no frame at {self._start:g} s; begin earlier")
        if camera_number(self._source) is not None or is_address(self._source):
            return self._error("gives no frame; is it connected, and reachable?")
        return self._error("holds no frame that can be decoded; is it a video?")

    def _require_file(self) -> None:
        """Raise `UserError` with the reason, where FFmpeg would only say that it sees no video."""
        path = Path(self._source)
        try:
            if path.is_file():
                path.open("rb").close()
            elif not path.is_fifo():
                kind = "is a folder" if path.is_dir() else "does not exist"
                raise self._error(f"{kind}; name a video file")
        except OSError as error:
            raise cannot_be_read(self._source, error) from error

    def _open(self) -> Backend:
        """Open the source with what reads it right."""
        camera = camera_number(self._source)
        if camera is not None:
            self.live = True
            return OpenCVBackend(camera)
        if self._pictures:
            return PictureBackend(self._pictures, self._fps)
        opened = self._open_with_pyav()
        self.live = opened.live
        if is_address(self._source) or not opened.ordinary or self._start > 0 or self._sparse:
            return opened
        opened.close()
        return OpenCVBackend(self._address, opened.format)

    def _open_with_pyav(self) -> PyAVBackend:
        return PyAVBackend(self._address, lambda: self._stop.wanted, self._sparse)

    @property
    def _address(self) -> str:
        # FFmpeg takes what stands before a colon for a protocol, but not in an absolute path.
        return self._source if is_address(self._source) else str(Path(self._source).absolute())

    def _read(self) -> Iterator[Frame]:
        """Yield the frames between start and end, at least one, with times that increase."""
        time: float | None = None
        begun = False
        for number, told, picture in self._decode_live() if self.live else self._decode():
            if time is None:
                time = told or 0.0
            elif told is None or told <= time:
                time += 1 / self._backend.format.fps
            else:
                time = told
            if begun and self._end is not None and time >= self._end - HALF_A_MILLISECOND:
                self.reached_end = True
                return
            self.decoded, self.time = number + 1, time
            if time >= self._start - HALF_A_MILLISECOND:
                begun = True
                yield Frame(number, time, picture)

    def _decode(self) -> Iterator[tuple[int, float | None, Picture]]:
        """Yield what a source that can wait holds; see `Backend.decode`."""
        if not isinstance(self._backend, OpenCVBackend):
            yield from self._backend.decode(self._pool, self._start)
            return
        # OpenCV gives the last picture once more where it cannot convert the next one, as when a
        # film turns interlaced. So what it repeats, PyAV reads, and all that follows.
        number = 0
        glimpse = None
        for number, time, picture in self._backend.decode(self._pool):
            before, glimpse = glimpse, (picture.shape, picture[::16, ::16].tobytes())
            if before and (before == glimpse or before[0] != glimpse[0]):
                break
            yield number, time, picture
        else:
            return
        self._backend.close()
        self._backend = self._open_with_pyav()
        last = self.time
        for place, later, picture in self._backend.decode(self._pool, last):
            is_new = place >= number if later is None else later > last + HALF_A_MILLISECOND
            if is_new:
                yield number, later, picture
                number += 1

    def _decode_live(self) -> Iterator[tuple[int, float, Picture]]:
        """Yield the frames of a live source with the time of their arrival, and take it up again.

        Clocks of cameras differ, start anew when a stream is taken up again, or are made up, as
        those of MJPEG over HTTP.
        """
        began: float | None = None
        number = failures = 0
        while True:
            for _, _, picture in self._backend.decode(self._pool):
                now = monotonic()
                began = began or now
                self.reconnections += failures > 0
                failures = 0
                yield number, now - began, picture
                number += 1
            while True:
                if failures == len(RECONNECT_PAUSES) or self._stop.wanted:
                    return
                sleep(RECONNECT_PAUSES[failures])
                failures += 1
                self._backend.close()
                with suppress(NoFrameError):
                    self._backend = self._open()
                    break
