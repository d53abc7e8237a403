"""PyAV decodes what OpenCV gets wrong: interlaced video, clips from their middle, streams."""

import math
import os
import re
import select
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from activity.quiet.opencv import cv2
from activity.quiet.pyav import Discard, av
from activity.video.backends import (
    CLOCK,
    DAMAGED_PACKETS,
    Colour,
    Format,
    NoFrameError,
    Picture,
    Pool,
    Sound,
    usable_fps,
)
from activity.video.sources import is_address

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.filter import Graph
    from av.stream import Stream
    from av.video.stream import VideoStream

TIMEOUTS = (10.0, 5.0)  # seconds, for a stream to be opened, and to deliver something
# What OpenCV reads without fault from the beginning, by FFmpeg's names. From transport streams its
# times are wrong at the end, from others also at the beginning.
ORDINARY = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi"}
PLAYLISTS = {"hls", "dash"}  # their files have a size, and yet may never end
BROADCASTS = {"mpegts", "mpeg", "hls"}  # their clocks may jump, and nothing says how long they are
# Seconds; a clock that goes further back or on has jumped.
SHORT_STEP_BACK, LONG_PAUSE = 0.1, 10.0
# A pixel's shape may differ by this much from a square before anybody sees it.
NEARLY_SQUARE = 0.02
INTERLACED = (2, 3, 4, 5)  # FFmpeg's numbers for orders of fields
FULL_RANGE = 2  # for numbers from 0 to 255
MATRICES = (1, 2, 4, 5, 6, 7, 9)  # and for rules to make colours of them, which it knows
TELEVISION = 5  # the usual one
BT709, WIDE_PRIMARIES, HDR_TRANSFERS = 1, (9, 11, 12), (16, 18)  # BT.2020, P3; PQ, HLG
TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
HIGHEST_BASE_FPS = 120.0  # the base rate of some phones is that of their clock


def open_container(address: str) -> "InputContainer":
    """Open a file, by an absolute path, or a stream; raises what PyAV raises."""
    return av.open(
        address,
        "r",
        options={"rtsp_transport": "tcp"} if address.startswith("rtsp") else {},
        metadata_errors="replace",
        timeout=TIMEOUTS if is_address(address) else None,
    )


def demux(container: "InputContainer", stream: "Stream") -> Iterator["Packet[Any]"]:
    """Yield the packets of a stream; the last one is empty and lets a decoder finish."""
    for _ in range(DAMAGED_PACKETS):
        try:
            yield from _steady(container, container.demux(stream))
            return
        except (av.error.ExitError, IndexError):  # nothing came, or PyAV lost count of the streams
            break
        except av.FFmpegError:
            continue
    end = av.Packet()
    end.stream = stream
    yield end


def _steady(
    container: "InputContainer", packets: Iterable["Packet[Any]"]
) -> Iterator["Packet[Any]"]:
    """Let the clock of a broadcast go on where it jumps, as between two recordings in a file."""
    may_jump = container.format.name in BROADCASTS
    shift, last = 0, None
    for packet in packets:
        if may_jump and packet.dts is not None and packet.pts is not None:
            last = packet.dts if last is None else last
            step = (packet.dts + shift - last) * packet.time_base
            if not -SHORT_STEP_BACK < step < LONG_PAUSE:
                shift = last + (packet.duration or 0) - packet.dts
            delay = packet.pts - packet.dts
            packet.dts += shift
            last = packet.dts
            # One that is shown far from where it is decoded has a damaged time.
            packet.pts = last + delay if abs(delay * packet.time_base) < LONG_PAUSE else None
        yield packet


