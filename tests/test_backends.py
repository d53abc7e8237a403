"""What every backend promises, on every kind of clip that it may be given."""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from footage import FieldPairs, Footage, drawn, number_of

from activity.quiet.opencv import cv2
from activity.video.backends import Backend, NoFrameError, Pool
from activity.video.backends.opencv import OpenCVBackend
from activity.video.backends.pictures import PictureBackend
from activity.video.backends.pyav import PyAVBackend

MILLISECOND = 0.001  # to which some containers round
H265 = "x265-params=log-level=none"
FIELDS = "flags=+ilme+ildct"
MPEG4 = "b=2M"
VP8, VP9 = "deadline=realtime", "deadline=realtime cpu-used=8"
# Every 1/30 s for two seconds, then every 1/5 s, as a camera does when it gets dark.
VARIABLE = [*(n / 30 for n in range(60)), *(2 + n / 5 for n in range(10))]

# What OpenCV reads as well.
ORDINARY = {
    "h264.mp4": Footage(),
    "h264.mov": Footage(),
    "h264.mkv": Footage(),
    "h264.avi": Footage(b_frames=0),
    "h264_b.avi": Footage(),
    "every_frame_a_key.mp4": Footage(gop=1, b_frames=0),
    "one_key.mp4": Footage(gop=250),
    "one_key.mkv": Footage(gop=250),
    "open_gop.mp4": Footage(options="x264-params=open-gop=1"),
    "h265.mp4": Footage("libx265", H265),
    "h265.mkv": Footage("libx265", H265),
    "mpeg4.avi": Footage("mpeg4", MPEG4, b_frames=0),
    "mpeg4_b.avi": Footage("mpeg4", MPEG4),
    "mpeg4.mp4": Footage("mpeg4", MPEG4),
    "mjpeg.avi": Footage("mjpeg", pix_fmt="yuvj420p", b_frames=0),
    "vp8.webm": Footage("libvpx", VP8, b_frames=0),
    "vp9.webm": Footage("libvpx-vp9", VP9, b_frames=0),
    "variable_rate.mp4": Footage(numbers=range(70), times=VARIABLE),
    "variable_rate.mkv": Footage(numbers=range(70), times=VARIABLE),
    "late.mp4": Footage(begin=100),
    "late.mkv": Footage(begin=100),
    "turned_90.mp4": Footage(turned=90),
    "turned_180.mov": Footage(turned=180),
    "turned_270.mkv": Footage(turned=270),
    "ten_bits.mp4": Footage(pix_fmt="yuv420p10le"),
    "ten_bits_h265.mkv": Footage("libx265", H265, "yuv420p10le"),
    "all_colours.mp4": Footage(pix_fmt="yuv444p"),
    "full_range.mp4": Footage(pix_fmt="yuvj420p"),
    "prores.mov": Footage("prores_ks", pix_fmt="yuv422p10le", b_frames=0),
    "grey.mkv": Footage("ffv1", pix_fmt="gray", b_frames=0),
    "sixteen_bits.mkv": Footage("ffv1", pix_fmt="gray16le", b_frames=0),
    "alpha.mov": Footage("png", pix_fmt="rgba", b_frames=0),
    "alpha.webm": Footage("libvpx-vp9", VP9, "yuva420p", b_frames=0),
    "odd.mkv": Footage("ffv1", size=(65, 83), b_frames=0),
    "odd.mp4": Footage("mpeg4", MPEG4, size=(33, 17)),
    "nearly_square.mp4": Footage(pixel=Fraction(101, 100)),
    "hlg.mp4": Footage(pix_fmt="yuv420p10le", colours=(9, 18, 9)),
    "pq.mkv": Footage(pix_fmt="yuv420p10le", colours=(9, 16, 9)),
    "p3.mov": Footage(colours=(12, 1, 1)),
    "bt709.mp4": Footage(colours=(1, 1, 1)),
}
OTHERS = {
    "h264.ts": Footage(begin=1.4),
    "one_key.ts": Footage(gop=250),
    "open_gop.ts": Footage(options="x264-params=open-gop=1"),
    "h265.ts": Footage("libx265", H265),
    "mpeg2.ts": Footage("mpeg2video", MPEG4),
    "mpeg2.mpg": Footage("mpeg2video", MPEG4),
    "h264.flv": Footage(begin=100),
    "flash.flv": Footage("flv", MPEG4, b_frames=0),
    "wmv2.wmv": Footage("wmv2", MPEG4, b_frames=0),
    "overflow.ts": Footage(begin=95_443),  # the clock of 33 bits starts anew at 95443.7 s
    "variable_rate.ts": Footage(numbers=range(70), times=VARIABLE),
    "variable_rate.flv": Footage(numbers=range(70), times=VARIABLE),
    "variable_rate.wmv": Footage("wmv2", MPEG4, b_frames=0, numbers=range(70), times=VARIABLE),
    "moving.gif": Footage("gif", pix_fmt="rgb8", b_frames=0),
    "interlaced.mp4": Footage(options=FIELDS, interlaced=True),
    "interlaced.ts": Footage("mpeg2video", f"{FIELDS} {MPEG4}", interlaced=True),
    "field_pairs.mts": FieldPairs(),
    "field_pairs.mp4": FieldPairs(),
    "wide.mkv": Footage(pixel=Fraction(64, 45)),
    "narrow.mp4": Footage(pixel=Fraction(1, 2)),
    "colours_nobody_knows.mp4": Footage(colours=(2, 2, 8)),
}
KINDS = ORDINARY | OTHERS
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
        assert picture.dtype == np.uint8
        upright = np.rot90(picture, -clip.turned // 90)
        pixel = clip.pixel if abs(clip.pixel - 1) > 0.02 else 1
        assert upright.shape == (clip.size[0], round(clip.size[1] * pixel), 3)
        assert number_of(upright) == number
        if clip.colours[0] in (1, 2):  # others look different, and the same from both backends
            # Colours in a wrong order would differ by 17.
            assert np.abs(small(upright) - small(drawn(number, clip.size))).mean() < 16
        pool.put(picture)
    backend.close()
    assert numbers == list(range(numbers[0], len(times)))
    assert times[numbers[0]] <= start + MILLISECOND
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
    assert backend.ordinary == (name in ORDINARY)
    assert not backend.live
    assert check(backend, clip, times, timeless=name in TIMELESS) == 0
    for start in (times[13] + 0.01, times[30]):
        check(PyAVBackend(str(path)), clip, times, start, timeless=name in TIMELESS)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_what_lies_long_before_a_start_is_not_decoded(name: str, tmp_path: Path) -> None:
    clip, path = Footage(numbers=range(200)), tmp_path / name
    times = clip.write(path)
    assert 120 < check(PyAVBackend(str(path)), clip, times, 6.0) <= 150


@pytest.mark.parametrize("name", ORDINARY)
def test_opencv_keeps_the_promise_for_ordinary_clips(name: str, made: Made) -> None:
    clip, (path, times) = KINDS[name], made(name)
    assert check(OpenCVBackend(str(path)), clip, times, timeless=name in TIMELESS) == 0


def test_pictures_keep_the_promise(tmp_path: Path) -> None:
    clip = Footage(numbers=range(12), fps=Fraction(10))
    files = [tmp_path / f"{number}.png" for number in clip.numbers]
    for number, file in enumerate(files):
        cv2.imwrite(str(file), drawn(number, clip.size))
    times = [number / 10 for number in clip.numbers]
    backend = PictureBackend(files, 10.0)
    assert (backend.format.claimed, backend.format.duration) == (12, 1.2)
    assert check(backend, clip, times) == 0
    assert check(backend, clip, times, 0.5) == 4


@pytest.mark.parametrize("name", ORDINARY)
def test_both_see_the_same(name: str, made: Made) -> None:
    """Or the label would depend on where a clip is begun, and change where one gives way."""
    path, _ = made(name)
    backends = [backend(str(path)) for backend in (OpenCVBackend, PyAVBackend)]
    for frames in zip(*(backend.decode(Pool()) for backend in backends), strict=True):
        np.testing.assert_array_equal(*(picture for _, _, picture in frames))


def test_the_film_is_read_and_not_a_picture_before_it(tmp_path: Path) -> None:
    clip = Footage()
    times = clip.write(tmp_path / "clip.mp4")
    with (
        av.open(tmp_path / "clip.mp4") as source,
        av.open(tmp_path / "cover.mkv", "w") as container,
    ):
        cover = container.add_stream("mjpeg", 25)
        cover.codec_context.pix_fmt = "yuvj420p"
        cover.codec_context.width = cover.codec_context.height = 32
        film = container.add_stream_from_template(source.streams.video[0])
        still = av.VideoFrame.from_ndarray(drawn(0, (32, 32)), "bgr24")
        container.mux([*cover.encode(still), *cover.encode(None)])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = film
                container.mux(packet)
    backend = PyAVBackend(str(tmp_path / "cover.mkv"))
    assert not backend.ordinary  # OpenCV would read the cover
    assert check(backend, clip, times) == 0


@pytest.mark.parametrize("name", KINDS)
def test_a_clip_says_what_it_is(name: str, made: Made) -> None:
    path, times = made(name)
    backend = PyAVBackend(str(path))
    told = backend.format
    assert told.claimed in (len(times), None)
    if "variable" in name:
        assert told.fps <= told.base_fps <= 30
    else:
        assert (told.fps, told.base_fps) == (25, 25)
        assert told.duration == pytest.approx(len(times) / 25, abs=0.13)  # MPEG-2's is a guess
    for _, time, _ in backend.decode(Pool()):
        if time is not None:
            units = time / told.time_base
            assert units == pytest.approx(round(units), abs=0.1)


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
        pool.put(given_back)
        assert np.shares_memory(next(frames)[2], given_back)
    assert [number_of(picture) for _, picture in kept] == [number for number, _ in kept]


@pytest.mark.parametrize("backend", [OpenCVBackend, PyAVBackend])
def test_what_has_no_frame_is_refused(
    backend: type[OpenCVBackend | PyAVBackend], tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    Footage().write(tmp_path / "clip.mkv")
    (tmp_path / "header.mkv").write_bytes((tmp_path / "clip.mkv").read_bytes()[:700])
    for name in ("text.mp4", "missing.mp4", "header.mkv"):
        with pytest.raises((NoFrameError, StopIteration)):
            next(backend(str(tmp_path / name)).decode(Pool()))
