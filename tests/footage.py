"""Clips in any codec and container, made with PyAV, whose pictures say which frame they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import av.filter
import numpy as np
from av.video.stream import VideoStream

BLOCKS = (2, 5)  # black and white ones in the upper half of a picture: its number in binary


@dataclass(frozen=True)
class Footage:
    """A clip that can be written; `options` are those of FFmpeg's encoder."""

    codec: str = "libx264"
    options: str = ""
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = (64, 80)  # height and width, as they are encoded
    numbers: Sequence[int] = range(50)  # in the pictures
    fps: Fraction = Fraction(25)
    times: Sequence[float] = ()  # of the frames, where they do not come at a constant rate
    begin: float = 0.0  # the time of the first frame, as the container counts
    gop: int = 12
    b_frames: int = 2
    interlaced: bool = False  # the upper field of a picture comes first
    pixel: Fraction = Fraction(1)  # its width by its height
    turned: int = 0  # degrees, counterclockwise
    colours: tuple[int, int, int] = (2, 2, 2)  # primaries, transfer, matrix; 2 says nothing

    def write(self, path: Path, options: str = "") -> list[float]:
        """Write it; return the times of its frames, in seconds since the first one.

        The options are those of FFmpeg's container.
        """
        times = self.times or [float(place / self.fps) for place in range(len(self.numbers))]
        time_base = Fraction(1, 90_000) if self.times else 1 / self.fps
        with av.open(path, "w", options=_pairs(options)) as container:
            stream = container.add_stream(self.codec, self.fps, _pairs(self.options))
            assert isinstance(stream, VideoStream)
            codec = stream.codec_context
            codec.height, codec.width = self.size
            codec.pix_fmt, codec.time_base = self.pix_fmt, time_base
            codec.gop_size, codec.max_b_frames = self.gop, self.b_frames
            codec.sample_aspect_ratio = self.pixel
            codec.color_primaries, codec.color_trc, codec.colorspace = self.colours
            if self.turned:
                stream.set_display_rotation(self.turned)
            for time, frame in zip(times, self._frames(), strict=True):
                frame.time_base = time_base
                frame.pts = round((self.begin + time) / time_base)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return list(times)

    def _frames(self) -> Iterator[av.VideoFrame]:
        height, width = self.size
        pixels = av.VideoFormat(self.pix_fmt, width, height)
        graph = av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(None, width, height, pixels, time_base=1 / self.fps),
            graph.add("setfield", "tff" if self.interlaced else "prog"),
            graph.add("buffersink"),
        ).configure()
        for number in self.numbers:
            picture = drawn(number, self.size, self.interlaced)
            graph.vpush(av.VideoFrame.from_ndarray(picture, "bgr24").reformat(format=self.pix_fmt))
            yield graph.vpull()


def _pairs(options: str) -> dict[str, str]:
    return dict(option.split("=", 1) for option in options.split())


