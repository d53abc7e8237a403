"""Frames in: of a video file, numbered pictures, a camera or a network stream."""

import math
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Self

import numpy as np

from activity.errors import SourceError, cannot_be_read
from activity.text import is_utf8
from activity.video import sources
from activity.video.backends import USUAL_FPS, Backend, Decoded, NoFrameError, Picture, Pool
from activity.video.backends.opencv import OpenCVBackend, PictureBackend
from activity.video.backends.pyav import PyAVBackend
from activity.video.stop import Stop
from activity.video.unread import unread

RECONNECT_PAUSES = (1.0, 2.0, 4.0)  # seconds before each attempt
# Times are printed to the millisecond; given back as a start, they have to mean the same frame.
HALF_A_MILLISECOND = 0.0005
NEGLIGIBLE = 0.02  # of a clip's duration


class Frame:
    """A frame: its number in the clip, from 0, its time in seconds, its picture."""

    def __init__(self, number: int, time: float, picture: Picture) -> None:
        self.number, self.time = number, time
        self._picture: Picture | None = picture

    @property
    def picture(self) -> np.ndarray:
        """The (H, W, 3) uint8 BGR picture, which may be drawn on; converted on first use."""
        assert self._picture is not None
        if callable(self._picture):
            self._picture = self._picture()
        return self._picture


