"""What every backend promises, on every kind of clip that it may be given."""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from footage import KINDS, ORDINARY, Footage, copy, drawn, number_of

from activity.quiet.opencv import cv2
from activity.video.backends import Backend, Pool
from activity.video.backends.opencv import OpenCVBackend, PictureBackend
from activity.video.backends.pyav import PyAVBackend

MILLISECOND = 0.001  # to which some containers round
Made = Callable[[str], tuple[Path, list[float]]]
# Their container has no times, and FFmpeg makes up some only.
TIMELESS = {"h264_b.avi", "mpeg4_b.avi"}


def check(
    backend: Backend, clip: Footage, times: list[float], start: float = 0.0, timeless: bool = False
) -> int:
    """Assert that a backend gives each frame of a clip as it was made, at least from a start on.

    Return the number of its first one. The memory of each frame becomes that of a later one.
    """
    pool = Pool()
    numbers = []
    for number, time, given in backend.decode(pool, start):
        picture = given() if callable(given) else given
        numbers.append(number)
        if time is not None or not timeless:
            assert time == pytest.approx(times[number], abs=MILLISECOND)
        units = (time or 0) / backend.format.time_base
        assert units == pytest.approx(round(units), abs=0.13)  # times are in whole µs
        assert picture.dtype == np.uint8
        upright = np.rot90(picture, -clip.turned // 90)
        pixel = clip.pixel if abs(clip.pixel - 1) > 0.02 else 1
        assert upright.shape == (clip.size[0], round(clip.size[1] * pixel), 3)
        assert number_of(upright) == number
        if clip.colours[0] in (1, 2):  # others look different, and the same from both backends
            # Colours in a wrong order would differ by 17.
            assert np.abs(small(upright) - small(drawn(number, clip.size))).mean() < 16
        pool.append(picture)
    backend.close()
    assert numbers == list(range(numbers[0], len(times)))
    assert times[numbers[0]] <= max(start, times[0]) + MILLISECOND
    return numbers[0]


def small(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, (20, 16), interpolation=cv2.INTER_AREA).astype(int)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return what makes a clip of a kind, once, and returns it with the times of its frames."""
    folder = tmp_path_factory.mktemp("kinds")

    @cache
    def make(name: str) -> tuple[Path, list[float]]:
        return folder / name, KINDS[name].write(folder / name)

    return make


@pytest.mark.parametrize("name", KINDS)
def test_pyav_keeps_the_promise(name: str, made: Made) -> None:
    clip, (path, times) = KINDS[name], made(name)
    backend = PyAVBackend(str(path))
    assert backend.ordinary == (name in ORDINARY or clip.codec == "libsvtav1")  # it may try
    assert not backend.live
    assert backend.format.claimed in (len(times), None)
    if "variable" in name:
        assert backend.format.fps <= backend.format.base_fps <= 30
    else:
        fps = float(clip.fps)
        assert [backend.format.fps, backend.format.base_fps] == pytest.approx([fps, fps])
        # MPEG-2's is a guess.
        assert backend.format.end == pytest.approx(times[0] + len(times) / fps, abs=0.13)
    assert check(backend, clip, times, timeless=name in TIMELESS) == 0
    start = times[len(times) * 3 // 5]
    check(PyAVBackend(str(path)), clip, times, start, timeless=name in TIMELESS)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_what_lies_long_before_a_start_is_not_decoded(name: str, tmp_path: Path) -> None:
    clip, path = Footage(numbers=range(200)), tmp_path / name
    times = clip.write(path)
    assert 120 < check(PyAVBackend(str(path)), clip, times, 6.0) <= 150


def test_pictures_keep_the_promise(tmp_path: Path) -> None:
    clip = Footage(numbers=range(12), fps=Fraction(10))
    files = [tmp_path / f"{number}.png" for number in clip.numbers]
    for number, file in enumerate(files):
        cv2.imwrite(str(file), drawn(number, clip.size))
    times = [number / 10 for number in clip.numbers]
    backend = PictureBackend(files, 10.0)
    assert (backend.format.claimed, backend.format.end) == (12, 1.2)
    assert check(backend, clip, times) == 0
    assert check(backend, clip, times, 0.5) == 4


@pytest.mark.parametrize("name", ORDINARY)
def test_both_see_the_same(name: str, made: Made) -> None:
    """Or the label would depend on where a clip is begun, and change where one gives way."""
    path, times = made(name)
    backends = [backend(str(path)) for backend in (OpenCVBackend, PyAVBackend)]
    frames = zip(*(backend.decode(Pool()) for backend in backends), strict=True)
    for place, ((number, time, picture), (_, exact, other)) in enumerate(frames):
        assert number == place
        # OpenCV counts from the first frame, unless it is told when that is.
        assert time == pytest.approx(times[number] - times[0], abs=MILLISECOND)
        assert exact == pytest.approx(times[number], abs=MILLISECOND)
        np.testing.assert_array_equal(picture, other)


def test_the_video_is_read_and_not_a_picture_before_it(tmp_path: Path) -> None:
    clip = Footage()
    times = clip.write(tmp_path / "clip.mp4")
    path = tmp_path / "cover.mkv"
    with av.open(tmp_path / "clip.mp4") as source, av.open(path, "w") as container:
        cover = container.add_stream("mjpeg", 25)
        cover.codec_context.pix_fmt = "yuvj420p"
        cover.codec_context.width = cover.codec_context.height = 32
        video = container.add_stream_from_template(source.streams.video[0])
        still = av.VideoFrame.from_ndarray(drawn(0, (32, 32)), "bgr24")
        container.mux([*cover.encode(still), *cover.encode(None)])
        copy(source, container, video, Fraction(0))
    backend = PyAVBackend(str(path))
    assert not backend.ordinary  # OpenCV would read the cover
    assert check(backend, clip, times) == 0


@pytest.mark.parametrize("backend", [OpenCVBackend, PyAVBackend])
def test_only_memory_that_is_given_back_is_used_again(
    backend: type[OpenCVBackend | PyAVBackend], tmp_path: Path
) -> None:
    Footage(numbers=range(48)).write(tmp_path / "clip.mp4")
    pool = Pool()
    kept = []
    frames = backend(str(tmp_path / "clip.mp4")).decode(pool)
    for number, _, picture in frames:
        assert not callable(picture)
        kept.append((number, picture))
        given_back = next(frames)[2]
        assert not callable(given_back)
        pool.append(given_back)
        assert np.shares_memory(next(frames)[2], given_back)
    assert [number_of(picture) for _, picture in kept] == [number for number, _ in kept]
