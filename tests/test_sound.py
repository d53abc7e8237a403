"""The sound of a clip is in its video, in step with the pictures.

In each clip one picture is white, and at the same time a tone begins.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av import AudioStream, VideoStream
from conftest import write_clip
from labelled import PREDICTION, clip_of, video_of

from activity.prediction.outputs.sound import PLAYED
from activity.prediction.outputs.video import Video
from activity.video.reader import VideoReader

FPS, SECONDS, FLASH = 25, 2.0, 1.0
FRAME = 1 / FPS
SAMPLES = 1024  # of a packet, at least
CUT = (0.52, 1.6)  # in the middle of a packet


@dataclass(frozen=True)
class Clip:
    """A clip that can be written."""

    name: str
    codec: str
    rate: int = 48_000
    layout: str = "stereo"
    video: str = "libx264"
    sound: tuple[float, float] = (0.0, SECONDS)  # when it begins and ends
    begin: float = 0.0  # the time of the first frame, as the container counts
    options: dict[str, str] = field(default_factory=dict)
    spoilt: Callable[[int, bytes], bytes] = lambda _, data: data  # by its place among the packets

    def write(self, folder: Path) -> Path:
        """Write it."""
        with av.open(folder / self.name, "w") as out:
            pictures = out.add_stream(self.video, FPS)
            assert isinstance(pictures, VideoStream)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
            sound = out.add_stream(self.codec, self.rate, self.options, layout=self.layout)
            assert isinstance(sound, AudioStream)
            for number in range(round(SECONDS * FPS)):
                grey = 235 if number == FLASH * FPS else 60
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8), "bgr24")
                frame.pts, frame.time_base = number + round(self.begin * FPS), Fraction(1, FPS)
                out.mux(pictures.encode(frame))
            out.mux(pictures.encode(None))
            played = tone(*self.sound, self.rate, self.layout, self.begin)
            packets = chain.from_iterable(map(sound.encode, [*played, None]))
            for place, packet in enumerate(packets):
                data = self.spoilt(place, bytes(packet))
                out.mux(packet if data == bytes(packet) else changed(packet, data))
        return folder / self.name


def tone(
    begin: float, end: float, rate: int, layout: str, shift: float = 0.0
) -> Iterator[av.AudioFrame]:
    """Yield sound between two times of a clip: faint noise, and the tone."""
    times = np.arange(round(begin * rate), round(end * rate)) / rate
    heard = (times >= FLASH) & (times < FLASH + 0.1)
    wave = np.random.default_rng(0).normal(0, 0.01, len(times)).astype(np.float32)
    wave += np.where(heard, 0.5 * np.sin(2 * np.pi * 1000 * times), 0)
    channels = av.AudioLayout(layout).nb_channels
    for place in range(0, len(wave), SAMPLES):
        part = np.tile(wave[None, place : place + SAMPLES], (channels, 1))
        frame = av.AudioFrame.from_ndarray(part, "fltp", layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round((begin + shift) * rate) + place
        yield frame


def changed(packet: Any, data: bytes) -> Any:
    """Return a packet with other data."""
    other = av.Packet(data)
    other.stream, other.time_base = packet.stream, packet.time_base
    other.pts, other.dts, other.duration = packet.pts, packet.dts, packet.duration
    return other


@dataclass
class Played:
    """What a player shows and plays of a file."""

    flash: float = -1.0  # when the white picture comes
    tone: float = -1.0  # when the tone begins
    pictures: float = -1.0  # when they end
    sound: float = -1.0  # when it ends
    codec: str = ""  # of the sound
    rate: int = 0
    channels: int = 0
    packets: list[bytes] = field(default_factory=list)

    @property
    def offset(self) -> float:
        """By how much the tone is late."""
        return self.tone - self.flash


def played(path: Path) -> Played:
    """Play a file to its end; what is damaged is passed over."""
    found = Played()
    with av.open(path) as container:
        for picture in container.decode(container.streams.video[0]):
            if picture.to_ndarray(format="gray").mean() > 150:
                found.flash = picture.time
            found.pictures = picture.time + FRAME
    with av.open(path) as container:
        stream = next(iter(container.streams.audio), None)
        if not stream or not stream.codec_context:
            return found
        found.codec, found.rate = stream.codec_context.codec.canonical_name, stream.rate
        found.channels = stream.layout.nb_channels
        resampler = av.AudioResampler("fltp")
        for packet in container.demux(stream):
            if packet.size:
                found.packets.append(bytes(packet))
            with suppress(av.FFmpegError):
                for heard in chain.from_iterable(map(resampler.resample, packet.decode())):
                    assert heard.time is not None
                    found.sound = heard.time + heard.samples / heard.sample_rate
                    loud = np.flatnonzero(np.abs(heard.to_ndarray()).max(axis=0) > 0.15)
                    if found.tone < 0 and loud.size:
                        found.tone = heard.time + loud[0] / heard.sample_rate
    return found


COPIED = [
    Clip("aac.mp4", "aac"), Clip("aac.mov", "aac", layout="mono"),
    Clip("aac.mkv", "aac", layout="5.1"), Clip("aac.ts", "aac", begin=1.4),
    Clip("aac_8k.mp4", "aac", rate=8000, layout="mono"), Clip("mp3.mkv", "libmp3lame"),
    Clip("mp3.avi", "libmp3lame", video="mpeg4"), Clip("opus.mkv", "libopus", layout="mono"),
    Clip("opus.webm", "libopus", video="libvpx"),
    Clip("mp3_22k.avi", "libmp3lame", rate=22_050, layout="mono", video="mpeg4"),
]  # fmt: skip
ENCODED = [
    Clip("pcm.mov", "pcm_s16le"), Clip("pcm.avi", "pcm_s16le", video="mpeg4"),
    Clip("flac.mkv", "flac"), Clip("alac.mov", "alac"), Clip("ac3.mkv", "ac3", layout="5.1"),
    Clip("ac3.ts", "ac3", begin=1.4), Clip("mp2.ts", "mp2", begin=1.4),
    Clip("pcm_8k.mov", "pcm_s16le", rate=8000, layout="mono"),
    Clip("pcm_11k.avi", "pcm_u8", rate=11_025, layout="mono", video="mpeg4"),
    Clip("pcm_192k.mkv", "pcm_s24le", rate=192_000),
    Clip("mp3_8k.avi", "libmp3lame", rate=8000, layout="mono", video="mpeg4"),
    Clip("vorbis.mkv", "vorbis", options={"strict": "experimental"}),
]  # fmt: skip


@pytest.mark.parametrize(("start", "end"), [(0.0, None), CUT])
@pytest.mark.parametrize("clip", [*COPIED, *ENCODED], ids=lambda clip: clip.name)
def test_it_is_in_step(tmp_path: Path, clip: Clip, start: float, end: float | None) -> None:
    source = played(clip.write(tmp_path))
    made = played(video_of(tmp_path / clip.name, start, end))
    assert abs(made.offset) < FRAME
    assert made.offset == pytest.approx(source.offset, abs=0.002)
    assert made.sound == pytest.approx(made.pictures, abs=FRAME + 1152 / made.rate)
    if clip in COPIED:
        packets = [packet[7:] if clip.name.endswith(".ts") else packet for packet in source.packets]
        first = packets.index(made.packets[0])
        assert packets[first : first + len(made.packets)] == made.packets
        assert end or len(made.packets) == len(packets)
        expected = (source.codec, source.rate, source.channels)
    else:
        expected = ("aac", min(source.rate, 48_000), min(source.channels, 2))
    assert (made.codec, made.rate, made.channels) == expected


@pytest.mark.parametrize("name", ["aac.mkv", "ac3.mkv"])
@pytest.mark.parametrize("start", [0.0, CUT[0]])
@pytest.mark.parametrize("sound", [(0.05, SECONDS), (0.5, SECONDS), (0.0, 3.0), (0.0, 1.2)])
def test_it_may_begin_and_end_when_it_likes(
    tmp_path: Path, name: str, start: float, sound: tuple[float, float]
) -> None:
    clip = Clip(name, name[:3], sound=sound)
    source = played(clip.write(tmp_path))
    video = video_of(tmp_path / clip.name, start)
    made = played(video)
    assert made.offset == pytest.approx(source.offset, abs=0.002)
    assert made.sound == pytest.approx(sound[1] - start, abs=FRAME)
    with av.open(video) as container:  # the last picture is held while the sound goes on
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        held = float(stream.duration * stream.time_base)
        assert held == pytest.approx(max(SECONDS - start, made.sound), abs=0.03)


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "libopus", "ac3", "flac"])
@pytest.mark.parametrize("damage", ["lost", "random", "zeros"])
def test_damaged_packets(tmp_path: Path, codec: str, damage: str) -> None:
    def spoilt(place: int, data: bytes) -> bytes:
        if place % 7 != 3:
            return data
        size = 0 if damage == "lost" else len(data)
        return np.random.default_rng(place).bytes(size) if damage == "random" else bytes(size)

    source = played(Clip("clip.mkv", codec, spoilt=spoilt).write(tmp_path))
    made = played(video_of(tmp_path / "clip.mkv"))
    assert made.offset == pytest.approx(source.offset, abs=0.02)
    assert made.pictures == SECONDS
    assert made.sound == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize("name", ["aac.ts", "mp2.ts", "ac3.ts"])
def test_a_broadcast_in_bad_weather(tmp_path: Path, name: str) -> None:
    path = Clip(name, name[:3], begin=1.4).write(tmp_path)
    source = played(path)
    content = path.read_bytes()
    starts = range(0, len(content), 188)
    of_sound = [b for b in starts if content[b + 1] & 31 == 1 and content[b + 2] == 1]
    for seed in range(5):
        random = np.random.default_rng(seed)
        damaged = bytearray(content)
        for begin in random.choice(of_sound, 6):
            damaged[begin + 20 : begin + 188] = random.bytes(168)
        path.write_bytes(damaged)
        made = played(video_of(path))
        assert made.offset == pytest.approx(source.offset, abs=0.02)
        assert made.pictures == pytest.approx(SECONDS, abs=0.03)  # sound may begin before


def test_channels_may_change(tmp_path: Path) -> None:
    """As those of a broadcast after the advertisements."""
    stereo = played(Clip("stereo.mkv", "ac3").write(tmp_path)).packets
    clip = Clip("clip.mkv", "ac3", layout="5.1", spoilt=lambda n, d: stereo[n] if n < 15 else d)
    source = played(clip.write(tmp_path))
    made = played(video_of(tmp_path / "clip.mkv"))
    assert made.offset == pytest.approx(source.offset, abs=0.002)
    assert made.sound == pytest.approx(SECONDS, abs=FRAME)


CONFIGURATION = b"\x11\x90\x56\xe5\x00"  # of AAC


@pytest.mark.parametrize(
    ("clip", "old", "new"),
    [(Clip("ac4.mov", "pcm_s16le"), b"sowt", b"ac-4"),
     (Clip("unknown.mkv", "aac"), b"A_AAC", b"A_XYZ"),
     (Clip("broken.mp4", "aac"), CONFIGURATION, b"\xff" * 5),
     (Clip("broken.mkv", "aac"), CONFIGURATION, bytes(5)),
     (Clip("headless.mkv", "libopus"), b"\x63\xa2\x93OpusHead", b"\x63\xa9\x93OpusHead")],
    ids=lambda value: value.name if isinstance(value, Clip) else "",
)  # fmt: skip
def test_what_nothing_plays_is_left_out(tmp_path: Path, clip: Clip, old: bytes, new: bytes) -> None:
    path = clip.write(tmp_path)
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    made = played(video_of(path))
    assert (made.flash, made.pictures, made.codec) == (FLASH, SECONDS, "")


def test_what_no_video_may_have_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLAYED, "mp3", 0)
    clip = Clip("clip.avi", "libmp3lame", rate=8000, layout="mono", video="mpeg4")
    made = played(video_of(clip.write(tmp_path), *CUT))
    assert (made.flash > 0, made.codec) == (True, "")
    made = played(video_of(write_clip(tmp_path / "silent.avi")))
    assert (round(made.pictures, 3), made.codec) == (1.6, "")


def test_a_clip_that_is_gone(tmp_path: Path) -> None:
    path = Clip("clip.mp4", "aac").write(tmp_path)
    with VideoReader(path) as reader:
        video = Video(tmp_path / "video.mp4", clip_of("a", format=reader.format))
        with video.opened():
            for frame in reader:
                video.add(frame, PREDICTION)
            path.unlink()
    assert played(tmp_path / "video.mp4").pictures == SECONDS


def test_hardly_any_time_is_not_misread(tmp_path: Path) -> None:
    """FFmpeg's filters take 1e-05 for 1 second."""
    path = Clip("clip.mov", "pcm_s16le").write(tmp_path)
    made = played(video_of(path, sound=str(path), origin=1e-5))
    assert made.offset == pytest.approx(0, abs=0.002)
