"""The frames of a source: every one, with its number, its time and its picture."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import ROOT, shared, write_clip
from footage import FieldPairs, Footage, drawn, joined, number_of, trimmed
from hypothesis import assume, given
from hypothesis import strategies as st

from activity.errors import UserError
from activity.prediction.report import _loss
from activity.quiet.opencv import cv2
from activity.video.backends import USUAL_FPS, usable_fps
from activity.video.backends.pictures import PictureBackend
from activity.video.reader import VideoReader
from activity.video.stop import Stop

FIELDS = "flags=+ilme+ildct"
LOSSLESS = "qp=0"
# Every 1/30 s for two seconds, then every 1/5 s, as a camera does when it gets dark.
VARIABLE = Footage(
    numbers=range(70), times=[*(n / 30 for n in range(60)), *(2 + n / 5 for n in range(10))]
)
VP8 = Footage("libvpx", "deadline=realtime", b_frames=0)


def read(
    source: str | Path, start: float = 0.0, end: float | None = None
) -> list[tuple[int, float, int]]:
    """Return the number of each frame, its time, and the number in its picture."""
    found = []
    with VideoReader(source, start, end) as reader:
        for frame in reader:
            found.append((frame.number, round(frame.time, 3), number_of(frame.picture)))
            reader.recycle(frame)
    return found


def expected(times: list[float], first: int = 0) -> list[tuple[int, float, int]]:
    """Return what `read` returns for frames with these times, from one of them on."""
    return [(number, round(times[number], 3), number) for number in range(first, len(times))]


def loss(source: str | Path, start: float = 0.0, end: float | None = None) -> str:
    """Return what is said to be missing after all has been read."""
    with VideoReader(source, start, end) as reader:
        for frame in reader:
            reader.recycle(frame)
        return _loss(reader)


def test_reads_every_frame_once_and_in_order(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "grey.avi", frames=40)
    with VideoReader(path) as reader:
        assert (reader.format.fps, reader.format.claimed, reader.expected) == (25.0, 40, 40)
        assert (reader.height, reader.width) == (120, 160)
        frames = list(reader)
        assert reader.decoded == 40
    assert [(frame.number, frame.time) for frame in frames] == [(i, i / 25) for i in range(40)]
    assert all(frame.picture.shape == (120, 160, 3) for frame in frames)
    assert [frame.picture.mean() for frame in frames] == pytest.approx(
        [40 + 5 * index for index in range(40)], abs=2
    )


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (0.0, None, 0, 50),
        (0.4, None, 10, 50),
        (0.0, 0.4, 0, 10),
        (0.4, 0.8, 10, 20),
        (0.4, 0.401, 10, 11),
        (0.39, 0.391, 10, 11),  # at least one
        (1.96, 9.9, 49, 50),
    ],
)
@pytest.mark.parametrize("length_known", [True, False])
def test_reads_from_start_to_end(
    tmp_path: Path, start: float, end: float | None, first: int, last: int, length_known: bool
) -> None:
    VP8.write(tmp_path / "clip.webm", "" if length_known else "live=1")
    with VideoReader(tmp_path / "clip.webm", start, end) as reader:
        assert reader.expected == (pytest.approx(last - first, abs=1) if length_known else None)
        assert [frame.number for frame in reader] == list(range(first, last))
        assert reader.decoded == last
        assert reader.time == pytest.approx((last - 1) / 25)
        assert reader.reached_end == (last < 50)


def test_a_start_behind_the_end_is_an_error(tmp_path: Path) -> None:
    write_clip(tmp_path / "grey.avi", frames=40)
    Footage().write(tmp_path / "clip.ts")
    for name, start in [("grey.avi", 1.6), ("clip.ts", 2)]:
        with pytest.raises(UserError, match=f"{name} has no frame at {start} s; begin earlier"):
            VideoReader(tmp_path / name, start)


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm", "flv", "ts", "wmv"])
def test_frames_have_the_times_of_the_container(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"variable.{ending}"
    codec = {"webm": "libvpx", "wmv": "wmv2"}.get(ending, "libx264")
    times = replace(VARIABLE, codec=codec, options="b=2M", b_frames=0).write(path)
    assert read(path) == expected(times)
    assert loss(path) == ""
    # The picture of 2 s and what follows, at its time, and not the 50th or 60th frame.
    assert read(path, 2) == expected(times, first=60)
    assert read(path, 1.99, 2.3) == expected(times, first=60)[:2]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[tuple[int, float, int]]]:
    """Make clips of many containers and groups of pictures; return what is in them."""
    folder = tmp_path_factory.mktemp("clips")
    films = {
        f"{gop}.{ending}": Footage(codec, options, gop=gop, b_frames=b_frames, begin=begin)
        for gop in (1, 12, 250)
        for ending, codec, options, b_frames, begin in [
            ("mp4", "libx264", "", 2 * (gop > 1), 0),
            ("mov", "libx264", "x264-params=open-gop=1", 2 * (gop > 1), 100),
            ("mkv", "libx265", "x265-params=log-level=none", 2 * (gop > 1), 0),
            ("webm", "libvpx", "deadline=realtime b=1M", 0, 100),
            ("ts", "libx264", "x264-params=open-gop=1", 2 * (gop > 1), 1.4),
            ("mts", "libx265", "x265-params=log-level=none", 2 * (gop > 1), 95_443),
            ("mpg", "mpeg2video", "b=2M", 2 * (gop > 1), 0),
            ("avi", "mpeg4", "b=2M", 2 * (gop > 1), 0),
            ("flv", "libx264", "", 2 * (gop > 1), 100),
            ("wmv", "wmv2", "b=2M", 0, 0),
        ]
    }
    films |= {f"variable.{ending}": VARIABLE for ending in ("mp4", "mkv", "ts", "flv")}
    films |= {"long.mp4": Footage(numbers=range(300), gop=250), "fields.mts": FieldPairs()}
    found = {}
    for name, film in films.items():
        found[folder / name] = expected(film.write(folder / name))
    trimmed(folder / "12.mp4", folder / "trimmed.mp4", 0.8)
    found[folder / "trimmed.mp4"] = [(n, round(n / 25, 3), 20 + n) for n in range(30)]
    return found


@given(data=st.data())
def test_a_start_is_exact_to_the_frame(
    clips: dict[Path, list[tuple[int, float, int]]], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(sorted(clips)))
    frames = clips[path]
    times = [time for _, time, _ in frames]
    start = data.draw(st.one_of(st.sampled_from(times), st.floats(0, times[-1])))
    end = data.draw(st.one_of(st.none(), st.floats(start + 0.01, start + 9)))
    # The times here are rounded to a millisecond, which must not decide whether a frame is in.
    bounds = [bound - 0.0005 for bound in (start, end) if bound is not None]
    assume(all(abs(time - bound) > 0.00049 for time in times for bound in bounds))
    kept = [frame for frame in frames if start - 0.0005 <= frame[1]]
    kept = kept[:1] + [frame for frame in kept[1:] if end is None or frame[1] < end - 0.0005]
    assert read(path, start, end) == kept


INTERLACED = {
    "h264.mp4": Footage(options=FIELDS, interlaced=True),
    "h264.mts": Footage(options=FIELDS, interlaced=True),
    "h264.ts": Footage(options=FIELDS, interlaced=True),
    "h264.mkv": Footage(options=FIELDS, interlaced=True, size=(400, 640), numbers=range(12)),
    "camcorder.mts": FieldPairs(),
    "mpeg2.mpg": Footage("mpeg2video", f"{FIELDS} b=4M", interlaced=True),
    "mpeg2.ts": Footage("mpeg2video", f"{FIELDS} b=4M", interlaced=True),
    "mpeg4.avi": Footage("mpeg4", f"{FIELDS} b=4M", interlaced=True),
    "prores.mov": Footage("prores_ks", FIELDS, "yuv422p10le", interlaced=True, b_frames=0),
    "tape.dv": Footage("dvvideo", size=(576, 720), interlaced=True, b_frames=0, numbers=range(8)),
    "tape.avi": Footage("dvvideo", size=(576, 720), interlaced=True, b_frames=0, numbers=range(8)),
}


@pytest.mark.parametrize("name", INTERLACED)
@pytest.mark.parametrize("start", [0.0, 0.2])
def test_interlaced_frames_are_deinterlaced(name: str, start: float, tmp_path: Path) -> None:
    clip = INTERLACED[name]
    times = clip.write(tmp_path / name)
    with VideoReader(tmp_path / name, start) as reader:
        frames = list(reader)
    first = round(start * 25)
    assert [frame.number for frame in frames] == list(range(first, len(times)))
    assert [frame.time for frame in frames] == pytest.approx(times[first:], abs=0.0005)
    for frame in frames:
        assert number_of(frame.picture) == frame.number
        assert combing(frame.picture) < combing(drawn(frame.number, clip.size, True)) / 4
        assert frame.picture.mean() == pytest.approx(drawn(frame.number, clip.size).mean(), abs=5)


def combing(picture: np.ndarray) -> float:
    """Return how much each row of the part that moves differs from its neighbours."""
    rows = picture[picture.shape[0] // 2 :].astype(int)
    return float(np.abs(np.diff(rows, 2, axis=0)).mean())


@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "h264.ts", "mpeg2.mp4", "mpeg2.mkv"])
def test_a_film_may_turn_interlaced_and_back(name: str, tmp_path: Path) -> None:
    codec, options = ("mpeg2video", "b=4M ") if "mpeg2" in name else ("libx264", "")
    joined(
        tmp_path / name,
        Footage(codec, options, numbers=range(15)),
        Footage(codec, options + FIELDS, numbers=range(15, 30), interlaced=True),
        Footage(codec, options, numbers=range(30, 45)),
    )
    frames = expected([number / 25 for number in range(45)])
    assert read(tmp_path / name) == frames
    assert read(tmp_path / name, 0.5, 0.8) == frames[13:20]
    with VideoReader(tmp_path / name) as reader:
        for frame in reader:
            assert combing(frame.picture) < combing(drawn(20, (64, 80), True)) / 4


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi"])
@pytest.mark.parametrize("options", [LOSSLESS, "crf=20"])  # the latter has frames in another order
@pytest.mark.parametrize(
    "numbers", [[0, 1, 2, *[3] * 9, 4, 5, 5, 6], [7] * 9, [0, 0, 1, 2, 3, 3], [0, 1, 2, 2]]
)
def test_repeated_pictures_are_frames_like_others(
    name: str, options: str, numbers: list[int], tmp_path: Path
) -> None:
    """They look as if OpenCV had failed, and are read again with PyAV."""
    Footage(options=options, numbers=numbers).write(tmp_path / name)
    assert read(tmp_path / name) == [
        (place, round(place / 25, 3), number) for place, number in enumerate(numbers)
    ]


SIZES = [Footage(), Footage(size=(96, 112), numbers=range(50, 100))]


@pytest.mark.parametrize("name", ["both.ts", "both.mp4", "both.mkv"])
def test_the_size_may_change(name: str, tmp_path: Path) -> None:
    """Of a broadcast between two programmes, for example."""
    joined(tmp_path / name, *SIZES)
    assert read(tmp_path / name) == expected([number / 25 for number in range(100)])
    assert read(tmp_path / name, 1) == expected([number / 25 for number in range(100)], first=25)
    with VideoReader(tmp_path / name) as reader:
        shapes = [frame.picture.shape for frame in reader]
    if name == "both.ts":  # OpenCV fits pictures to the first one
        assert shapes == [(64, 80, 3)] * 50 + [(96, 112, 3)] * 50


def test_the_size_of_interlaced_frames_may_change(tmp_path: Path) -> None:
    clips = [replace(clip, options=FIELDS, interlaced=True) for clip in SIZES]
    joined(tmp_path / "both.ts", *clips)
    with VideoReader(tmp_path / "both.ts") as reader:
        frames = [frame.picture for frame in reader]
    assert [number_of(picture) for picture in frames] == list(range(100))
    assert [picture.shape for picture in frames] == [(64, 80, 3)] * 50 + [(96, 112, 3)] * 50
    assert all(combing(picture) < 10 for picture in frames)


def test_times_always_increase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a container has none, the same twice, or one that lies before the last one."""
    told = [0.0, 0.04, 0.04, None, 0.02, 0.5, 0.54]
    cv2.imwrite(str(tmp_path / "1.png"), drawn(0, (64, 80)))
    monkeypatch.setattr(
        PictureBackend,
        "decode",
        lambda *_: ((n, time, drawn(n, (64, 80))) for n, time in enumerate(told)),
    )
    with VideoReader(tmp_path / "*.png", fps=25) as reader:
        times = [frame.time for frame in reader]
    assert times == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.5, 0.54])


