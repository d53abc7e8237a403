"""PyAV decodes what OpenCV gets wrong: interlaced video, clips from their middle, streams."""

import math
import os
import re
import select
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from activity.quiet.opencv import cv2
from activity.quiet.pyav import Discard, av
from activity.video.backends import (
    ATTEMPTS,
    CLOCK,
    Colour,
    Decoded,
    Format,
    NoFrameError,
    Pool,
    usable_fps,
)
from activity.video.sources import is_address
from activity.video.stop import Stop

TIMEOUTS = (10.0, 5.0)  # seconds for a stream to open, and to deliver something
# Containers that OpenCV reads without fault from the beginning, by FFmpeg's names. In transport
# streams its times are wrong at the end, in others also at the beginning.
ORDINARY = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi"}
PLAYLISTS = {"hls", "dash"}  # their files have a size, and yet may never end
BROADCASTS = {"mpegts", "mpeg", "hls"}  # their clocks may jump, and nothing says how long they are
SHORT_STEP_BACK, LONG_PAUSE = 0.1, 10.0  # seconds; a clock that goes further back or on has jumped
NEARLY_SQUARE = 0.02  # nobody sees that a pixel's sides differ by as much
# FFmpeg's numbers: orders of interlaced fields, the range from 0 to 255, the colour matrices that
# it can convert, the usual one of these; then BT.2020 and P3, PQ and HLG.
INTERLACED, FULL_RANGE, MATRICES, TELEVISION = (2, 3, 4, 5), 2, (1, 2, 4, 5, 6, 7, 9), 5
BT709, WIDE_PRIMARIES, HDR_TRANSFERS = 1, (9, 11, 12), (16, 18)
TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
HIGHEST_BASE_FPS = 120.0  # the base rate of some phones is that of their clock
LAYOUT = attrgetter("width", "height", "format.name")  # of a frame

Packets = Iterator["av.Packet[Any]"]


def open_container(address: str) -> av.container.InputContainer:
    """Open a file, by an absolute path, or a stream; raises what PyAV raises."""
    options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
    timeout = TIMEOUTS if is_address(address) else None
    return av.open(address, options=options, metadata_errors="replace", timeout=timeout)


def demux(container: av.container.InputContainer, stream: av.stream.Stream) -> Packets:
    """Yield the packets of a stream; the last one is empty and flushes the decoder."""
    for _ in range(ATTEMPTS):
        try:
            yield from _steady(container, container.demux(stream))
            return
        except (av.error.ExitError, IndexError):  # a timeout, or PyAV lost count of the streams
            break
        except av.FFmpegError:
            continue
    end = av.Packet()
    end.stream = stream
    yield end


def _steady(container: av.container.InputContainer, packets: Packets) -> Packets:
    """Make the clock of a broadcast go on where it jumps, as between two recordings in a file."""
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
            # A packet that would be shown long before or after it is decoded has a damaged time.
            packet.pts = last + delay if abs(delay * packet.time_base) < LONG_PAUSE else None
        yield packet


def decoded(packets: Packets) -> Iterator[Any]:
    """Yield the frames of video or of sound in packets."""
    for packet in packets:
        with suppress(av.FFmpegError):  # it is damaged
            yield from packet.decode()


def filtered(graph: av.filter.Graph, frame: av.VideoFrame | av.AudioFrame | None) -> Iterator[Any]:
    """Yield the frames that FFmpeg's filters have ready after one more; None is the end."""
    graph.push(frame)
    with suppress(av.BlockingIOError, av.EOFError):
        while True:
            yield graph.pull()


