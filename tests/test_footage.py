"""Frames of videos that are kept to be learned from."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import shared, write_clip
from footage import Footage, number_of
from hypothesis import given
from hypothesis import strategies as st

from activity.errors import UserError
from activity.quiet.opencv import cv2
from activity.training import footage
from activity.training.annotations import Annotation
from activity.training.footage import (
    FAR,
    FEWEST_FRAMES,
    MOST_FRAMES,
    SHORT_SIDE,
    Still,
    keep_frames,
    length,
)
from activity.video.reader import Frame, VideoReader


def whole(video: Path, folder: Path) -> list[Still]:
    """Return the frames that are kept of a whole video."""
    (stills,) = keep_frames(video, [Annotation(video, "a")], folder)
    return stills


def frames_after(video: Path, moments: list[float]) -> list[float]:
    """Return the times of the first frames that are not before some moments, by reading it all."""
    with VideoReader(video) as reader:
        times = [frame.time for frame in reader]
    found = ([time for time in times if time >= moment - 0.0005] for moment in moments)
    return [later[0] for later in found if later]


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("a.mp4", Footage(numbers=range(250))),
        ("b.mkv", Footage(numbers=range(100), fps=Fraction(9))),
        ("c.ts", Footage(numbers=range(250), begin=1.4, gop=50)),
        ("d.avi", Footage("mpeg4", numbers=range(200))),
        ("e.mp4", Footage(times=[n / 3 for n in range(12)] + [4 + 2 * n for n in range(12)],
                          numbers=range(24))),
    ],
)  # fmt: skip
def test_frames_are_spread_over_the_clip(tmp_path: Path, name: str, clip: Footage) -> None:
    video = tmp_path / name
    clip.write(video)
    stills = whole(video, tmp_path / "frames")
    seconds = length(video)
    count = round(seconds)
    moments = [round((n + 0.5) * seconds / count, 3) for n in range(count)]
    expected = [time for time in frames_after(video, moments) if time < seconds]
    assert [still.time for still in stills] == pytest.approx(expected, abs=0.001)
    for still in stills:
        image = cv2.imread(str(still.file))
        assert image is not None
        assert clip_time(video, number_of(image)) == pytest.approx(still.time, abs=0.001)


def clip_time(video: Path, number: int) -> float:
    """Return the time of the frame whose picture shows a number."""
    with VideoReader(video) as reader:
        return next(frame.time for frame in reader if number_of(frame.picture) == number)


def test_a_long_video_has_so_many_frames_and_is_not_read_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Footage(numbers=[n % 1024 for n in range(2000)], fps=Fraction(2), gop=20, size=(32, 80))
    clip.write(tmp_path / "long.mp4")
    read = 0
    frames_of = VideoReader.__iter__

    def counted(self: VideoReader) -> Iterator[Frame]:
        nonlocal read
        for frame in frames_of(self):
            read += 1
            yield frame

    monkeypatch.setattr(VideoReader, "__iter__", counted)
    stills = whole(tmp_path / "long.mp4", tmp_path / "frames")
    assert len(stills) == MOST_FRAMES
    assert read < 2 * MOST_FRAMES
    step = 1000 / MOST_FRAMES
    assert step > FAR
    expected = frames_after(tmp_path / "long.mp4", [(n + 0.5) * step for n in range(MOST_FRAMES)])
    assert [still.time for still in stills] == pytest.approx(expected, abs=0.001)


def test_what_is_kept_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if it stopped in the middle; but a video that has changed is."""
    video = write_clip(tmp_path / "a.avi", frames=40, fps=4.0)
    opened: list[float] = []
    init = VideoReader.__init__

    def counted(self: VideoReader, *arguments: object, **more: object) -> None:
        opened.append(0)
        init(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoReader, "__init__", counted)
    encoded = footage._encoded
    left = 3

    def stopped(picture: np.ndarray) -> bytes:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return encoded(picture)

    monkeypatch.setattr(footage, "_encoded", stopped)
    with pytest.raises(KeyboardInterrupt):
        whole(video, tmp_path / "frames")
    assert len(list((tmp_path / "frames").rglob("*.jpg"))) == 3
    left = 7  # the others
    first = whole(video, tmp_path / "frames")
    assert (left, len(first)) == (0, 10)
    opened.clear()
    assert whole(video, tmp_path / "frames") == first
    assert len(opened) == 1  # for its length
    assert {path.suffix for path in (tmp_path / "frames").rglob("*") if path.is_file()} == {".jpg"}
    write_clip(video, frames=20, fps=4.0)
    left = 5
    second = whole(video, tmp_path / "frames")
    assert not {still.file for still in first} & {still.file for still in second}