@pytest.mark.parametrize("begins", [(0, 0), (50, 20), (100, 20), (20, 21), (20, 5000)])
def test_a_clock_that_jumps_goes_on(begins: tuple[float, float], tmp_path: Path) -> None:
    """Where recordings of broadcasts were put one after the other."""
    with (tmp_path / "both.ts").open("wb") as both:
        for begin, clip in zip(begins, SIZES, strict=True):
            replace(clip, begin=begin).write(tmp_path / "one.ts")
            both.write((tmp_path / "one.ts").read_bytes())
    frames = expected([number / 25 for number in range(100)])
    assert read(tmp_path / "both.ts") == frames
    assert read(tmp_path / "both.ts", 1, 3) == frames[25:75]
    assert read(tmp_path / "both.ts", 3) == frames[75:]


@pytest.mark.parametrize(
    ("pixel", "size", "shown"),
    [
        (Fraction(64, 45), (576, 720), (576, 1024)),
        (Fraction(16, 15), (64, 80), (64, 85)),
        (Fraction(1, 2), (64, 80), (64, 40)),
        (Fraction(101, 100), (64, 80), (64, 80)),  # nobody sees it
        (Fraction(99, 100), (64, 80), (64, 80)),
    ],
)
@pytest.mark.parametrize("start", [0.0, 0.08])
def test_pictures_have_the_shape_in_which_they_are_shown(
    pixel: Fraction, size: tuple[int, int], shown: tuple[int, int], start: float, tmp_path: Path
) -> None:
    Footage("mpeg4", "b=6M", size=size, pixel=pixel, numbers=range(5)).write(tmp_path / "clip.mkv")
    with VideoReader(tmp_path / "clip.mkv", start) as reader:
        assert (reader.height, reader.width) == shown
        for frame in reader:
            assert frame.picture.shape == (*shown, 3)
            assert number_of(frame.picture) == frame.number


