"""The frames of a source: every one, with its number, its time and its picture."""

import re
from contextlib import chdir
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import shared, write_clip
from footage import FIELDS, KINDS, Footage, drawn, expected, frames_of, joined, number_of, trimmed
from hypothesis import assume, given
from hypothesis import strategies as st

from activity.errors import SourceError
from activity.quiet.opencv import cv2
from activity.video.backends import USUAL_FPS
from activity.video.backends.opencv import PictureBackend
from activity.video.reader import VideoReader

MJPEG, VP8 = KINDS["mjpeg.avi"], KINDS["vp8.webm"]
Clips = dict[Path, list[tuple[int, float, int]]]


def read(
    source: str | Path, start: float = 0.0, end: float | None = None, loss: str = ""
) -> list[tuple[int, float, int]]:
    """Return what `frames_of` does; assert that so much is said to be missing."""
    with VideoReader(source, start, end) as reader:
        frames = frames_of(reader)
        assert re.fullmatch(loss, reader.loss)
    return frames


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


@pytest.mark.parametrize(
    ("names", "start", "message"),
    [
        (["clip.avi", "clip.ts"], 2, "has no frame at 2 s; begin earlier"),
        (["*.png"], 9.5, "has no frame at 9.5 s; begin earlier"),
        (["text.mp4", "header.avi"], 0, "holds no frame that can be decoded; is it a video?"),
        (["broken1.jpg"], 0, "is no image of at most 65,000,000 pixels that can be decoded"),
        (["%d.jpg", "missing.mp4"], 0, "does not exist; name a video file"),
        (["."], 0, "is a folder; name a video file"),
        (["x" * 300], 0, "cannot be read (File name too long); name one that can be"),
        (["\udcff.mp4"], 0, "is not named in UTF-8, as OpenCV needs it; rename it"),
        (["99", "/dev/video99", "rtsp://127.0.0.1:9/court"], 0, "gives no frame; is it connected"),
    ],
)
def test_a_source_without_a_frame_is_refused(
    names: list[str], start: float, message: str, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.avi", frames=40)
    Footage().write(tmp_path / "clip.ts")
    cv2.imwrite(str(tmp_path / "1.png"), drawn(1, (64, 80)))
    for broken in ("text.mp4", "broken1.jpg"):
        (tmp_path / broken).write_text("nothing to be seen")
    (tmp_path / "header.avi").write_bytes(clip.read_bytes()[:2000])
    for name in names:
        with chdir(tmp_path), pytest.raises(SourceError, match=re.escape(f"{name} {message}")):
            VideoReader(name, start)


SIZES = [Footage(), Footage(size=(96, 112), numbers=range(50, 100))]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Make clips of all kinds; return what is in them."""
    folder = tmp_path_factory.mktemp("clips")
    found = {}

    def make(name: str, clip: Footage, options: str = "") -> None:
        times = clip.write(folder / name, options)
        frames = enumerate(zip(times, clip.numbers, strict=True))
        found[folder / name] = [(place, round(time, 3), number) for place, (time, number) in frames]

    def join(name: str, *parts: Footage) -> None:
        joined(folder / name, *parts)
        found[folder / name] = expected(sum(len(part.numbers) for part in parts))

    for name, clip in KINDS.items():
        if not clip.turned and clip.fps == 25:
            make(name, clip)
    make("unknown_length.webm", VP8, "live=1")
    make("long.mp4", Footage(numbers=range(300), gop=250))
    # Repeated pictures look as if OpenCV had failed, and PyAV reads on. Not all encoders keep the
    # order of the frames.
    for number, repeated in enumerate(
        ([0, 1, 2, *[3] * 9, 4, 5, 5, 6], [7] * 9, [0, 0, 1, 2, 3, 3], [0, 1, 2, 2])
    ):
        for ending in ("mp4", "mkv", "avi"):
            for options in ("qp=0", "crf=20"):
                clip = Footage(options=options, numbers=repeated)
                make(f"repeated {number} {options}.{ending}", clip)
    for name in ("turns h264.mp4", "turns h264.mkv", "turns h264.ts", "turns mpeg2.mkv"):
        clip = Footage("mpeg2video", "b=4M ") if "mpeg2" in name else Footage()
        turned = replace(clip, options=clip.options + FIELDS, interlaced=True)
        parts = zip((clip, turned, clip), (0, 15, 30), strict=True)
        join(name, *(replace(part, numbers=range(n, n + 15)) for part, n in parts))
    for ending in ("ts", "mp4", "mkv"):
        join(f"sizes.{ending}", *SIZES)
    join("interlaced sizes.ts", *(replace(each, options=FIELDS, interlaced=True) for each in SIZES))
    # A clock jumps where recordings of broadcasts were put one after the other.
    for begins in ((0, 0), (50, 20), (100, 20), (20, 21), (20, 5000)):
        path = folder / f"clock {begins}.ts"
        with path.open("wb") as whole:
            for begin, clip in zip(begins, SIZES, strict=True):
                replace(clip, begin=begin).write(folder / "part.ts")
                whole.write((folder / "part.ts").read_bytes())
        found[path] = expected(100)
    trimmed(folder / "h264.mp4", folder / "trimmed.mp4", 0.8)
    found[folder / "trimmed.mp4"] = [(n, round(n / 25, 3), 20 + n) for n in range(30)]
    return found


def test_every_frame_is_read_and_nothing_is_missing(clips: Clips) -> None:
    for path, frames in clips.items():
        assert (path, read(path)) == (path, frames)
        start = frames[len(frames) // 2][1]
        assert (path, read(path, start)) == (path, frames[len(frames) // 2 :])


@given(data=st.data())
def test_a_start_is_exact_to_the_frame(clips: Clips, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(clips)))
    frames = clips[path]
    times = [time for _, time, _ in frames]
    start = data.draw(st.one_of(st.just(0.0), st.sampled_from(times), st.floats(0, times[-1])))
    end = data.draw(st.one_of(st.none(), st.floats(start + 0.01, start + 9)))
    # The times here are rounded to a millisecond, which must not decide whether a frame is in.
    bounds = [bound - 0.0005 for bound in (start, end) if bound is not None]
    assume(all(abs(time - bound) > 0.00049 for time in times for bound in bounds))
    kept = [frame for frame in frames if start - 0.0005 <= frame[1]]
    kept = kept[:1] + [frame for frame in kept[1:] if end is None or frame[1] < end - 0.0005]
    assert read(path, start, end) == kept


@pytest.mark.parametrize("start", [0.0, 0.2])
def test_interlaced_frames_are_deinterlaced(start: float, clips: Clips) -> None:
    """Also those of a clip that turns interlaced and back."""
    for path in clips:
        clip = KINDS.get(path.name, Footage())
        if clip.interlaced or path.name.startswith("turns"):
            with VideoReader(path, start) as reader:
                for frame in reader:
                    whole = drawn(frame.number, clip.size)
                    assert frame.picture.mean() == pytest.approx(whole.mean(), abs=5)
                    combed = drawn(frame.number, clip.size, interlaced=True)
                    assert combing(frame.picture) < combing(combed) / 4


def combing(picture: np.ndarray) -> float:
    """Return how much each row of the part that moves differs from its neighbours."""
    rows = picture[picture.shape[0] // 2 :].astype(int)
    return float(np.abs(np.diff(rows, 2, axis=0)).mean())


@pytest.mark.parametrize("name", ["sizes.ts", "interlaced sizes.ts"])
def test_the_size_may_change(name: str, clips: Clips) -> None:
    """Of a broadcast between two programmes; from files OpenCV fits pictures to the first one."""
    path = next(path for path in clips if path.name == name)
    with VideoReader(path) as reader:
        pictures = [frame.picture for frame in reader]
    assert [each.shape for each in pictures] == [(64, 80, 3)] * 50 + [(96, 112, 3)] * 50
    assert all(combing(each) < 10 for each in pictures)


def test_times_always_increase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a container has none, the same twice, or one that lies before the last one."""
    timestamps = [0.0, 0.04, 0.04, None, 0.02, 0.5, 0.54]
    cv2.imwrite(str(tmp_path / "1.png"), drawn(0, (64, 80)))
    decoded = [(n, time, drawn(n, (64, 80))) for n, time in enumerate(timestamps)]
    monkeypatch.setattr(PictureBackend, "decode", lambda *_: iter(decoded))
    with VideoReader(tmp_path / "*.png", fps=25) as reader:
        times = [frame.time for frame in reader]
    assert times == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.5, 0.54])