@given(st.lists(st.tuples(st.floats(0.04, 300), st.sampled_from("abc")), min_size=1, max_size=20))
def test_each_stretch_has_a_frame_and_each_class_some_but_not_many(
    stretches: list[tuple[float, str]],
) -> None:
    ends = np.cumsum([seconds for seconds, _ in stretches]).tolist()
    rows = [
        Annotation(Path("x"), label, start=start, end=end)
        for (_, label), start, end in zip(stretches, [0.0, *ends], ends, strict=False)
    ]
    counts: dict[str, list[int]] = {}
    for row, moments in zip(rows, footage._planned(rows, ends), strict=True):
        assert moments == sorted(moments)
        assert row.end is not None
        assert row.start - 0.001 <= moments[0] / 1000 <= moments[-1] / 1000 <= row.end + 0.001
        counts.setdefault(row.label, []).append(len(moments))
    for label, its in counts.items():
        seconds = sum(length for length, other in stretches if other == label)
        assert min(its) >= 1
        assert FEWEST_FRAMES <= sum(its) <= MOST_FRAMES + FEWEST_FRAMES + len(its)
        assert abs(sum(its) - min(seconds, MOST_FRAMES)) <= FEWEST_FRAMES + len(its)


@pytest.mark.parametrize(
    ("size", "kept"),
    [((1080, 1920), (540, 960)), ((2160, 1216), (1080, 608)), ((402, 638), (402, 638)),
     ((1279, 641), (639, 320)), ((16, 16), (16, 16))],
)  # fmt: skip
def test_large_frames_are_kept_smaller(size: tuple[int, int], kept: tuple[int, int]) -> None:
    encoded = footage._encoded(np.full((*size, 3), 90, np.uint8))
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape[:2] == kept
    assert min(kept) >= min(*size, SHORT_SIDE)


def test_a_video_of_one_frame_and_one_that_is_no_video(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "one.avi", frames=1)
    assert {still.time for still in whole(video, tmp_path)} == {0.0}
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"text\.mp4 holds no frame that can be decoded"):
        whole(tmp_path / "text.mp4", tmp_path)


def test_real_clips_come_out_as_they_are_shown(tmp_path: Path) -> None:
    """Turned, with the shape of their pixels, and not black where they are interlaced."""
    turned = shared("clips/broken/rotated_90_metadata.mp4")
    stills = whole(turned, tmp_path)
    with VideoReader(turned) as reader:
        shape = (reader.height, reader.width)
    image = cv2.imread(str(stills[0].file))
    assert image is not None
    assert image.shape[0] / image.shape[1] == pytest.approx(shape[0] / shape[1], abs=0.01)
    stills = whole(shared("cases/dvd.mpg"), tmp_path)
    image = cv2.imread(str(stills[0].file))
    assert image is not None
    assert image.shape[1] / image.shape[0] == pytest.approx(1024 / 576, abs=0.01)
    stills = whole(shared("cases/interlaced.mp4"), tmp_path)
    for still in stills:
        image = cv2.imread(str(still.file))
        assert image is not None
        assert 90 < image.mean() < 120
    stills = whole(shared("clips/football/claims_772_decodes_630.mp4"), tmp_path)
    assert len(stills) == 21


def test_a_video_that_does_not_say_how_long_it_is_is_read_through(tmp_path: Path) -> None:
    video = shared("cases/rec.webm")
    with VideoReader(video) as reader:
        assert reader.format.duration is None
    stills = whole(video, tmp_path)
    assert length(video) == pytest.approx(3.0, abs=0.1)
    assert len(stills) == FEWEST_FRAMES
