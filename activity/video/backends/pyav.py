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

from activity.pictures import eight_bits, on_white
from activity.quiet.opencv import cv2
from activity.quiet.pyav import COVERS, Discard, Disposition, Flags, av
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
# streams its times are wrong at the end, in .avi after damage, in others also at the beginning.
# Browsers and FFmpeg's tools show the times of these as they are; others begin anywhere.
MPEG4, AVI = "mov,mp4,m4a,3gp,3g2,mj2", "avi"
ORDINARY = {MPEG4, "matroska,webm"}
PLAYLISTS = {"hls", "dash"}  # their files have a size, and yet may never end
BROADCASTS = {"mpegts", "mpeg", "hls"}  # their clocks may jump, and nothing says how long they are
SHORT_STEP_BACK, LONG_PAUSE = 0.1, 10.0  # seconds; a clock that goes further back or on has jumped
NEARLY_SQUARE = 0.02  # nobody sees that a pixel's sides differ by as much
# FFmpeg's numbers: orders of interlaced fields, the range from 0 to 255, the colour matrices that
# it can convert, the usual one of these; then BT.2020 and P3, PQ and HLG.
INTERLACED, FULL_RANGE, MATRICES, TELEVISION = (2, 3, 4, 5), 2, (1, 2, 4, 5, 6, 7, 9), 5
STILLS = {"bmp", "gif", "mjpeg", "png", "tiff", "webp"}  # codecs
BT709, WIDE_PRIMARIES, HDR_TRANSFERS = 1, (9, 11, 12), (16, 18)
# Decoders that see transparency, which the usual ones do not.
SEE_THROUGH = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
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


def _placed(packets: Packets, stream: av.stream.Stream) -> Packets:
    """Give the packets of an .avi the times of their places in it: FFmpeg only counts them.

    So after a damaged stretch they would be early by what is lost there.
    """
    # A packet is said to begin at its header or after that.
    places = {
        entry.pos + header: entry.timestamp for entry in stream.index_entries for header in (0, 8)
    }
    for packet in packets:
        if packet.dts is not None and packet.pos in places:
            late = places[packet.pos] - packet.dts
            packet.dts += late
            packet.pts = None if packet.pts is None else packet.pts + late
        yield packet


def decoded(packets: Packets, decoder: Any = None) -> Iterator[Any]:
    """Yield the frames of video or of sound in packets, by the usual decoder or another one."""
    for packet in packets:
        with suppress(av.FFmpegError):  # it is damaged
            yield from decoder.decode(packet) if decoder else packet.decode()


def filtered(graph: av.filter.Graph, frame: av.VideoFrame | av.AudioFrame | None) -> Iterator[Any]:
    """Yield the frames that FFmpeg's filters have ready after one more; None is the end."""
    graph.push(frame)
    with suppress(av.BlockingIOError, av.EOFError):
        while True:
            yield graph.pull()


