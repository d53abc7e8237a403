"""Clips in any codec and container, made with PyAV, whose pictures say which frame they are."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import av.filter
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from activity.video.reader import VideoReader

os.environ["SVT_LOG"] = "0"  # an encoder that says much

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
        """Write it; return the times of its frames, in seconds, as players show them.

        Browsers show those of .mp4 and Matroska as they are, and players of other containers begin
        with 0. The options are those of FFmpeg's container.
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
        begin = self.begin if path.suffix in {".mp4", ".mov", ".mkv", ".webm"} else 0.0
        return [begin + time for time in times]

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


def frames_of(reader: VideoReader) -> list[tuple[int, float, int]]:
    """Return the number of each frame, its time, and the number in its picture."""
    found = []
    for frame in reader:
        found.append((frame.number, round(frame.time, 3), number_of(frame.picture)))
        reader.recycle(frame)
    return found


def expected(count: int, first: int = 0) -> list[tuple[int, float, int]]:
    """Return what `read` returns for `count` frames, 25 per second, from one of them on."""
    return [(number, number / 25, number) for number in range(first, count)]


def copy(
    source: InputContainer, container: OutputContainer, copied: VideoStream, begin: Fraction
) -> None:
    """Copy the packets of a video, so that it begins at a time."""
    for packet in source.demux(stream := source.streams.video[0]):
        if packet.pts is not None and packet.dts is not None:
            shift = round(begin / packet.time_base) - (stream.start_time or 0)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = copied
            container.mux(packet)


def trimmed(clip: Path, path: Path, seconds: float) -> None:
    """Cut off the beginning of a clip without encoding it anew, as `ffmpeg -ss … -c copy` does.

    What is kept begins with a key frame; an edit list hides what comes before the cut.
    """
    with av.open(clip) as source, av.open(path, "w") as container:
        stream = source.streams.video[0]
        assert stream.time_base is not None
        copied = container.add_stream_from_template(stream)
        source.seek(round(seconds / stream.time_base), stream=stream)
        copy(source, container, copied, -Fraction(seconds))


def joined(path: Path, *clips: Footage) -> None:
    """Write clips of one size and codec one after the other, without encoding them anew."""
    begin = Fraction(0)
    with av.open(path, "w") as container:
        copied = None
        for number, clip in enumerate(clips):
            clip.write(part := path.with_name(f"{number}.ts"))
            with av.open(part) as source:
                copied = copied or container.add_stream_from_template(source.streams.video[0])
                copy(source, container, copied, begin)
            begin += len(clip.numbers) / clip.fps


class FieldPairs(Footage):
    """Interlaced H.264 in which each field is a picture of its own, as camcorders make it.

    None of FFmpeg's encoders does, so the bits are put together here (ITU-T H.264, 7.3), for the
    usual size: parameter sets, and each field's samples as they are behind a slice header.
    """

    def write(self, path: Path, options: str = "") -> list[float]:
        pictures = [self._coded(number) for number in self.numbers]
        with (
            av.open(BytesIO(b"".join(pictures)), format="h264") as raw,
            av.open(path, "w", options=_pairs(options)) as container,
        ):
            stream = container.add_stream_from_template(raw.streams.video[0])
            for place, picture in enumerate(pictures):
                packet = av.Packet(picture)
                packet.stream, packet.time_base = stream, 1 / self.fps
                packet.pts, packet.dts, packet.duration = place, place, 1
                packet.is_keyframe = True
                container.mux(packet)
        return [float(place / self.fps) for place in range(len(pictures))]

    def _coded(self, number: int) -> bytes:
        height, width = self.size
        picture = av.VideoFrame.from_ndarray(drawn(number, self.size, True), "bgr24")
        planes = picture.reformat(format="yuv420p").to_ndarray()
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        # Neighbouring pictures have different numbers, which stand in the header of the top field.
        top = "65 8884800a0d00" if number % 2 else "65 8885002834"
        coded = bytes.fromhex("00000001 674d001ee542a240 00000001 68ce3c80")
        for first, header in enumerate((top, "61 888602a0d0")):
            fields = (planes[first:height:2], *chroma[:, first::2])
            blocks = zip(*map(_blocks_of, fields, (16, 8, 8)), strict=True)
            samples = bytes.fromhex("0d00").join(map(b"".join, blocks))  # each is uncompressed
            coded += bytes.fromhex(f"00000001 {header}") + samples + b"\x80"
        return coded


