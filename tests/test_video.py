"""The annotated video: its frames, times and colours, and that it is whole."""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import frames
from footage import Footage
from labelled import PLAIN, PREDICTION, clip_of, video_of

from activity.errors import UserError
from activity.files import check_output
from activity.prediction.outputs import video as video_module
from activity.prediction.outputs.sound import join
from activity.prediction.outputs.video import Video
from activity.quiet.opencv import cv2
from activity.video.backends import Colour, Format
from activity.video.reader import Frame, VideoReader
from activity.video.sources import OWN_MARK, is_own


def plain(grey: int, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    return np.full((*size, 3), grey, np.uint8)


def write(
    path: Path, pictures: Iterable[np.ndarray], times: Sequence[float] = (), format: Format = PLAIN
) -> None:
    video = Video(path, clip_of("a", format=format))
    with video.opened():
        for number, picture in enumerate(pictures):
            time = times[number] if times else number / format.fps
            video.add(Frame(number, time, picture), PREDICTION)


def shown(path: Path) -> list[av.VideoFrame]:
    with av.open(path) as container:
        return list(container.decode(container.streams.video[0]))


def greys(path: Path) -> list[float]:
    return [float(frame.to_ndarray(format="bgr24").mean()) for frame in shown(path)]


def boxes(path: Path) -> list[str]:
    """Return the names of an .mp4's boxes."""
    content, names, begin = path.read_bytes(), [], 0
    while begin < len(content):
        size, name = struct.unpack_from(">I4s", content, begin)
        names.append(name.decode())
        begin += size
    return names


@pytest.fixture(params=[".avi", ".mp4"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tmp_path / f"out{request.param}"


@pytest.mark.parametrize("fps", [25.0, 30000 / 1001, 60000 / 1001, 12.5, 0.5, 239.763, 1000.0])
@pytest.mark.parametrize("size", [(120, 160), (121, 161), (1, 1), (17, 16)])
def test_writes_every_frame_at_its_rate_and_size(
    path: Path, fps: float, size: tuple[int, int]
) -> None:
    format = Format(fps, fps, 1 / Fraction(fps).limit_denominator(1001))
    write(path, [plain(40 + 5 * index, size) for index in range(30)], format=format)
    assert list(path.parent.iterdir()) == [path]
    found = shown(path)
    times = [index / fps for index in range(30)]
    assert [frame.time for frame in found] == pytest.approx(times, rel=1e-5)
    if path.suffix == ".mp4":  # has no odd sides; one pixel is added, none is lost
        size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert {(frame.height, frame.width) for frame in found} == {size}
    assert greys(path) == pytest.approx([40 + 5 * index for index in range(30)], abs=6)


def test_frames_of_another_size_are_fitted_not_dropped(path: Path) -> None:
    write(path, [plain(100, size) for size in ((65, 64), (32, 48), (100, 64), (65, 64))])
    assert greys(path) == pytest.approx([100] * 4, abs=3)
    heights = {(frame.height, frame.width) for frame in shown(path)}
    assert heights == {(65 if path.suffix == ".avi" else 66, 64)}


def test_an_error_leaves_no_video(path: Path) -> None:
    def pictures() -> Iterator[np.ndarray]:
        yield plain(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(path, pictures())
    with pytest.raises(UserError, match="no video of 70000x2 pixels can be written"):
        write(path, [plain(0, (2, 70_000))])
    assert list(path.parent.iterdir()) == []


def test_a_video_that_lacks_frames_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV drops frames without a word; here an encoder that loses every second one."""

    real = cv2.VideoWriter

    class Lossy:
        fourcc = real.fourcc

        def __init__(self, *arguments: object) -> None:
            self.real, self.count = real(*arguments), 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def write(self, picture: np.ndarray) -> None:
            self.count += 1
            if self.count % 2:
                self.real.write(picture)

    monkeypatch.setattr(cv2, "VideoWriter", Lossy)
    monkeypatch.setattr(video_module, "join", lambda *arguments: join(*arguments) - 5)
    with pytest.raises(UserError, match="holds 5 of 10 frames; is the disk full"):
        write(path, [plain(0)] * 10)
    assert list(path.parent.iterdir()) == []


def test_a_video_is_marked_and_plays_as_without_the_mark(path: Path) -> None:
    """By PyAV, OpenCV and the reader; and the mark is in a box, which players skip."""
    write(path, [plain(5 * index) for index in range(30)])
    content = path.read_bytes()
    assert content.endswith(OWN_MARK)
    assert is_own(path)
    bare = path.with_stem("bare")
    bare.write_bytes(content[: -8 - len(OWN_MARK)])
    for video in (path, bare):
        assert greys(video) == pytest.approx([5 * index for index in range(30)], abs=3)
        capture = cv2.VideoCapture(str(video))
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 30
        assert sum(capture.read()[0] for _ in range(40)) == 30
        with VideoReader(video) as reader:
            assert reader.format.claimed == 30
            assert reader.format.end == pytest.approx(30 / 25)
            assert len(list(reader)) == 30
    assert boxes(path)[-1] == "free" if path.suffix == ".mp4" else content[-40:-36] == b"JUNK"


def test_an_avi_is_a_row_of_jpeg_files(tmp_path: Path) -> None:
    frames = [scene(number) for number in range(10)]
    write(tmp_path / "out.avi", frames)
    with av.open(tmp_path / "out.avi") as container:
        stream = container.streams.video[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    quality = (cv2.IMWRITE_JPEG_QUALITY, 85)
    assert packets == [cv2.imencode(".jpg", frame, quality)[1].tobytes() for frame in frames]


def test_an_avi_keeps_the_time_at_a_constant_rate(tmp_path: Path) -> None:
    """A picture stands for those that are missing after it; one that comes early is left out."""
    format = Format(20.0, 25.0, Fraction(1, 90_000), begin=10.0)
    times = [10.0, 10.04, 10.2, 10.205, 10.21, 10.28]
    path = tmp_path / "out.avi"
    write(path, [plain(50 * index) for index in range(6)], times, format)
    assert greys(path) == pytest.approx([0, 50, 50, 50, 50, 100, 200, 250], abs=2)
    assert [frame.time for frame in shown(path)] == pytest.approx([n / 25 for n in range(8)])


def test_a_video_begins_to_play_at_once_and_everywhere(tmp_path: Path) -> None:
    write(tmp_path / "out.mp4", [plain(100)] * 60)
    names = boxes(tmp_path / "out.mp4")
    assert names.index("moov") < names.index("mdat")
    assert "moof" not in names
    with av.open(tmp_path / "out.mp4") as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        assert container.streams.video[0].frames == 60


@pytest.mark.parametrize(
    "time_base", ["1/90000", "1/12800", "1/1000", "1/600", "1001/30000", "1/25"]
)
def test_a_video_keeps_the_times_to_the_tick(tmp_path: Path, time_base: str) -> None:
    base = Fraction(time_base)
    gaps = [1, 1, 2, 1, 7, 1, 90, 1, 2, 3] * 4
    step = 1 + round(Fraction(1, 100) / base)
    ticks = [int(tick) * step for tick in np.cumsum([3, *gaps])]
    times = [round(float(tick * base), 6) for tick in ticks]
    format = Format(25.0, 25.0, base, begin=times[0])
    write(tmp_path / "out.mp4", [plain(100)] * len(ticks), times, format)
    found = [frame.time for frame in shown(tmp_path / "out.mp4")]
    assert found == pytest.approx([float((tick - ticks[0]) * base) for tick in ticks], abs=1e-6)
    with av.open(tmp_path / "out.mp4") as container:
        *_, last = (packet for packet in container.demux(container.streams.video[0]) if packet.size)
        assert last.duration
        assert last.duration * last.time_base == gaps[-1] * step * base


def test_times_that_an_mp4_cannot_have(tmp_path: Path) -> None:
    """Two within a tick; and a gap that is too long, as after damage in a transport stream."""
    format = Format(25.0, 25.0, Fraction(1, 25))
    write(tmp_path / "out.mp4", [plain(100)] * 4, [0.0, 0.001, 0.002, 0.2], format)
    assert [frame.time for frame in shown(tmp_path / "out.mp4")] == [0, 0.04, 0.08, 0.2]
    format = Format(25.0, 25.0, Fraction(1, 90_000))
    write(tmp_path / "out.mp4", [plain(100)] * 4, [0.0, 0.04, 40_000.0, 40_000.04], format)
    assert len(shown(tmp_path / "out.mp4")) == 4


def scene(number: int, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """Draw gradients with noise, (H, W, 3) uint8 BGR."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    gradients = np.stack([x / size[1], y / size[0], (x + y) / sum(size)], axis=-1)
    noise = np.random.default_rng(number).normal(0, 12, (*size, 3))
    return np.clip(255 * np.roll(gradients, 3 * number, axis=1) + noise, 0, 255).astype(np.uint8)


def source(path: Path, codec: str, pix_fmt: str, tags: tuple[int, int, int] = (2, 2, 2)) -> Path:
    clip = Footage(codec, "qmax=8", pix_fmt, (120, 160), range(10), b_frames=0, colours=tags)
    clip.write(path)
    return path


def colour(frame: av.VideoFrame) -> Colour:
    full_range = frame.color_range == 2
    return Colour(frame.color_primaries, frame.color_trc, frame.colorspace, full_range)


def brightness(frames: Sequence[av.VideoFrame]) -> float:
    """Return the mean of Y."""
    return float(np.mean([frame.to_ndarray()[: frame.height] for frame in frames]))


def differences(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the mean difference of the pixels of two pictures, and that of their mean colours."""
    difference = one.astype(int) - other
    return np.abs(difference).mean(), np.abs(difference.mean(axis=(0, 1))).max()


@pytest.mark.parametrize("start", [0.0, 0.08])
@pytest.mark.parametrize(
    ("codec", "pix_fmt", "tags"),
    [("libx264", "yuv420p", (2, 2, 2)), ("libx264", "yuv420p", (1, 1, 1)),
     ("libx264", "yuv420p", (6, 6, 6)), ("libx264", "yuv420p", (5, 6, 5)),
     ("libx264", "yuv420p", (2, 2, 9)), ("libx264", "yuv422p", (1, 1, 1)),
     ("libx264", "yuvj420p", (2, 2, 2)), ("libx264", "yuvj420p", (1, 1, 1)),
     ("mpeg4", "yuv420p", (2, 2, 2))],
)  # fmt: skip
def test_a_video_is_as_bright_as_the_clip_and_says_the_same_of_its_colours(
    tmp_path: Path, codec: str, pix_fmt: str, tags: tuple[int, int, int], start: float
) -> None:
    clip = source(tmp_path / "clip.mkv", codec, pix_fmt, tags)
    before, after = shown(clip), shown(video_of(clip, start))
    before = before[-len(after) :]
    assert len(after) == (8 if start else 10)
    assert colour(after[0]) == colour(before[0]) == Colour(*tags, full_range="j" in pix_fmt)
    assert abs(brightness(after) - brightness(before)) < 0.3
    for one, other in zip(before, after, strict=True):
        each, whole = differences(*(frame.to_ndarray(format="bgr24") for frame in (one, other)))
        assert each < 8  # what the codec costs
        assert whole < 2


@pytest.mark.parametrize(
    ("tags", "start"), [((9, 18, 9), 0.0), ((9, 16, 9), 0.08), ((2, 2, 8), 0.08)]
)
def test_colours_that_not_every_screen_has_become_those_that_the_model_gets(
    tmp_path: Path, tags: tuple[int, int, int], start: float
) -> None:
    clip, video = tmp_path / "clip.mp4", tmp_path / "out.mp4"
    with VideoReader(source(clip, "libx264", "yuv420p10le", tags), start) as reader:
        before = [frame.picture.copy() for frame in reader]
        write(video, before, format=reader.format)
    known = Colour(2, 2, 6, full_range=False) if tags[2] == 8 else Colour(1, 1, 1, full_range=False)
    assert colour(shown(video)[0]) == known
    for one, other in zip(before, frames(video), strict=True):
        each, whole = differences(one, other)
        assert each < 6
        assert whole < 2.5


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [("10_bits.mp4", "libx264", "yuv420p10le"), ("10_bits.mov", "prores_ks", "yuv422p10le"),
     ("alpha.mov", "prores_ks", "yuva444p10le"), ("rgb_alpha.mov", "png", "rgba"),
     ("grey.mkv", "ffv1", "gray"), ("grey_10_bits.mkv", "ffv1", "gray10le"),
     ("444.mp4", "libx264", "yuv444p"), ("rgb.mkv", "libx264rgb", "bgr24"),
     ("palette.gif", "gif", "rgb8")],
)  # fmt: skip
def test_sources_of_other_kinds(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    clip = source(tmp_path / name, codec, pix_fmt)
    before, after = shown(clip), shown(video_of(clip))
    assert (after[0].format.name, len(after)) == ("yuv420p", len(before))
    assert [frame.time for frame in after] == [frame.time for frame in before]
    for one, other in zip(before, after, strict=True):
        pictures = (frame.to_ndarray(format="bgr24") for frame in (one, other))
        assert differences(*pictures)[1] < 3.5


def test_pictures_get_the_colours_of_television_and_no_more_light(tmp_path: Path) -> None:
    pictures = [scene(number) for number in range(10)]
    write(tmp_path / "out.mp4", pictures)
    frames = shown(tmp_path / "out.mp4")
    assert colour(frames[0]) == Colour(2, 2, 6, full_range=False)
    luma = 16 + np.mean(pictures, axis=(0, 1, 2)) @ [25.064, 129.057, 65.481] / 256
    assert abs(brightness(frames) - luma) < 0.3


@pytest.mark.parametrize("size", [(64, 64), (66, 62), (121, 161), (7, 5)])
def test_every_row_and_column_is_there_and_odd_sides_get_the_last_once_more(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    write(tmp_path / "out.mp4", [scene(0, size)] * 5)
    odd = [(0, side % 2) for side in size]
    grown = np.pad(scene(0, size).astype(int), (*odd, (0, 0)), "edge")
    picture = shown(tmp_path / "out.mp4")[-1].to_ndarray(format="bgr24")
    assert picture.shape == grown.shape
    assert np.abs(picture - grown).mean() < 13


@pytest.mark.parametrize("name", ["2021-05-03T12:30:00.mp4", "2021-05-03T12:30:00.avi", "A.MP4"])
def test_names_that_could_be_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path(name), [plain(100)] * 10)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(shown(tmp_path / name)) == 10


@pytest.mark.parametrize("length", [*range(236, 248), 255, 256])
def test_a_long_name_is_possible_or_refused_before(tmp_path: Path, length: int) -> None:
    path = tmp_path / f"{'n' * (length - 4)}.mp4"
    with suppress(UserError):
        check_output(path)
        write(path, [plain(100)] * 10)
        assert len(shown(path)) == 10
        assert length <= 255 - len(f"..{os.getpid()}.partial")
        return
    assert length > 255 - len(f"..{os.getpid()}.partial")
    assert list(tmp_path.iterdir()) == []