class PyAVBackend:
    """A video file, a stream or a pipe, whose first frame is decoded on opening.

    `track` counts its videos from 1, without covers; by default it is what players show. `fps` is
    the rate of a raw stream. `live` means that frames come at their own pace, `ordinary` that
    OpenCV reads it as well, `raw` that it has no times; `notes` say what a user may not expect, and
    `read_to` is the end of what was read of the video, in bytes. Interlaced frames are
    deinterlaced. Waiting for a pipe ends once `stop` is wanted. If `sparse`, `decode` yields
    functions that convert pictures in place of pictures. Raises `NoFrameError`.
    """

    def __init__(
        self,
        address: str,
        stop: Stop | None = None,
        sparse: bool = False,
        track: int | None = None,
        fps: float | None = None,
    ) -> None:
        self._address, self._stop, self._sparse = address, stop or Stop(), sparse
        self._track, self._fps = track, fps
        self._pipe = not is_address(address) and not Path(address).is_file()
        self._origin = 0.0
        self.notes: list[str] = []
        self.read_to = 0
        try:
            self._open()
            self._first = first = next(self._frames)
        except (av.FFmpegError, OSError) as error:
            raise NoFrameError from error
        except ValueError as error:
            raise NoFrameError(str(error)) from error
        except StopIteration as error:
            codec = self._stream.codec_context.name
            fault = f"holds no frame of {codec} that can be decoded; is it damaged, or encrypted?"
            if self._pipe:  # as .mp4, whose index is at its end
                fault = "holds no frame that can be read from a pipe; name a file"
            raise NoFrameError(fault) from error
        self._set_origin()
        pixel = self._stream.sample_aspect_ratio or 1  # its width by its height
        self._pixel = 1 if abs(float(pixel) - 1) < NEARLY_SQUARE else pixel
        self._wide = first.color_primaries in WIDE_PRIMARIES or first.color_trc in HDR_TRANSFERS
        self._matrix = _display_matrix(first)
        components = first.format.components
        self._transparent = first.format.has_palette or any(each.is_alpha for each in components)
        # Values of 16 bits may be of 12. (Where the format itself says so, FFmpeg knows.)
        grey_or_rgb = first.format.is_rgb or not any(each.is_chroma for each in components)
        self._deep = grey_or_rgb and components[0].bits == 16
        self.ordinary = (
            not (self._pipe or is_address(address))
            and self._container.format.name in ORDINARY
            and self._stream.codec_context.field_order not in INTERLACED
            and self._graph is None
            and _is_known(first)
            and self._pixel == 1
            and not (self._transparent or self._deep or self._decoder)
            and np.linalg.det(self._matrix) > 0  # OpenCV turns, but does not mirror
            # OpenCV takes the first one, which may be a cover.
            and self._stream is self._container.streams.video[0]
        )
        self.format = self._read_format()

    def _open(self) -> None:
        pipe = _Pipe(self._address, self._stop) if self._pipe else None
        self._container = av.open(pipe, "r") if pipe else open_container(self._address)
        name = self._container.format.name
        self._stream = stream = self._chosen_track()
        for other in self._container.streams:
            if other is not stream:
                other.discard = Discard.all
        codec = stream.codec_context
        self.raw = Flags.no_timestamps in Flags(self._container.format.flags)
        # An .avi has no times, and those that FFmpeg invents for reordered H.264 are wrong; when
        # frames leave the decoder is right.
        self._reordered = name == AVI and codec.name == "h264" and codec.has_b_frames
        endless = name in PLAYLISTS or self._container.size <= 0
        self.live = is_address(self._address) and not self._container.duration and endless
        self._decoder: Any = None
        if stream.metadata.get("alpha_mode") == "1" and codec.name in SEE_THROUGH:
            self._decoder = decoder = av.VideoCodecContext.create(SEE_THROUGH[codec.name], "r")
            decoder.extradata = codec.extradata
        if not self.live:
            codec.thread_type = "AUTO"  # faster, but each thread holds back a frame
        self._graph: av.filter.Graph | None = None  # of FFmpeg's filters
        self._converter = av.video.reformatter.VideoReformatter()  # which keeps tables for HDR
        packets = demux(self._container, stream)
        if name == AVI:
            packets = _placed(packets, stream)
        self._packets = self._followed(packets)
        self._frames = self._decode(self._packets)

    def _followed(self, packets: Packets) -> Packets:
        for packet in packets:
            self.read_to = max(self.read_to, (packet.pos or 0) + packet.size)
            yield packet

    def _chosen_track(self) -> av.video.stream.VideoStream:
        """Return the track that was asked for, or the one that players show.

        Raises `ValueError` where it is not there, or nothing decodes it.
        """
        tracks = [each for each in self._container.streams.video if not each.disposition & COVERS]
        if not tracks:
            raise ValueError("holds no video; name another file")
        if self._track:
            if self._track > len(tracks):
                count = f"has {len(tracks)} video track{'s' * (len(tracks) > 1)}"
                raise ValueError(f"{count}, and none of number {self._track}; choose another")
            chosen = tracks[self._track - 1]
        elif self._container.format.name in PLAYLISTS:  # of one video in several sizes
            best = self._container.streams.best("video")
            chosen = next((each for each in tracks if each is best), tracks[0])
        else:
            # A broadcast may announce some that it does not send, and a cover be a track.
            there = [each for each in tracks if not each.codec_context or each.width] or tracks
            there = [each for each in there if _codec_name(each) not in STILLS] or there
            default = (each for each in there if each.disposition & Disposition.default)
            chosen = next(default, there[0])
            if len(there) > 1:
                number = tracks.index(chosen) + 1
                what = f"it has {len(tracks)} video tracks, of which number {number} is labelled"
                self.notes = [f"{what}; choose another with --track"]
        if not chosen.codec_context:
            codec = _unknown_codec(self._address)
            raise ValueError(f"is in {codec}, which is not read; convert it, as to H.264")
        return chosen

    def _set_origin(self) -> None:
        """Set the zero of times, which is that of a player."""
        begin, name = self._container.start_time, self._container.format.name
        first = self._time(self._first) or 0.0
        if name == AVI:  # FFmpeg has it begin later, as decoders hold back frames
            self._origin = first
        elif begin is not None and name not in ORDINARY:
            self._origin = min(begin / av.time_base, first)

    def close(self) -> None:
        """Release the source."""
        self._container.close()

    def _decode(self, packets: Packets) -> Iterator[av.VideoFrame]:
        """Yield each frame, from the first interlaced one on as FFmpeg's bwdif makes it."""
        for _, alike in groupby(decoded(packets, self._decoder), LAYOUT):
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
        """Return the time of a packet or frame in seconds, if it is known."""
        is_packet = isinstance(item, av.Packet)
        stamp = item.dts if self._reordered and not is_packet else item.pts
        if stamp is None or item.time_base is None or self.raw or (self._reordered and is_packet):
            return None
        return round(float(stamp * item.time_base) - self._origin, 6)

    def _picture(self, frame: av.VideoFrame, pool: Pool) -> np.ndarray:
        if not _is_known(frame):
            frame.colorspace = TELEVISION  # or it would refuse
        # As OpenCV does, where it matters: 10 bits, odd sides, and HDR, which becomes SDR.
        colours = BT709 if self._wide else None
        kinds = ("bgr48le", "bgra64le") if self._deep else ("bgr24", "bgra")
        picture: np.ndarray = self._converter.reformat(
            frame, format=kinds[self._transparent], interpolation="BICUBIC",
            dst_color_primaries=colours, dst_color_trc=colours,
        ).to_ndarray()  # fmt: skip
        if self._deep:
            picture = eight_bits(picture)
        if self._transparent:
            picture = on_white(picture)
        if self._pixel != 1:
            picture = cv2.resize(picture, (max(1, round(frame.width * self._pixel)), frame.height))
        picture = _oriented(picture, self._matrix)
        memory = pool.popleft() if pool else None
        if memory is None or memory.shape != picture.shape:
            return picture
        np.copyto(memory, picture)
        return memory

    def _read_format(self) -> Format:
        container, stream, frame = self._container, self._stream, self._first
        assert stream.time_base is not None
        rates = stream.average_rate, stream.guessed_rate
        if self.raw:
            fps = base_fps = usable_fps(self._fps, stream.guessed_rate)
            if not self._fps:
                rate = f"{fps:g} frames/s are assumed"
                self.notes.append(f"{rate}, as a raw stream has no times; --fps sets another rate")
        else:
            fps, base_fps = usable_fps(*rates), usable_fps(*reversed(rates))
        varies = 1.01 * fps < base_fps <= HIGHEST_BASE_FPS
        first = self._time(frame) or 0.0
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
            claimed=self._claimed(),
            end=self._end(),
            is_estimate=container.format.name in BROADCASTS,
            colour=colour,
            sound=self._address if has_sound else None,
            origin=self._origin,
            begin=min(first, max(0.0, (container.start_time or 0) / av.time_base - self._origin)),
            first=first,
        )

    def _claimed(self) -> int | None:
        """Return how many frames there should be, if the container is one that knows."""
        stream, name = self._stream, self._container.format.name
        if name not in (MPEG4, AVI):
            return None
        # An edit list hides some frames, and an .avi counts those that only say that the last one
        # goes on. The index knows, if it reaches the end.
        index, slots = stream.index_entries, stream.frames
        is_whole = len(index) == slots
        if name == AVI and len(index):
            is_whole = index[len(index) - 1].timestamp > slots - usable_fps(stream.average_rate)
        shown = sum(entry.size > 0 and not entry.is_discard for entry in index)
        return (shown if is_whole else slots) or None

    def _end(self) -> float | None:
        """Return the time at which the video ends, if that is known."""
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