def drawn(number: int, size: tuple[int, int], interlaced: bool = False) -> np.ndarray:
    """Draw the (H, W, 3) uint8 BGR picture of a number, below it coloured waves that move.

    If it is `interlaced`, they have moved on by half a step in every second row.
    """
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    for bit, block in enumerate(_blocks(picture)):
        block[:] = 235 if number >> bit & 1 else 20
    x = np.arange(width)[:, None] / width
    for field in range(2):
        moved = (number + field / 2 * interlaced) / 7
        waves = 128 + 100 * np.sin(2 * np.pi * (3 * x - moved + np.array([0, 0.1, 0.2])))
        picture[height // 2 + field :: 2] = waves.astype(np.uint8)
    return picture


def number_of(picture: np.ndarray) -> int:
    """Return the number that a picture shows."""
    return sum(int(block.mean() > 128) << bit for bit, block in enumerate(_blocks(picture)))


def _blocks(picture: np.ndarray) -> Iterator[np.ndarray]:
    for band in np.array_split(picture[: picture.shape[0] // 2], BLOCKS[0]):
        yield from np.array_split(band, BLOCKS[1], axis=1)


def trimmed(clip: Path, path: Path, seconds: float) -> None:
    """Cut off the beginning of a clip without encoding it anew, as `ffmpeg -ss … -c copy` does.

    What is kept begins with a key frame; an edit list hides what comes before the cut.
    """
    with av.open(clip) as source, av.open(path, "w") as container:
        stream = source.streams.video[0]
        assert stream.time_base is not None
        copied = container.add_stream_from_template(stream)
        cut = round(seconds / stream.time_base)
        source.seek(cut, stream=stream)
        for packet in source.demux(stream):
            if packet.pts is not None and packet.dts is not None:
                packet.pts -= cut
                packet.dts -= cut
                packet.stream = copied
                container.mux(packet)


def joined(path: Path, *clips: Footage) -> None:
    """Write clips of one size and codec one after the other, without encoding them anew."""
    parts = [path.with_name(f"{number}.ts") for number in range(len(clips))]
    begin = Fraction(0)
    with av.open(path, "w") as container:
        copied = None
        for part, clip in zip(parts, clips, strict=True):
            clip.write(part)
            with av.open(part) as source:
                stream = source.streams.video[0]
                copied = copied or container.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.pts is not None and packet.dts is not None:
                        shift = round(begin / packet.time_base) - (stream.start_time or 0)
                        packet.pts += shift
                        packet.dts += shift
                        packet.stream = copied
                        container.mux(packet)
            begin += len(clip.numbers) / clip.fps


class FieldPairs(Footage):
    """Interlaced H.264 in which each field is a picture of its own, as camcorders make it.

    None of FFmpeg's encoders does, so the bits are put together here: a picture's samples as they
    are, each field behind a slice header (ITU-T H.264, 7.3).
    """

    def write(self, path: Path, options: str = "") -> list[float]:
        """Write it; see there."""
        pictures = [self._coded(number) for number in self.numbers]
        with (
            av.open(BytesIO(b"".join(pictures)), format="h264") as raw,
            av.open(path, "w", options=_pairs(options)) as container,
        ):
            stream = container.add_stream_from_template(raw.streams.video[0])
            for place, picture in enumerate(pictures):
                packet = av.Packet(picture)
                packet.stream, packet.time_base = stream, 1 / self.fps
                packet.pts = packet.dts = place
                packet.duration = 1
                packet.is_keyframe = True
                container.mux(packet)
        return [float(place / self.fps) for place in range(len(pictures))]

    def _coded(self, number: int) -> bytes:
        height, width = self.size
        shape = "010" + "0" + _exp_golomb(width // 16 - 1, height // 32 - 1) + "001001"
        sequence = f"{77:08b}{0:08b}{30:08b}" + _exp_golomb(0, 0, 0, 4) + shape
        parameters = _unit(0x67, _bytes(sequence)) + _unit(0x68, _bytes("11001110001111001"))
        picture = av.VideoFrame.from_ndarray(drawn(number, self.size, True), "bgr24")
        planes = picture.reformat(format="yuv420p").to_ndarray()
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        return parameters + b"".join(
            _field(planes[bottom:height:2], chroma[:, bottom::2], bottom, number % 2)
            for bottom in (0, 1)
        )


def _field(luma: np.ndarray, chroma: np.ndarray, bottom: int, odd: int) -> bytes:
    header = _exp_golomb(0, 7, 0) + f"00001{bottom}"
    header += f"{bottom:08b}0" if bottom else _exp_golomb(odd) + "0000000000"
    header += _exp_golomb(0, 1)
    uncompressed = _exp_golomb(25)
    blocks = zip(_squares(luma, 16), *(_squares(plane, 8) for plane in chroma), strict=True)
    samples = _bytes(uncompressed).join(b"".join(block) for block in blocks)
    return _unit(0x61 if bottom else 0x65, _bytes(header + uncompressed) + samples + b"\x80")


def _squares(plane: np.ndarray, side: int) -> Iterator[bytes]:
    for rows in np.split(plane, plane.shape[0] // side):
        for square in np.split(rows, plane.shape[1] // side, axis=1):
            yield square.tobytes()


def _exp_golomb(*numbers: int) -> str:
    codes = [f"{number + 1:b}" for number in numbers]
    return "".join("0" * (len(code) - 1) + code for code in codes)


def _bytes(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _unit(kind: int, content: bytes) -> bytes:
    return b"\0\0\0\1" + bytes([kind]) + content