@pytest.mark.parametrize(
    ("clip", "shown"),
    [
        (Footage(size=(576, 720), pixel=Fraction(64, 45)), (576, 1024)),
        (Footage(pixel=Fraction(16, 15)), (64, 85)),
        (Footage(pixel=Fraction(99, 100)), (64, 80)),  # nobody sees it
        (Footage(turned=90), (80, 64)),
    ],
)
@pytest.mark.parametrize("start", [0.0, 0.08])  # read by either backend
def test_pictures_are_upright_and_have_the_shape_in_which_they_are_shown(
    clip: Footage, shown: tuple[int, int], start: float, tmp_path: Path
) -> None:
    replace(clip, numbers=range(5)).write(tmp_path / "clip.mkv")
    with VideoReader(tmp_path / "clip.mkv", start) as reader:
        assert (reader.height, reader.width) == shown
        for frame in reader:
            assert frame.picture.shape == (*shown, 3)
            assert number_of(np.rot90(frame.picture, -clip.turned // 90)) == frame.number


@pytest.mark.parametrize("name", ["2021-05-03T12:30:00.mp4", "12:30.ts", "court 1: a/clip.mkv"])
@pytest.mark.parametrize("start", [0.0, 0.8])
def test_names_may_have_colons(name: str, start: float, tmp_path: Path) -> None:
    """FFmpeg would take what precedes the first one for a protocol."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    Footage().write(path)
    with chdir(tmp_path):
        assert read(name, start) == expected(50, first=round(start * 25))


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
    shown = [number for number in range(1, 13) if number != 5]  # and not 1, 10, 11, …
    with VideoReader(pictures / name, fps=10) as reader:
        assert (reader.live, reader.format.fps, reader.expected) == (False, 10, 12)
        frames = [(n, round((number - 1) / 10, 3), number) for n, number in enumerate(shown)]
        assert frames_of(reader) == frames
        assert re.fullmatch(
            r": 1 of 12 pictures cannot be decoded; .*/5\.png is no .*", reader.loss
        )
        assert reader.format.claimed == 12
    with VideoReader(pictures / name, 0.6, 0.9, fps=10) as reader:
        assert [number for _, _, number in frames_of(reader)] == [7, 8, 9]
        assert reader.loss == ""
    for start, first in ((0.1, (0.1, 2)), (0.35, (0.5, 6)), (1.1, (1.1, 12))):  # the 5th is none
        with VideoReader(pictures / name, start, fps=10) as reader:
            assert frames_of(reader)[0][1:] == first
    with VideoReader(pictures / name) as reader:
        assert reader.format.fps == USUAL_FPS


def test_what_an_edit_list_hides_is_not_expected(tmp_path: Path) -> None:
    Footage().write(tmp_path / "whole.mp4")
    trimmed(tmp_path / "whole.mp4", tmp_path / "clip.mp4", 0.8)
    with VideoReader(tmp_path / "clip.mp4") as reader:
        assert reader.format.claimed == reader.expected == 30
    with av.open(tmp_path / "clip.mp4") as container:
        assert container.streams.video[0].frames > 30


def test_a_duration_that_is_none_is_not_believed(tmp_path: Path) -> None:
    Footage().write(tmp_path / "clip.mkv")
    content = (tmp_path / "clip.mkv").read_bytes()
    (tmp_path / "clip.mkv").write_bytes(content.replace(b"00:00:02.0", b"no time at"))
    with VideoReader(tmp_path / "clip.mkv") as reader:
        assert reader.format.end == pytest.approx(2)  # the header has it, too
        assert sum(1 for _ in reader) == 50


@pytest.mark.parametrize(
    ("name", "clip", "loss"),
    [
        ("clip.mp4", Footage(size=(128, 160)), r"decoded \d+ frames, the file claims 50"),
        ("clip.avi", MJPEG, r"decoded \d+ frames, the file claims 50"),
        ("clip.mkv", Footage(numbers=range(100)), r"ends at [12].\d s, the file claims 4.0 s"),
        ("late.flv", Footage(numbers=range(100), begin=100), r"ends at [123].\d s, .* 4.[01] s"),
    ],
)
def test_what_is_cut_off_is_missing(name: str, clip: Footage, loss: str, tmp_path: Path) -> None:
    clip.write(tmp_path / name, "movflags=faststart" if name == "clip.mp4" else "")
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    frames = read(tmp_path / name, loss=rf": {loss}, \d+% are missing")
    numbers = [number for _, _, number in frames]
    assert 10 < len(numbers) < len(clip.numbers) * 3 // 4
    assert numbers[:-1] == list(range(len(numbers) - 1))
    read(tmp_path / name, 0, 0.2)


@pytest.mark.parametrize("name", ["h264.mp4", "h264.mkv", "vp8.webm", "unknown.webm", "mjpeg.avi"])
def test_only_damaged_frames_are_left_out(name: str, tmp_path: Path) -> None:
    """OpenCV's first failed read is not the end; a key frame follows, so that the rest is whole."""
    path, large = tmp_path / name, Footage(options="qp=10", size=(96, 128), b_frames=0)
    clip = large if "h264" in name else KINDS.get(name, VP8)
    times = clip.write(path, "live=1" if name == "unknown.webm" else "")
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    content = path.read_bytes()
    for packet in packets[21:24]:
        content = content.replace(packet, np.random.default_rng(0).bytes(len(packet)))
    path.write_bytes(content)
    whole = [shown for shown in range(50) if shown not in (21, 22, 23)]
    found = [(n, round(times[shown], 3), shown) for n, shown in enumerate(whole)]
    assert read(path, loss="|: .* 6% are missing") == found


def test_goes_on_behind_long_damage(tmp_path: Path) -> None:
    Footage(numbers=range(300), size=(128, 160)).write(tmp_path / "clip.mp4", "movflags=faststart")
    content = bytearray((tmp_path / "clip.mp4").read_bytes())
    middle = len(content) // 3
    content[middle : middle + 5000] = np.random.default_rng(0).bytes(5000)
    (tmp_path / "clip.mp4").write_bytes(content)
    for start in (0.0, 0.4):
        frames = read(tmp_path / "clip.mp4", start, loss=": .* are missing")
        assert [number for _, _, number in frames[-100:]] == list(range(200, 300))
    assert 200 < len(frames) < 290


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
            assert reader.loss == ""


@pytest.mark.parametrize(
    ("name", "start", "frames", "times", "size"),
    [
        ("interlaced.mp4", 0, 50, (0, 0.04), (400, 640)),
        ("vfr.mp4", 0, 140, (0, 1 / 30), (240, 320)),
        ("vfr.mp4", 4, 20, (4, 4.2), (240, 320)),
        ("gop.ts", 1, 270, (1, 31 / 30), (240, 320)),
        ("gop2.ts", 1, 32, (1, 31 / 30), (240, 320)),
        ("dvd.mpg", 0, 30, (0.01, 0.01 + 1 / 30), (576, 1024)),  # its sound begins before
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
        assert (len(found), (reader.height, reader.width), reader.loss) == (frames, size, "")
    assert [frame.time for frame in found[:2]] == pytest.approx(times, abs=0.0005)
    assert all(90 < frame.picture.mean() < 130 for frame in found)
    with av.open(path) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    for frame, picture in zip(found, pictures[-frames:], strict=True):
        expected = cv2.resize(picture, size[::-1]).astype(int)
        assert np.abs(frame.picture - expected).mean() < 3