def _display_matrix(frame: av.VideoFrame) -> np.ndarray:
    """Return the 2x2 matrix by which (x, y) of a frame is shown elsewhere: turned or mirrored."""
    side_data: Any = frame.side_data
    with suppress(KeyError):
        numbers = np.frombuffer(side_data["DISPLAYMATRIX"], np.int32)
        return numbers[[0, 3, 1, 4]].reshape(2, 2) / 2**16
    return np.eye(2)


def _oriented(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return a picture as a display matrix has it, by the nearest quarter of a turn."""
    swapped = np.abs(matrix[0]).argmax()  # whether x depends on y
    if swapped:
        picture, matrix = cv2.transpose(picture), matrix[:, ::-1]
    right, down = matrix.diagonal() >= 0
    if right and down:
        return picture
    return cv2.flip(picture, -1 if not right and not down else int(down))


def _codec_name(stream: av.video.stream.VideoStream) -> str | None:
    return stream.codec_context.name if stream.codec_context else None


def _unknown_codec(address: str) -> str:
    """Return what FFmpeg calls the codec that it does not decode."""
    av.logging.set_level(av.logging.WARNING)
    with av.logging.Capture() as lines, open_container(address):
        complaint = "".join(line for _, _, line in lines)
    av.logging.set_level(None)
    found = re.search(r"Video: \w+ \((.+?) /|Video: (?!none)(\w+)", complaint)
    return f"the codec {found[found.lastindex or 0]}" if found else "an unknown codec"