class PyAVBackend:
    """A video file, a stream or a pipe, whose first frame is decoded on opening.

    `live` means that frames come at their own pace, `ordinary` that OpenCV reads it as well.
    Interlaced frames are deinterlaced. Waiting for a pipe ends once `stop` is wanted. If `sparse`,
    `decode` yields functions that convert pictures in place of pictures. Raises `NoFrameError`.
    """

    def __init__(self, address: str, stop: Stop | None = None, sparse: bool = False) -> None:
        self._address, self._stop, self._sparse = address, stop or Stop(), sparse
        self._pipe = not is_address(address) and Path(address).is_fifo()
        self._origin = 0.0
        try:
            self._open()
            self._first = first = next(self._frames)
        except (av.FFmpegError, OSError, ValueError, StopIteration) as error:
            raise NoFrameError from error
        self._origin = self._time(first) or 0.0
        pixel = self._stream.sample_aspect_ratio or 1  # its width by its height
        self._pixel = 1 if abs(float(pixel) - 1) < NEARLY_SQUARE else pixel
        self._wide = first.color_primaries in WIDE_PRIMARIES or first.color_trc in HDR_TRANSFERS
        self.ordinary = (
            not (self._pipe or is_address(address))
            and self._container.format.name in ORDINARY
            and self._stream.codec_context.field_order not in INTERLACED
            and self._graph is None
            and _is_known(first)
            and self._pixel == 1
            # OpenCV takes the first one, which may be a cover.
            and self._stream is self._container.streams.video[0]
        )
        self.format = self._read_format()

    def _open(self) -> None:
        pipe = _Pipe(self._address, self._stop) if self._pipe else None
        self._container = av.open(pipe, "r") if pipe else open_container(self._address)
        streams = self._container.streams
        self._stream: av.video.stream.VideoStream = streams.best("video")  # type: ignore[assignment]
        if self._stream is None:
            raise ValueError("no video stream")
        for stream in streams:
            if stream is not self._stream:
                stream.discard = Discard.all
        name, codec = self._container.format.name, self._stream.codec_context
        # An .avi has no times, and those that FFmpeg invents for reordered H.264 are wrong.
        self._timeless = name == "avi" and codec.name == "h264" and codec.has_b_frames
        endless = name in PLAYLISTS or self._container.size <= 0
        self.live = is_address(self._address) and not self._container.duration and endless
        if not self.live:
            self._stream.thread_type = "AUTO"  # faster, but each thread holds back a frame
        self._graph: av.filter.Graph | None = None  # of FFmpeg's filters
        self._converter = av.video.reformatter.VideoReformatter()  # which keeps tables for HDR
        self._packets = demux(self._container, self._stream)
        self._frames = self._decode(self._packets)

    def close(self) -> None:
        """Release the source."""
        self._container.close()

    def _decode(self, packets: Packets) -> Iterator[av.VideoFrame]:
        """Yield each frame, from the first interlaced one on as FFmpeg's bwdif makes it."""
        for _, alike in groupby(decoded(packets), LAYOUT):
            self._graph = None
            for frame in alike:
                if frame.interlaced_frame and not self._graph:
                    self._graph = graph = av.filter.Graph()
                    size, unit = (frame.width, frame.height), frame.time_base
                    graph.link_nodes(
                        graph.add_buffer(None, *size, frame.format, time_base=unit),
                        graph.add("bwdif", "mode=send_frame:deint=interlaced"),
                        graph.add("buffersink"),
                    ).configure()
                yield from filtered(self._graph, frame) if self._graph else [frame]
            if self._graph:
                yield from filtered(self._graph, None)

    def decode(self, pool: Pool, start: float = 0.0) -> Decoded:
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
        """Continue with a frame some way before `start`; return its number and its time."""
        self._container.close()
        self._open()
        # Few containers seek exactly. Reading their packets without decoding them is exact, counts
        # the frames, and takes half a second per hour.
        # All that follows the last but one key frame can be decoded; frames around the last one may
        # need others from before it (an open group of pictures).
        older: list[av.Packet[Any]] = []
        newer: list[av.Packet[Any]] = []
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

    def _is_shown(self, packet: "av.Packet[Any]", before: float = math.inf) -> bool:
        """Tell whether a packet holds a frame before a time that no edit list hides."""
        time = self._time(packet)
        return not packet.is_discard and time is not None and 0 <= time < before

    def _time(self, item: "av.Packet[Any] | av.VideoFrame") -> float | None:
        """Return the time of a packet or frame in seconds since the first frame."""
        if item.pts is None or item.time_base is None or self._timeless:
            return None
        return round(float(item.pts * item.time_base) - self._origin, 6)

    def _picture(self, frame: av.VideoFrame, pool: Pool) -> np.ndarray:
        if not _is_known(frame):
            frame.colorspace = TELEVISION  # or it would refuse
        # As OpenCV does, where it matters: 10 bits, odd sides, and HDR, which becomes SDR.
        colours = BT709 if self._wide else None
        picture: np.ndarray = self._converter.reformat(
            frame, format="bgr24", interpolation="BICUBIC",
            dst_color_primaries=colours, dst_color_trc=colours,
        ).to_ndarray()  # fmt: skip
        if self._pixel != 1:
            picture = cv2.resize(picture, (max(1, round(frame.width * self._pixel)), frame.height))
        turn = self._first.rotation % 360
        if turn in TURNS:
            picture = cv2.rotate(picture, TURNS[turn])
        memory = pool.popleft() if pool else None
        if memory is None or memory.shape != picture.shape:
            return picture
        np.copyto(memory, picture)
        return memory

    def _read_format(self) -> Format:
        container, stream, frame = self._container, self._stream, self._first
        assert stream.time_base is not None
        fps = usable_fps(stream.average_rate, stream.guessed_rate)
        base_fps = usable_fps(stream.guessed_rate, stream.average_rate)
        varies = 1.01 * fps < base_fps <= HIGHEST_BASE_FPS
        # The index has frames that an edit list hides.
        index = stream.index_entries
        hidden = sum(entry.is_discard for entry in index) if len(index) == stream.frames else 0
        colour = None
        if self._wide:
            colour = Colour(BT709, BT709, BT709, full_range=False)
        elif not frame.format.is_rgb and _is_known(frame):
            codes = frame.color_primaries, frame.color_trc, frame.colorspace
            colour = Colour(*codes, full_range=frame.color_range == FULL_RANGE)
        has_sound = bool(container.streams.audio) and not self.live and not self._pipe
        return Format(
            fps=fps,
            base_fps=base_fps if varies else fps,
            time_base=CLOCK if self.live else stream.time_base,
            claimed=max(0, stream.frames - hidden) or None,
            duration=self._duration(),
            is_estimate=container.format.name in BROADCASTS,
            colour=colour,
            sound=self._address if has_sound else None,
            origin=self._origin,
        )

    def _duration(self) -> float | None:
        """Return the seconds from the first frame to the end of the video, if that is known."""
        container, stream = self._container, self._stream
        if stream.duration is not None and stream.time_base is not None:
            end = (stream.start_time or 0) + stream.duration
            return float(end * stream.time_base) - self._origin
        clock = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
        if clock:  # of Matroska
            hours, minutes, seconds = map(float, clock.groups())
            return 3600 * hours + 60 * minutes + seconds - self._origin
        if container.duration is not None:
            # Matroska's duration counts from 0.
            begin = 0 if "matroska" in container.format.name else container.start_time or 0
            return (begin + container.duration) / av.time_base - self._origin
        return None


class _Pipe:
    """A named pipe that can be given up while waiting for data."""

    def __init__(self, path: str, stop: Stop) -> None:
        self._stop = stop
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self, size: int) -> bytes:
        while not select.select([self._file], [], [], 0.2)[0]:
            if self._stop.wanted:
                return b""
        return os.read(self._file, size)

    def close(self) -> None:
        os.close(self._file)


def _is_known(frame: av.VideoFrame) -> bool:
    """Tell whether FFmpeg can convert the frame's colours."""
    return frame.format.is_rgb or frame.colorspace in MATRICES
