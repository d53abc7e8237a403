import os
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from footage import Footage

from activity.errors import UserError
from activity.files import check_output
from activity.prediction import writer as writer_module
from activity.prediction.smoothing import Prediction
from activity.prediction.sound import join
from activity.prediction.writer import video_writer
from activity.quiet.opencv import cv2
from activity.video.backends import Colour, Format
from activity.video.reader import Frame, VideoReader

PREDICTION = Prediction("a", "a", np.ones(1), np.ones(1))
PLAIN = Format(25.0, 25.0, Fraction(1, 12_800))
UNTAGGED = Colour(primaries=2, transfer=2, matrix=2, full_range=False)


def plain(grey: int, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    return np.full((*size, 3), grey, np.uint8)


def write(
    path: Path,
    pictures: Iterable[np.ndarray],
    times: Sequence[float] = (),
    format: Format = PLAIN,
) -> None:
    with video_writer(path, format) as writer:
        for number, picture in enumerate(pictures):
            time = times[number] if times else number / format.fps
            writer.add(Frame(number, time, picture), PREDICTION)


def shown(path: Path) -> list[av.VideoFrame]:
    with av.open(path) as container:
        return list(container.decode(container.streams.video[0]))


def exact(ticks: int | None, time_base: Fraction | None) -> Fraction:
    assert ticks is not None
    assert time_base is not None
    return ticks * time_base


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


@pytest.mark.parametrize("ending", [".avi", ".mp4"])
@pytest.mark.parametrize("fps", [25.0, 30000 / 1001, 60000 / 1001, 12.5, 0.5, 239.763, 1000.0])
@pytest.mark.parametrize("size", [(120, 160), (121, 161), (1, 1), (17, 16)])
def test_writes_every_frame_at_its_rate_and_size(
    tmp_path: Path, ending: str, fps: float, size: tuple[int, int]
) -> None:
    path = tmp_path / f"out{ending}"
    format = Format(fps, fps, 1 / Fraction(fps).limit_denominator(1001))
    write(path, [plain(40 + 5 * index, size) for index in range(30)], format=format)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    frames = shown(path)
    times = [frame.time for frame in frames]
    assert times == pytest.approx([index / fps for index in range(30)], rel=1e-5)
    if ending == ".mp4":  # has no odd sides; one pixel is added, none is lost
        size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert {(frame.height, frame.width) for frame in frames} == {size}
    assert greys(path) == pytest.approx([40 + 5 * index for index in range(30)], abs=6)


@pytest.mark.parametrize("ending", [".avi", ".mp4"])
def test_frames_of_another_size_are_fitted_not_dropped(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    write(path, [plain(100, size) for size in ((65, 64), (32, 48), (100, 64), (65, 64))])
    assert greys(path) == pytest.approx([100] * 4, abs=3)
    assert {(frame.height, frame.width) for frame in shown(path)} == {
        (65 if ending == ".avi" else 66, 64)
    }


@pytest.mark.parametrize("ending", [".avi", ".mp4"])
def test_an_error_leaves_no_video(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    with pytest.raises(ZeroDivisionError), video_writer(path, PLAIN) as writer:
        writer.add(Frame(0, 0.0, plain(0)), PREDICTION)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".avi", ".mp4"])
def test_a_size_that_cannot_be(tmp_path: Path, ending: str) -> None:
    with pytest.raises(UserError, match="no video of 70000x2 pixels can be written"):
        write(tmp_path / f"out{ending}", [plain(0, (2, 70_000))])
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_lacks_frames_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV drops frames without a word; here an encoder that loses every second one."""
    real = cv2.VideoWriter

    class Losing:
        fourcc = real.fourcc

        def __init__(self, *arguments: object) -> None:
            self.real = real(*arguments)
            self.count = 0

        def isOpened(self) -> bool:  # noqa: N802
            return bool(self.real.isOpened())

        def write(self, frame: np.ndarray) -> None:
            self.count += 1
            if self.count % 2:
                self.real.write(frame)

        def release(self) -> None:
            self.real.release()

    monkeypatch.setattr(cv2, "VideoWriter", Losing)
    with pytest.raises(UserError, match="holds 5 of 10 frames"):
        write(tmp_path / "out.avi", [plain(0)] * 10)
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_lacks_frames_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "join", lambda *arguments: join(*arguments) - 1)
    with pytest.raises(UserError, match="holds 9 of 10 frames"):
        write(tmp_path / "out.mp4", [plain(0)] * 10)
    assert list(tmp_path.iterdir()) == []


def test_an_avi_is_a_row_of_jpeg_files(tmp_path: Path) -> None:
    pictures = [np.random.default_rng(index).bytes(64 * 64 * 3) for index in range(10)]
    frames = [np.frombuffer(picture, np.uint8).reshape(64, 64, 3) for picture in pictures]
    write(tmp_path / "out.avi", frames)
    with av.open(tmp_path / "out.avi") as container:
        stream = container.streams.video[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    quality = (cv2.IMWRITE_JPEG_QUALITY, 85)
    assert packets == [cv2.imencode(".jpg", frame, quality)[1].tobytes() for frame in frames]


def test_an_avi_keeps_the_time_at_a_constant_rate(tmp_path: Path) -> None:
    """A picture stands for those that are missing after it; one that comes early is left out."""
    format = Format(20.0, 25.0, Fraction(1, 90_000))
    times = [10.0, 10.04, 10.2, 10.205, 10.21, 10.28]
    write(tmp_path / "out.avi", [plain(50 * index) for index in range(6)], times, format)
    expected = [0, 50, 50, 50, 50, 100, 200, 250]
    assert greys(tmp_path / "out.avi") == pytest.approx(expected, abs=2)
    assert [frame.time for frame in shown(tmp_path / "out.avi")] == pytest.approx(
        [index / 25 for index in range(8)]
    )


def test_a_film_begins_to_play_at_once_and_everywhere(tmp_path: Path) -> None:
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
def test_a_film_keeps_the_times_to_the_tick(tmp_path: Path, time_base: str) -> None:
    base = Fraction(time_base)
    gaps = [1, 1, 2, 1, 7, 1, 90, 1, 2, 3] * 4
    step = 1 + round(Fraction(1, 100) / base)
    ticks = [int(tick) * step for tick in np.cumsum([3, *gaps])]
    times = [round(float(tick * base), 6) for tick in ticks]
    write(tmp_path / "out.mp4", [plain(100)] * len(ticks), times, Format(25.0, 25.0, base))
    frames = shown(tmp_path / "out.mp4")
    assert [exact(frame.pts, frame.time_base) for frame in frames] == [
        (tick - ticks[0]) * base for tick in ticks
    ]
    with av.open(tmp_path / "out.mp4") as container:
        *_, last = (packet for packet in container.demux(container.streams.video[0]) if packet.size)
        assert exact(last.duration, last.time_base) == gaps[-1] * step * base


def test_times_that_are_one_tick_stay_in_order(tmp_path: Path) -> None:
    format = Format(25.0, 25.0, Fraction(1, 25))
    write(tmp_path / "out.mp4", [plain(100)] * 4, [0.0, 0.001, 0.002, 0.2], format)
    assert [frame.time for frame in shown(tmp_path / "out.mp4")] == [0, 0.04, 0.08, 0.2]


def test_a_clock_that_jumps(tmp_path: Path) -> None:
    """By more than an .mp4 can say of one frame, as after damage in a transport stream."""
    format = Format(25.0, 25.0, Fraction(1, 90_000))
    write(tmp_path / "out.mp4", [plain(100)] * 4, [0.0, 0.04, 40_000.0, 40_000.04], format)
    assert len(shown(tmp_path / "out.mp4")) == 4


def scene(number: int, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """Draw gradients with noise, (H, W, 3) uint8 BGR."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    gradients = np.stack([x / size[1], y / size[0], (x + y) / sum(size)], axis=-1)
    noise = np.random.default_rng(number).normal(0, 12, (*size, 3))
    return np.clip(255 * np.roll(gradients, 3 * number, axis=1) + noise, 0, 255).astype(np.uint8)


def write_source(
    path: Path,
    codec: str,
    pix_fmt: str,
    colour: Colour = UNTAGGED,
    size: tuple[int, int] = (120, 160),
) -> None:
    with av.open(path, "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, 25))
        context = stream.codec_context
        context.height, context.width, context.pix_fmt = *size, pix_fmt
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        context.colorspace, context.qmax = colour.matrix, 8
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(scene(number, size), "bgr24").reformat(
                format=pix_fmt, dst_colorspace=5 if colour.matrix == 2 else colour.matrix
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def film(source: Path, start: float = 0.0) -> Path:
    path = source.with_name("film.mp4")
    with VideoReader(source, start) as reader, video_writer(path, reader.format) as writer:
        for frame in reader:
            writer.add(frame, PREDICTION)
            reader.recycle(frame)
    return path


def colour(frame: av.VideoFrame) -> Colour:
    full_range = frame.color_range == 2
    return Colour(frame.color_primaries, frame.color_trc, frame.colorspace, full_range)


def brightness(frames: Sequence[av.VideoFrame]) -> float:
    """Return the mean of Y."""
    means = []
    for frame in frames:
        plane = frame.planes[0]
        values = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, -1)
        means.append(values[:, : plane.width].mean())
    return float(np.mean(means))


@pytest.mark.parametrize("start", [0.0, 0.08])
@pytest.mark.parametrize(
    ("codec", "pix_fmt", "tags"),
    [
        ("libx264", "yuv420p", (2, 2, 2)),
        ("libx264", "yuv420p", (1, 1, 1)),
        ("libx264", "yuv420p", (6, 6, 6)),
        ("libx264", "yuv420p", (5, 6, 5)),
        ("libx264", "yuv420p", (2, 2, 9)),
        ("libx264", "yuvj420p", (2, 2, 2)),
        ("libx264", "yuvj420p", (1, 1, 1)),
        ("mpeg4", "yuv420p", (2, 2, 2)),
        ("libx264", "yuv422p", (1, 1, 1)),
    ],
)
def test_a_film_is_as_bright_as_the_clip_and_says_the_same_of_its_colours(
    tmp_path: Path, codec: str, pix_fmt: str, tags: tuple[int, int, int], start: float
) -> None:
    source = tmp_path / "clip.mkv"
    write_source(source, codec, pix_fmt, Colour(*tags, full_range="j" in pix_fmt))
    before, after = shown(source), shown(film(source, start))
    before = before[-len(after) :]
    assert len(after) == (8 if start else 10)
    assert colour(after[0]) == colour(before[0]) == Colour(*tags, full_range="j" in pix_fmt)
    assert abs(brightness(after) - brightness(before)) < 0.3
    for one, other in zip(before, after, strict=True):
        pictures = [frame.to_ndarray(format="bgr24").astype(int) for frame in (one, other)]
        assert np.abs(pictures[0] - pictures[1]).mean() < 8  # what the codec costs
        assert np.abs((pictures[0] - pictures[1]).mean(axis=(0, 1))).max() < 2


@pytest.mark.parametrize("start", [0.0, 0.08])
@pytest.mark.parametrize("tags", [(9, 18, 9), (9, 16, 9), (12, 1, 1), (2, 2, 8)])
def test_colours_that_not_every_screen_has_become_those_that_the_model_sees(
    tmp_path: Path, tags: tuple[int, int, int], start: float
) -> None:
    source = tmp_path / "clip.mp4"
    numbers = range(10)
    Footage(pix_fmt="yuv420p10le", numbers=numbers, colours=tags, size=(120, 160)).write(source)
    made = film(source, start)
    known = Colour(2, 2, 6, full_range=False) if tags[2] == 8 else Colour(1, 1, 1, full_range=False)
    assert colour(shown(made)[0]) == known
    with VideoReader(source, start) as before, VideoReader(made) as after:
        for one, other in zip(before, after, strict=True):
            difference = one.picture.astype(int) - other.picture
            assert np.abs(difference).mean() < 6
            assert np.abs(difference.mean(axis=(0, 1))).max() < 2.5


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("10_bits.mp4", "libx264", "yuv420p10le"),
        ("10_bits.mov", "prores_ks", "yuv422p10le"),
        ("alpha.mov", "prores_ks", "yuva444p10le"),
        ("rgb_alpha.mov", "png", "rgba"),
        ("grey.mkv", "ffv1", "gray"),
        ("grey_10_bits.mkv", "ffv1", "gray10le"),
        ("444.mp4", "libx264", "yuv444p"),
        ("rgb.mkv", "libx264rgb", "bgr24"),
        ("palette.gif", "gif", "rgb8"),
    ],
)
def test_sources_of_other_kinds(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    source = tmp_path / name
    write_source(source, codec, pix_fmt)
    before, after = shown(source), shown(film(source))
    assert (after[0].format.name, len(after)) == ("yuv420p", len(before))
    assert [frame.time for frame in after] == [frame.time for frame in before]
    for one, other in zip(before, after, strict=True):
        pictures = [frame.to_ndarray(format="bgr24").astype(int) for frame in (one, other)]
        assert np.abs((pictures[0] - pictures[1]).mean(axis=(0, 1))).max() < 2.5


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


def test_films_can_be_written_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one process, or by several that have the same number, as in containers."""
    films = []

    def noted(pieces: Path, film: Path, *others: Any) -> int:
        films.append(film)
        return join(pieces, film, *others)

    monkeypatch.setattr(writer_module, "join", noted)
    for name in ("a", "b"):
        write(tmp_path / f"{name}.mp4", [plain(100)] * 10)
    assert films[0] != films[1]