class PyAVBackend:
    """A video file, a stream or a pipe, of which the first frame is decoded when it is opened.

    `live` tells that its frames come at their own pace, `ordinary` that OpenCV reads it as well.
    Interlaced frames are deinterlaced. Raises `NoFrameError`.
    """

    def __init__(
        self, address: str, unwanted: Callable[[], bool] = lambda: False, sparse: bool = False
    ) -> None:
        """Open a source; a pipe is waited for until it is `unwanted`.

        If `sparse`, `decode` gives what converts a picture in place of the picture.
        """
        self._address = address
        self._unwanted = unwanted
        self._sparse = sparse
        self._pipe = _is_pipe(address)
        self._origin = 0.0
        try:
            self._open()
            self._first = next(self._frames)
        except (av.FFmpegError, OSError, ValueError, StopIteration) as error:
            raise NoFrameError from error
        self._origin = self._time(self._first) or 0.0
        self._rotation = self._first.rotation % 360
        first = self._first
        self._wide = first.color_primaries in WIDE_PRIMARIES or first.color_trc in HDR_TRANSFERS
        self.ordinary = self._is_ordinary()
        self.format = self._read_format()

    def _open(self) -> None:
        if self._pipe:
            self._container = av.open(_Pipe(self._address, self._unwanted), "r")
        else:
            self._container = open_container(self._address)
        streams = self._container.streams
        self._stream: VideoStream = streams.best("video")  # type: ignore[assignment]
        if self._stream is None:
            raise ValueError("there is no video in it")
        for stream in streams:
            if stream is not self._stream:
                stream.discard = Discard.all
        sized = self._container.format.name not in PLAYLISTS and _size(self._container) > 0
        # An .avi has no times, and those that FFmpeg makes up for reordered H.264 are wrong.
        codec = self._stream.codec_context
        self._timeless = (
            self._container.format.name == "avi" and codec.name == "h264" and codec.has_b_frames
        )
        self.live = is_address(self._address) and not self._container.duration and not sized
        if not self.live:
            self._stream.thread_type = "AUTO"  # faster, but each thread holds back a frame
        self._deinterlacer = Deinterlacer()
        self._converter = av.video.reformatter.VideoReformatter()  # it keeps tables for HDR
        self._packets = demux(self._container, self._stream)
        self._frames = self._decode(self._packets)

    def close(self) -> None:
        """Release the source."""
        self._container.close()

    def _decode(self, packets: Iterable["Packet[Any]"]) -> Iterator["VideoFrame"]:
        for packet in packets:
            try:
                frames = packet.decode()
            except av.FFmpegError:  # it is damaged
                continue
            for frame in frames:
                yield from self._deinterlacer.add(frame)
        yield from self._deinterlacer.finish()

    def decode(self, pool: Pool, start: float = 0.0) -> Iterator[tuple[int, float | None, Picture]]:
        """Yield each frame; see `Backend`."""
        if start and not self.live and not self._pipe:
            number, begin = self._skip_to(start)
        else:
            number, begin = 0, -math.inf
            self._frames = chain([self._first], self._frames)
        for frame in self._frames:
            time = self._time(frame)
            if time is None or time >= begin:
                converted = partial(self._picture, frame, pool)
                yield number, time, converted if self._sparse else converted()
                number += 1

    def _skip_to(self, start: float) -> tuple[int, float]:
        """Go on with a frame some way before `start`; return its number and its time.

        Few containers are exact when they are asked to go to a time. To read their packets without
        decoding them is exact, counts the frames, and takes half a second for an hour.
        """
        self._container.close()
        self._open()
        # What follows the last but one key frame can be decoded in any case; frames about the last
        # one may need others from before it (an open group of pictures).
        older: list[Packet[Any]] = []
        newer: list[Packet[Any]] = []
        number = 0
        for packet in self._packets:
            time = self._time(packet)
            if packet.is_keyframe and time is not None and time <= start:
                number += sum(self._is_shown(packet) for packet in older)
                older, newer = newer, []
            newer.append(packet)
            if time is None or time >= start:
                break
        kept = older + newer
        begin = max(0.0, self._time(kept[0]) or 0.0)
        number += sum(self._is_shown(packet, before=begin) for packet in kept)
        self._frames = self._decode(chain(kept, self._packets))
        return number, begin

    def _is_shown(self, packet: "Packet[Any]", before: float = math.inf) -> bool:
        """Tell whether a packet holds a frame, before a time, which no edit list hides."""
        time = self._time(packet)
        return not packet.is_discard and time is not None and 0 <= time < before

    def _time(self, item: "Packet[Any] | VideoFrame") -> float | None:
        """Return the time of a packet or frame in seconds since the first frame."""
        if item.pts is None or item.time_base is None or self._timeless:
            return None
        return round(float(item.pts * item.time_base) - self._origin, 6)

    def _picture(self, frame: "VideoFrame", pool: Pool) -> np.ndarray:
        if not _is_known(frame):
            frame.colorspace = TELEVISION  # or it would refuse
        # OpenCV's way, where it matters: 10 bits, odd sides, and HDR, which becomes SDR.
        converted = self._converter.reformat(
            frame,
            format="bgr24",
            interpolation="BICUBIC",
            dst_color_primaries=BT709 if self._wide else None,
            dst_color_trc=BT709 if self._wide else None,
        )
        picture: np.ndarray = converted.to_ndarray()
        pixel = self._stream.sample_aspect_ratio or 1
        if not _is_square(pixel):
            picture = cv2.resize(picture, (max(1, round(frame.width * pixel)), frame.height))
        if self._rotation in TURNS:
            picture = cv2.rotate(picture, TURNS[self._rotation])
        memory = pool.get()
        if memory is None or memory.shape != picture.shape:
            return picture
        np.copyto(memory, picture)
        return memory

    def _is_ordinary(self) -> bool:
        streams = self._container.streams
        return (
            not self._pipe
            and self._container.format.name in ORDINARY
            and self._stream.codec_context.field_order not in INTERLACED
            and not self._deinterlacer.works
            and _is_known(self._first)
            and _is_square(self._stream.sample_aspect_ratio or 1)
            and self._stream is streams.video[0]  # OpenCV takes the first; it may be a cover
        )

    def _read_format(self) -> Format:
        container, stream, frame = self._container, self._stream, self._first
        assert stream.time_base is not None
        fps = usable_fps(stream.average_rate, stream.guessed_rate)
        base_fps = usable_fps(stream.guessed_rate, stream.average_rate)
        varies = 1.01 * fps < base_fps <= HIGHEST_BASE_FPS
        # The index knows of frames that an edit list hides.
        index = stream.index_entries
        hidden = sum(entry.is_discard for entry in index) if len(index) == stream.frames else 0
        colour = None
        if self._wide:
            colour = Colour(BT709, BT709, BT709, full_range=False)
        elif not frame.format.is_rgb and _is_known(frame):
            colour = Colour(
                frame.color_primaries, frame.color_trc, frame.colorspace,
                frame.color_range == FULL_RANGE,
            )  # fmt: skip
        has_sound = bool(container.streams.audio) and not self.live and not self._pipe
        return Format(
            fps=fps,
            base_fps=base_fps if varies else fps,
            time_base=CLOCK if self.live else stream.time_base,
            claimed=max(0, stream.frames - hidden) or None,
            duration=self._duration(),
            is_estimate=container.format.name in BROADCASTS,
            colour=colour,
            sound=Sound(self._address, self._origin) if has_sound else None,
        )

    def _duration(self) -> float | None:
        """Return the seconds from the first frame to the end of the video, if that is known."""
        container, stream = self._container, self._stream
        if stream.duration is not None and stream.time_base is not None:
            end = (stream.start_time or 0) + stream.duration
            return float(end * stream.time_base) - self._origin
        told = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
        if told:  # by Matroska
            hours, minutes, seconds = map(float, told.groups())
            return 3600 * hours + 60 * minutes + seconds - self._origin
        if container.duration is not None:
            # Matroska's is the end.
            begin = 0 if "matroska" in container.format.name else container.start_time or 0
            return (begin + container.duration) / av.time_base - self._origin
        return None