class VideoReader(AbstractContextManager["VideoReader"]):
    """Reads the frames of a source, upright and in their displayed shape, one at a time.

    `start` and `end`, in seconds, bound what is read; `fps` is the rate of numbered pictures and
    raw streams, `track` the number of one of several videos in a file, from 1. If `sparse`, few
    pictures are needed, and the others are not converted where that can be avoided. A frame's time
    is what players show, so the first one's is not 0 if a video begins after its sound; for cameras
    and live streams it is that of its arrival. Raises `SourceError` for a source that is missing or
    delivers no frame.

    `decoded` counts the frames from the clip's beginning to the last one read, the one at `time`.
    `live` means that frames come at their own pace and cannot wait. A live source that breaks off
    is opened again, `reconnections` times so far, until that fails several times in a row or `stop`
    is wanted.
    """

    def __init__(
        self,
        source: str | Path,
        start: float = 0.0,
        end: float | None = None,
        stop: Stop | None = None,
        fps: float | None = None,
        track: int | None = None,
        sparse: bool = False,
    ) -> None:
        self._source = source = str(source)
        if not is_utf8(source):
            raise self._error("is not named in UTF-8, as OpenCV needs it; rename it")
        self._stop = stop or Stop()
        self._start, self._end, self._sparse = start, end, sparse
        self._fps, self._track = fps, track
        self._pool: Pool = deque(maxlen=8)
        self.decoded, self.time, self.reconnections = 0, 0.0, 0
        self.notes: list[str] = []  # what a user may not expect
        self.reached_end = False  # `end`, not the end of the source
        self.can_be_read_again = not sources.is_read_once(source)  # no camera, stream or pipe
        self._camera = sources.camera_number(source)
        self.live = self._camera is not None
        self._pictures = sources.pictures_of(source)
        is_file = self._camera is None and not sources.is_address(source)
        if is_file and not self._pictures:
            self._require_file()
        # FFmpeg takes what precedes a colon for a protocol, but not in an absolute path.
        self._address = source if sources.is_address(source) else str(Path(source).absolute())
        self._pyav = partial(PyAVBackend, self._address, self._stop, sparse, track, fps)
        self._frames = self._read()
        # The first frame is read here, so that a source without one fails before anything slow.
        try:
            self._backend = self._open()
            self._first = next(self._frames)
        except (NoFrameError, StopIteration) as error:
            if self._stop.wanted:  # while waiting for a pipe
                raise KeyboardInterrupt from None
            fault = "holds no frame that can be decoded; is it a video?"
            if str(error):
                fault = str(error)
            elif self.decoded:
                fault = f"has no frame at {start:g} s; begin earlier"
            elif not is_file:
                fault = "gives no frame; is it connected, and reachable?"
            raise self._error(fault) from None
        self.format = self._backend.format
        self.height, self.width = self._first.picture.shape[:2]

    def again(self, sparse: bool) -> Self:
        """Open the source once more; it must be one that `can_be_read_again`."""
        limits = (self._start, self._end, self._stop)
        return type(self)(self._source, *limits, self._fps, self._track, sparse)

    def __exit__(self, *exception: object) -> None:
        self._backend.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame."""
        yield self._first
        yield from self._frames

    def recycle(self, frame: Frame) -> None:
        """Use the memory of a frame that nobody needs any more for a later one."""
        picture, frame._picture = frame._picture, None
        if isinstance(picture, np.ndarray):
            self._pool.append(picture)

    @property
    def expected(self) -> int | None:
        """About how many frames there are to read; None if the source does not say."""
        first, end = self.format.first, self.format.end
        if end is None or end <= first:
            return None
        frames = self.format.claimed or (end - first) * self.format.fps
        seconds = min(self._end or end, end) - max(self._start, first)
        return max(1, round(frames * seconds / (end - first)))

    @property
    def loss(self) -> str:
        """What a clip that was read to its end lacks of what it claims, in words; else nothing."""
        if isinstance(self._backend, PictureBackend):
            return self._backend.loss
        claimed = self.format.claimed
        end = 0.0 if self.format.is_estimate else self.format.end or 0.0
        if self.reached_end:
            return ""
        if self.live:
            return f" broke off after {self.decoded} frames and did not come back"
        if self.can_be_read_again and (fault := unread(Path(self._source), self._read_to)):
            return f": {fault}"
        if claimed:
            missing = f"{1 - self.decoded / claimed:.0%} are missing"
            fault = f": decoded {self.decoded} frames, the file claims {claimed}, {missing}"
            return fault if self.decoded < claimed else ""
        # Not to the frame: the last one may be shown for a while, and sound may go on after it.
        if end - self.time <= max(1.0, NEGLIGIBLE * end):
            return ""
        missing = f"{1 - self.time / end:.0%} are missing"
        return f": ends at {self.time:.1f} s, the file claims {end:.1f} s, {missing}"

    @property
    def _read_to(self) -> int | None:
        """The byte after the last one of the video that was read, if that is to be looked at."""
        if isinstance(self._backend, PyAVBackend) and not self._backend.ordinary:
            return self._backend.read_to
        return None

    def _error(self, fault: str) -> SourceError:
        return SourceError(f"{sources.redacted(self._source)} {fault}")

    def _require_file(self) -> None:
        """Raise `SourceError` with the reason, where FFmpeg would only say that it is no video."""
        path = Path(self._source)
        try:
            if path.is_file():
                path.open("rb").close()
            elif not path.is_fifo():
                kind = "is a folder" if path.is_dir() else "does not exist"
                kind = "is a terminal or the like" if path.is_char_device() else kind
                raise self._error(f"{kind}; name a video file")
        except OSError as error:
            raise cannot_be_read(self._source, error, SourceError) from error

    def _open(self) -> Backend:
        """Open cameras and ordinary files with OpenCV, and with PyAV what OpenCV gets wrong."""
        if self._track and (self._pictures or self._camera is not None):
            raise self._error(f"has no tracks; leave out --track {self._track}")
        if self._camera is not None:
            return OpenCVBackend(self._camera)
        if self._pictures:
            return PictureBackend(self._pictures, self._fps or USUAL_FPS)
        backend = self._pyav()
        self.live, self.notes = backend.live, backend.notes
        if self._fps and not backend.raw:
            raise self._error(f"has times of its own; leave out --fps {self._fps:g}")
        if not backend.ordinary or self._start > 0 or self._sparse:
            return backend
        backend.close()
        return OpenCVBackend(self._address, backend.format)

    def _read(self) -> Iterator[Frame]:
        """Yield the frames between start and end, at least one, with times that increase."""
        begun = False
        for number, timestamp, picture in self._decode_live() if self.live else self._decode():
            time = timestamp or 0.0
            if self.decoded and time <= self.time:
                time = self.time + 1 / self._backend.format.fps
            if begun and self._end is not None and time >= self._end - HALF_A_MILLISECOND:
                self.reached_end = True
                return
            self.decoded, self.time = number + 1, time
            if time >= self._start - HALF_A_MILLISECOND:
                begun = True
                yield Frame(number, time, picture)

    def _decode(self) -> Decoded:
        """Yield the frames of a source that can wait; see `Backend.decode`."""
        if not isinstance(self._backend, OpenCVBackend):
            yield from self._backend.decode(self._pool, self._start)
            return
        # Where OpenCV cannot convert a picture, as when a video turns interlaced, it repeats the
        # last one; and of a codec that it lacks, as AV1, there is none. From there on PyAV reads.
        thumbnail = None
        for number, time, picture in self._backend.decode(self._pool):
            assert isinstance(picture, np.ndarray)
            previous, thumbnail = thumbnail, (picture.shape, picture[::16, ::16].tobytes())
            if previous and (previous == thumbnail or previous[0] != thumbnail[0]):
                break
            yield number, time, picture
        else:
            if thumbnail:
                return
        self._backend.close()
        self._backend = self._pyav()
        last = self.time if self.decoded else -math.inf
        for number, time, picture in self._backend.decode(self._pool, max(0.0, last)):
            if number >= self.decoded if time is None else time > last + HALF_A_MILLISECOND:
                yield self.decoded, time, picture

    def _decode_live(self) -> Decoded:
        """Yield a live source's frames with the times of their arrival; reopen it if it ends."""
        # Cameras' own clocks differ, start anew with each connection, or are made up, as those of
        # MJPEG over HTTP.
        began: float | None = None
        failures = 0
        while True:
            with suppress(NoFrameError):
                if failures:
                    self._backend = self._open()
                for _, _, picture in self._backend.decode(self._pool):
                    now = monotonic()
                    began = began or now
                    self.reconnections += failures > 0
                    failures = 0
                    yield self.decoded, now - began, picture
            if failures == len(RECONNECT_PAUSES) or self._stop.wanted:
                return
            sleep(RECONNECT_PAUSES[failures])
            failures += 1
            self._backend.close()