def _blocks_of(plane: np.ndarray, side: int) -> list[bytes]:
    blocks = plane.reshape(plane.shape[0] // side, side, -1, side).swapaxes(1, 2)
    return [block.tobytes() for row in blocks for block in row]


H265 = "x265-params=log-level=none"
FIELDS = "flags=+ilme+ildct"
FAST = "deadline=realtime"
# Every 1/30 s for two seconds, then every 1/5 s, as a camera does when it gets dark.
VARIABLE = Footage(
    numbers=range(70), times=[*(n / 30 for n in range(60)), *(2 + n / 5 for n in range(10))]
)
INTERLACED = Footage(options=FIELDS, interlaced=True)


def _kinds(table: dict[str, Footage]) -> dict[str, Footage]:
    return {name: clip for names, clip in table.items() for name in names.split()}


# What OpenCV reads as well.
ORDINARY = _kinds({
    "h264.mp4 h264.mov h264.mkv": Footage(),
    "every_frame_a_key.mp4": Footage(gop=1, b_frames=0),
    "one_key.mp4 one_key.mkv": Footage(gop=250), "h265.mp4 h265.mkv": Footage("libx265", H265),
    "open_gop.mp4": Footage(options="x264-params=open-gop=1"),
    "mpeg4.mp4": Footage("mpeg4", "b=2M"),
    "mjpeg.mov": Footage("mjpeg", pix_fmt="yuvj420p", b_frames=0),
    "vp8.webm": Footage("libvpx", FAST, b_frames=0),
    "vp9.webm": Footage("libvpx-vp9", f"{FAST} cpu-used=8", b_frames=0),
    "variable_rate.webm": replace(VARIABLE, codec="libvpx", options="b=1M", b_frames=0),
    "variable_rate.mp4 variable_rate.mkv": VARIABLE, "late.mp4 late.mkv": Footage(begin=100),
    "turned_90.mp4": Footage(turned=90), "turned_180.mov": Footage(turned=180),
    "turned_270.mkv": Footage(turned=270), "ten_bits.mp4": Footage(pix_fmt="yuv420p10le"),
    "ten_bits_h265.mkv": Footage("libx265", H265, "yuv420p10le"),
    "all_colours.mp4": Footage(pix_fmt="yuv444p"), "full_range.mp4": Footage(pix_fmt="yuvj420p"),
    "prores.mov": Footage("prores_ks", pix_fmt="yuv422p10le", b_frames=0),
    "grey.mkv": Footage("ffv1", pix_fmt="gray", b_frames=0),
    "odd.mkv": Footage("ffv1", size=(65, 83), b_frames=0),
    "odd.mp4": Footage("mpeg4", "b=2M", size=(33, 17)),
    "nearly_square.mp4": Footage(pixel=Fraction(101, 100)),
    "hlg.mp4": Footage(pix_fmt="yuv420p10le", colours=(9, 18, 9)),
    "pq.mkv": Footage(pix_fmt="yuv420p10le", colours=(9, 16, 9)),
    "p3.mov": Footage(colours=(12, 1, 1)), "bt709.mp4": Footage(colours=(1, 1, 1)),
    "slow_motion.mp4": Footage(fps=Fraction(239_763, 1000)),
})  # fmt: skip
KINDS = ORDINARY | _kinds({
    "h264.avi": Footage(b_frames=0), "h264_b.avi": Footage(),
    "mpeg4.avi": Footage("mpeg4", "b=2M", b_frames=0), "mpeg4_b.avi": Footage("mpeg4", "b=2M"),
    "mjpeg.avi": Footage("mjpeg", pix_fmt="yuvj420p", b_frames=0),
    "sixteen_bits.mkv": Footage("ffv1", pix_fmt="gray16le", b_frames=0),
    "deep_colours.mkv": Footage("ffv1", pix_fmt="gbrp16le", b_frames=0),
    "alpha.mov": Footage("png", pix_fmt="rgba", b_frames=0),
    "deep_alpha.mov": Footage("png", pix_fmt="rgba64be", b_frames=0),
    "alpha.webm": Footage("libvpx-vp9", f"{FAST} cpu-used=8", "yuva420p", b_frames=0),
    "alpha8.webm": Footage("libvpx", f"{FAST} auto-alt-ref=0", "yuva420p", b_frames=0),
    "vp9.ivf": Footage("libvpx-vp9", f"{FAST} cpu-used=8", b_frames=0),  # counts its frames wrong
    "av1.mp4 av1.mkv av1.webm": Footage("libsvtav1", "preset=12", b_frames=0),
    "h264.ts": Footage(begin=1.4), "one_key.ts": Footage(gop=250),
    "open_gop.ts": Footage(options="x264-params=open-gop=1"),
    "h265.ts": Footage("libx265", H265), "mpeg2.ts mpeg2.mpg": Footage("mpeg2video", "b=2M"),
    "h264.flv": Footage(begin=100), "flash.flv": Footage("flv", "b=2M", b_frames=0),
    "wmv2.wmv": Footage("wmv2", "b=2M", b_frames=0),
    "overflow.ts": Footage(begin=95_443),  # the clock of 33 bits starts anew at 95443.7 s
    "variable_rate.ts variable_rate.flv": VARIABLE,
    "variable_rate.wmv": replace(VARIABLE, codec="wmv2", options="b=2M", b_frames=0),
    "moving.gif": Footage("gif", pix_fmt="rgb8", b_frames=0),
    "interlaced.mp4": INTERLACED,
    "interlaced.mkv": replace(INTERLACED, size=(400, 640), numbers=range(12)),
    "interlaced.ts interlaced.mpg": Footage("mpeg2video", f"{FIELDS} b=4M", interlaced=True),
    "interlaced.avi": Footage("mpeg4", f"{FIELDS} b=4M", interlaced=True, b_frames=0),
    "interlaced.mov": Footage("prores_ks", FIELDS, "yuv422p10le", interlaced=True, b_frames=0),
    "tape.dv": Footage(
        "dvvideo", size=(576, 720), pixel=Fraction(16, 15), interlaced=True, b_frames=0,
        numbers=range(8),
    ),
    "field_pairs.mts field_pairs.mp4": FieldPairs(interlaced=True),
    "wide.mkv": Footage(pixel=Fraction(64, 45)), "narrow.mp4": Footage(pixel=Fraction(1, 2)),
    "colours_nobody_knows.mp4": Footage(colours=(2, 2, 8)),
})  # fmt: skip