class Deinterlacer:
    """FFmpeg's bwdif, from the first interlaced frame on: as many frames come out as went in."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._layout: tuple[object, ...] = ()

    @property
    def works(self) -> bool:
        """Tell whether there was an interlaced frame."""
        return self._graph is not None

    def add(self, frame: "VideoFrame") -> Iterator["VideoFrame"]:
        """Take a frame, and yield those that are ready."""
        layout = (frame.width, frame.height, frame.format.name)
        if self._graph is not None and layout != self._layout:
            yield from self.finish()
        if self._graph is None:
            if not frame.interlaced_frame:
                yield frame
                return
            self._layout = layout
            self._graph = av.filter.Graph()
            self._graph.link_nodes(
                self._graph.add_buffer(
                    width=frame.width, height=frame.height, format=frame.format,
                    time_base=frame.time_base,
                ),
                self._graph.add("bwdif", "mode=send_frame:deint=interlaced"),
                self._graph.add("buffersink"),
            ).configure()  # fmt: skip
        self._graph.vpush(frame)
        yield from self._ready()

    def finish(self) -> Iterator["VideoFrame"]:
        """Yield what it still holds."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
            self._graph = None

    def _ready(self) -> Iterator["VideoFrame"]:
        assert self._graph is not None
        while True:
            try:
                yield self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return


class _Pipe:
    """A named pipe, read so that a run that waits for it can be ended."""

    def __init__(self, path: str, unwanted: Callable[[], bool]) -> None:
        self._unwanted = unwanted
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self, size: int) -> bytes:
        """Return up to so many bytes, none at the end."""
        while not select.select([self._file], [], [], 0.2)[0]:
            if self._unwanted():
                return b""
        return os.read(self._file, size)

    def close(self) -> None:
        """Release the pipe."""
        os.close(self._file)


def _is_pipe(address: str) -> bool:
    return not is_address(address) and Path(address).is_fifo()


def _is_known(frame: "VideoFrame") -> bool:
    """Tell whether FFmpeg knows the rule by which the frame's numbers become colours."""
    return frame.format.is_rgb or frame.colorspace in MATRICES


def _is_square(pixel: Fraction | float) -> bool:
    return abs(float(pixel) - 1) < NEARLY_SQUARE


def _size(container: "InputContainer") -> int:
    try:
        return int(container.size)
    except av.FFmpegError:  # it comes without an end
        return 0