@pytest.mark.parametrize("turned", [90, 180, 270])
@pytest.mark.parametrize("start", [0.0, 0.4])
def test_filmed_upright_is_read_upright(turned: int, start: float, tmp_path: Path) -> None:
    """By both backends: from a start on it is the other one."""
    Footage(turned=turned).write(tmp_path / "phone.mp4")
    with VideoReader(tmp_path / "phone.mp4", start) as reader:
        assert (reader.height, reader.width) == ((64, 80) if turned == 180 else (80, 64))
        for frame in reader:
            assert number_of(np.rot90(frame.picture, -turned // 90)) == frame.number


def test_a_high_rate_is_kept(tmp_path: Path) -> None:
    """Of a camera for slow motion."""
    times = Footage(fps=Fraction(239_763, 1000)).write(tmp_path / "slow.mp4")
    with VideoReader(tmp_path / "slow.mp4") as reader:
        assert reader.format.fps == pytest.approx(239.763)
        assert [frame.time for frame in reader] == pytest.approx(times, abs=0.0001)


@pytest.mark.parametrize("name", ["2021-05-03T12:30:00.mp4", "12:30.ts", "court 1: a/clip.mkv"])
@pytest.mark.parametrize("start", [0.0, 0.8])
def test_names_may_have_colons(name: str, start: float, tmp_path: Path) -> None:
    """FFmpeg would take what stands before the first one for a protocol."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    times = Footage().write(path)
    with chdir(tmp_path):
        assert read(name, start) == expected(times, first=round(start * 25))


@contextmanager
def camera(monkeypatch: pytest.MonkeyPatch, clip: Path, fps: float = 25.0) -> Iterator[list[int]]:
    """Let every camera deliver the frames of a clip, and once it has, be gone; give their numbers.

    It claims to have so many frames/s.
    """
    opened: list[int] = []
    real = cv2.VideoCapture

    class Camera:
        def __init__(self, number: int) -> None:
            self._clip = real(str(clip) if not opened else "")
            opened.append(number)

        def get(self, asked: int) -> float:
            return fps if asked == cv2.CAP_PROP_FPS else 0.0

        def __getattr__(self, name: str) -> object:
            return getattr(self._clip, name)

    with monkeypatch.context() as patched:
        patched.setattr(cv2, "VideoCapture", Camera)
        patched.setattr("activity.video.reader.RECONNECT_PAUSES", (0.01, 0.01))
        yield opened


@pytest.mark.parametrize("source", ["3", "/dev/video3", "by-id/usb-Court_Camera-index0"])
def test_a_camera_is_opened_by_its_number(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its frames are all new, even where they look the same, and come when they come."""
    numbers = [0, 1, 1, 1, 2, 3]
    Footage(options=LOSSLESS, numbers=numbers).write(tmp_path / "clip.mkv")
    (tmp_path / "by-id").mkdir()
    (tmp_path / "by-id/usb-Court_Camera-index0").symlink_to("/dev/video3")
    with (
        chdir(tmp_path),
        camera(monkeypatch, tmp_path / "clip.mkv") as opened,
        VideoReader(source) as reader,
    ):
        assert reader.live
        assert (reader.format.claimed, reader.expected) == (None, None)
        found = []
        for frame in reader:
            found.append((frame.number, number_of(frame.picture), frame.time))
            time.sleep(0.05)
        assert [frame[:2] for frame in found] == list(enumerate(numbers))
        assert all(number * 0.05 <= at < 30 for number, _, at in found)
        assert opened == [3, 3, 3]  # and two attempts to take it up again
        assert _loss(reader) == " broke off after 6 frames and did not come back"


def test_a_camera_that_is_not_there_is_an_error() -> None:
    for source in ("99", "/dev/video99", "rtsp://127.0.0.1:9/court"):
        with pytest.raises(UserError, match="gives no frame; is it connected, and reachable"):
            VideoReader(source)


@pytest.mark.parametrize("absurd", [0.0, -1.0, 90_000.0, float("nan"), float("inf")])
def test_an_unlikely_frame_rate_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absurd: float
) -> None:
    assert usable_fps(absurd) == usable_fps(None) == usable_fps() == USUAL_FPS
    assert usable_fps(absurd, Fraction(24)) == 24.0
    write_clip(tmp_path / "grey.avi")
    with camera(monkeypatch, tmp_path / "grey.avi", absurd), VideoReader("0") as reader:
        assert reader.format.fps == USUAL_FPS


def pipe(path: Path, clip: bytes, gap: threading.Event | None = None) -> threading.Thread:
    """Make a named pipe into which a clip is written, its second half after a gap."""

    def write() -> None:
        with path.open("wb", buffering=0) as writer:  # waits for a reader
            writer.write(clip[: len(clip) // 2])
            time.sleep(0.5) if gap is None else gap.wait(60)
            if gap is None:
                writer.write(clip[len(clip) // 2 :])

    os.mkfifo(path)
    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("name", ["clip.ts", "clip.mkv"])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_a_named_pipe_is_read_once_and_nothing_is_skipped(
    name: str, start: float, tmp_path: Path
) -> None:
    times = Footage().write(tmp_path / name)
    writer = pipe(tmp_path / "pipe", (tmp_path / name).read_bytes())
    with VideoReader(tmp_path / "pipe", start) as reader:
        assert not reader.live
        frames = [
            (frame.number, round(frame.time, 3), number_of(frame.picture)) for frame in reader
        ]
        assert reader.reconnections == 0
    writer.join()
    assert frames == expected(times, first=round(start * 25))


def test_a_pipe_to_which_nobody_writes_is_left_when_that_is_wanted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    stop = Stop()
    wish = threading.Timer(0.3, lambda: setattr(stop, "wanted", True))
    wish.start()
    with pytest.raises(KeyboardInterrupt):
        VideoReader(tmp_path / "pipe", stop=stop)
    assert stop.wanted


def test_damage_to_a_broadcast_does_not_change_its_clock(tmp_path: Path) -> None:
    """Its packets are small, so that damage hits times, too, and the tables of its streams."""
    Footage(numbers=range(100), begin=1.4).write(tmp_path / "clip.ts")
    whole = (tmp_path / "clip.ts").read_bytes()
    for seed in range(25):
        random = np.random.default_rng(seed)
        damaged = bytearray(whole)
        for place in random.integers(4000, len(damaged), 100):
            damaged[place] = int(random.integers(256))
        (tmp_path / "damaged.ts").write_bytes(damaged)
        with VideoReader(tmp_path / "damaged.ts") as reader:
            times = [frame.time for frame in reader]
            assert times == sorted(times)
            assert times[-1] < 15
            assert _loss(reader) == ""


def test_a_pipe_that_falls_silent_is_left_when_that_is_wanted(tmp_path: Path) -> None:
    Footage(numbers=range(200)).write(tmp_path / "clip.ts")
    over = threading.Event()
    writer = pipe(tmp_path / "pipe", (tmp_path / "clip.ts").read_bytes(), over)
    stop = Stop()
    numbers = []
    with VideoReader(tmp_path / "pipe", stop=stop) as reader:
        for frame in reader:
            numbers.append(number_of(frame.picture))
            if not stop.wanted:
                threading.Timer(0.3, lambda: setattr(stop, "wanted", True)).start()
    over.set()
    writer.join()
    assert numbers[:50] == list(range(50))
    assert len(numbers) < 150


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Make a folder with the pictures 1.png to 12.png, of which the fifth cannot be decoded."""
    for number in range(1, 13):
        cv2.imwrite(str(tmp_path / f"{number}.png"), drawn(number, (64, 80)))
    (tmp_path / "5.png").write_text("no picture")
    (tmp_path / "notes.txt").touch()
    return tmp_path


@pytest.mark.parametrize("name", ["%04d.png", "%d.png", "*.png"])
def test_numbered_pictures_are_a_clip(name: str, pictures: Path) -> None:
    with VideoReader(pictures / name, fps=10) as reader:
        assert not reader.live
        assert (reader.format.fps, reader.expected) == (10, 12)
        frames = [(frame.number, frame.time, number_of(frame.picture)) for frame in reader]
        assert _loss(reader) == ": decoded 11 frames, the file claims 12, 8% are missing"
    shown = [number for number in range(1, 13) if number != 5]  # and not 1, 10, 11, …
    assert [frame[0] for frame in frames] == list(range(11))
    assert [frame[1] for frame in frames] == pytest.approx([(n - 1) / 10 for n in shown])
    assert [frame[2] for frame in frames] == shown


def test_numbered_pictures_have_a_start_an_end_and_a_usual_rate(pictures: Path) -> None:
    with VideoReader(pictures / "*.png", 0.6, 0.9, fps=10) as reader:
        assert [number_of(frame.picture) for frame in reader] == [7, 8, 9]
        assert _loss(reader) == ""
    for start, number, found in ((0.1, 2, 0.1), (0.35, 6, 0.5), (1.1, 12, 1.1)):  # the 5th is none
        with VideoReader(pictures / "*.png", start, fps=10) as reader:
            first = next(iter(reader))
            assert number_of(first.picture) == number
            assert first.time == pytest.approx(found)
    with pytest.raises(UserError, match=r"has no frame at 9 s; begin earlier"):
        VideoReader(pictures / "*.png", 9, fps=10)
    with VideoReader(pictures / "*.png") as reader:
        assert reader.format.fps == USUAL_FPS


def test_pictures_of_which_none_can_be_decoded_are_refused(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_text("no picture")
    with pytest.raises(UserError, match="holds no frame"):
        VideoReader(tmp_path / "*.png")
    with pytest.raises(UserError, match="does not exist"):
        VideoReader(tmp_path / "%d.jpg")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov"])
def test_what_an_edit_list_hides_is_not_missing(name: str, tmp_path: Path) -> None:
    Footage().write(tmp_path / f"whole_{name}")
    trimmed(tmp_path / f"whole_{name}", tmp_path / name, 0.8)
    assert [number for _, _, number in read(tmp_path / name)] == list(range(20, 50))
    assert loss(tmp_path / name) == ""
    with VideoReader(tmp_path / name) as reader:
        assert reader.format.claimed == reader.expected == 30
    # The stream has more frames than the clip.
    with av.open(tmp_path / name) as container:
        assert container.streams.video[0].frames > 30


def test_a_duration_that_is_none_is_not_believed(tmp_path: Path) -> None:
    Footage().write(tmp_path / "clip.mkv")
    content = (tmp_path / "clip.mkv").read_bytes()
    (tmp_path / "clip.mkv").write_bytes(content.replace(b"00:00:02.0", b"no time at"))
    with VideoReader(tmp_path / "clip.mkv") as reader:
        assert reader.format.duration == pytest.approx(2)  # the header has it, too
        assert sum(1 for _ in reader) == 50


WHOLE = {
    "clip.mp4": (Footage(size=(128, 160)), "movflags=faststart"),
    "clip.mkv": (Footage(numbers=range(100)), ""),
    "late.flv": (Footage(numbers=range(100), begin=100), ""),
    "clip.webm": (VP8, ""),
    "clip.avi": (Footage("mjpeg", pix_fmt="yuvj420p", b_frames=0), ""),
    "clip.ts": (Footage(), ""),
    "clip.mpg": (Footage("mpeg2video", "b=2M"), ""),
    "variable.mp4": (VARIABLE, ""),
    "variable.mkv": (VARIABLE, ""),
    "variable.ts": (VARIABLE, ""),
    "fields.mts": (FieldPairs(), ""),
    "fields.mp4": (Footage(options=FIELDS, interlaced=True), ""),
    "unknown.webm": (VP8, "live=1"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_of_a_whole_clip_nothing_is_missing(name: str, tmp_path: Path) -> None:
    clip, options = WHOLE[name]
    clip.write(tmp_path / name, options)
    assert loss(tmp_path / name) == loss(tmp_path / name, 1) == loss(tmp_path / name, 0, 0.5) == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clip.mp4", r": decoded \d+ frames, the file claims 50, \d+% are missing"),
        ("clip.avi", r": decoded \d+ frames, the file claims 50, \d+% are missing"),
        ("clip.mkv", r": ends at [12].\d s, the file claims 4.0 s, \d+% are missing"),
        ("late.flv", r": ends at [123].\d s, the file claims 4.[01] s, \d+% are missing"),
    ],
)
def test_what_is_cut_off_is_missing(name: str, message: str, tmp_path: Path) -> None:
    clip, options = WHOLE[name]
    clip.write(tmp_path / name, options)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    numbers = [number for _, _, number in read(tmp_path / name)]
    assert 10 < len(numbers) < len(clip.numbers) * 3 // 4
    assert numbers[:-1] == list(range(len(numbers) - 1))
    assert re.fullmatch(message, loss(tmp_path / name))
    assert loss(tmp_path / name, 0, 0.2) == ""


@pytest.mark.parametrize(
    ("name", "clip", "options"),
    [
        ("clip.mp4", Footage(options="qp=10", size=(96, 128), b_frames=0), ""),
        ("clip.mkv", Footage(options="qp=10", size=(96, 128), b_frames=0), ""),
        ("clip.webm", VP8, ""),
        ("unknown.webm", VP8, "live=1"),
        ("clip.avi", Footage("mjpeg", pix_fmt="yuvj420p", b_frames=0), ""),
    ],
)
def test_only_damaged_frames_are_left_out(
    name: str, clip: Footage, options: str, tmp_path: Path
) -> None:
    """OpenCV's first failed read is not the end; a key frame follows, so that the rest is whole."""
    path = tmp_path / name
    times = clip.write(path, options)
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    content = path.read_bytes()
    for packet in packets[21:24]:
        content = content.replace(packet, np.random.default_rng(0).bytes(len(packet)))
    path.write_bytes(content)
    whole = [shown for shown in range(50) if shown not in (21, 22, 23)]
    assert read(path) == [(n, round(times[shown], 3), shown) for n, shown in enumerate(whole)]


def test_goes_on_behind_long_damage(tmp_path: Path) -> None:
    Footage(numbers=range(300), size=(128, 160)).write(tmp_path / "clip.mp4", "movflags=faststart")
    content = bytearray((tmp_path / "clip.mp4").read_bytes())
    middle = len(content) // 3
    content[middle : middle + 5000] = np.random.default_rng(0).bytes(5000)
    (tmp_path / "clip.mp4").write_bytes(content)
    for start in (0.0, 0.4):
        numbers = [number for _, _, number in read(tmp_path / "clip.mp4", start)]
        assert numbers[-100:] == list(range(200, 300))
    assert 200 < len(numbers) < 290
    assert "are missing" in loss(tmp_path / "clip.mp4")


@pytest.mark.parametrize("name", ["header_only.avi", "not_a_video.mp4"])
def test_files_without_frames_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="holds no frame"):
        VideoReader(shared(f"clips/broken/{name}"))


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        VideoReader(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        VideoReader(tmp_path / "missing.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    write_clip(tmp_path / "clip.avi")
    (tmp_path / "header.avi").write_bytes((tmp_path / "clip.avi").read_bytes()[:2000])
    for name in ("empty.mp4", "text.mp4", "header.avi"):
        with pytest.raises(UserError, match="holds no frame"):
            VideoReader(tmp_path / name)


def test_the_reader_needs_no_model_code() -> None:
    program = (
        "import sys, activity.video.reader\n"
        "print(*{'tensorflow', 'keras', 'openvino', 'sklearn', 'matplotlib'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


@pytest.mark.parametrize(
    ("clip", "frames"),
    [
        ("football/claims_772_decodes_630.mp4", 630),
        ("weight_lifting/claims_223_decodes_167.mp4", 167),
    ],
)
def test_clips_trimmed_by_others_are_whole(clip: str, frames: int) -> None:
    with VideoReader(shared(f"clips/{clip}")) as reader:
        for frame in reader:
            reader.recycle(frame)
        assert reader.decoded == reader.format.claimed == frames
        assert _loss(reader) == ""


def test_a_phone_held_upright_is_read_upright() -> None:
    with VideoReader(shared("clips/broken/rotated_90_metadata.mp4")) as reader:
        assert next(iter(reader)).picture.shape == (1280, 544, 3)


@pytest.mark.parametrize(
    ("name", "start", "frames", "times", "size"),
    [
        ("interlaced.mp4", 0, 50, (0, 0.04), (400, 640)),
        ("vfr.mp4", 0, 140, (0, 1 / 30), (240, 320)),
        ("vfr.mp4", 4, 20, (4, 4.2), (240, 320)),
        ("gop.ts", 1, 270, (1, 31 / 30), (240, 320)),
        ("gop2.ts", 1, 32, (1, 31 / 30), (240, 320)),
        ("dvd.mpg", 0, 30, (0, 1 / 30), (576, 1024)),
        ("trim.mp4", 0, 61, (0, 1 / 30), (402, 638)),
        ("slowmo.mp4", 0, 60, (0, 1 / 239.763), (202, 320)),
        ("rec.webm", 0, 90, (0, 0.033), (202, 320)),
    ],
)
def test_clips_on_which_an_earlier_version_went_wrong(
    name: str, start: float, frames: int, times: tuple[float, float], size: tuple[int, int]
) -> None:
    path = shared(f"cases/{name}")
    with VideoReader(path, start) as reader:
        found = list(reader)
        assert (len(found), (reader.height, reader.width), _loss(reader)) == (frames, size, "")
    assert [frame.time for frame in found[:2]] == pytest.approx(times, abs=0.0005)
    assert all(90 < frame.picture.mean() < 130 for frame in found)
    with av.open(path) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    for frame, picture in zip(found, pictures[-frames:], strict=True):
        expected = cv2.resize(picture, size[::-1]).astype(int)
        assert np.abs(frame.picture - expected).mean() < 3
