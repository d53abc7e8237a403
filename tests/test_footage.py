"""Frames of videos that are kept to be learned from."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

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
from activity.training.footage import FEWEST_FRAMES, MOST_FRAMES, extent, extract_frames, time_of
from activity.video.reader import Frame, VideoReader


def whole(video: Path, folder: Path) -> list[Path]:
    """Return the frames that are kept of a whole video."""
    (stills,) = extract_frames(video, [Annotation(video, "a")], folder)
    return stills


def decoded(still: Path) -> np.ndarray:
    image = cv2.imread(str(still))
    assert image is not None
    return image


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
    seconds = extent(video).end
    count = round(seconds)
    moments = [round((n + 0.5) * seconds / count, 3) for n in range(count)]
    expected = [time for time in frames_after(video, moments) if time < seconds]
    assert [time_of(still) for still in stills] == pytest.approx(expected, abs=0.001)
    with VideoReader(video) as reader:
        times = {number_of(frame.picture): frame.time for frame in reader}
    assert [times[number_of(decoded(still))] for still in stills] == pytest.approx(expected)


def test_a_long_video_has_so_many_frames_and_is_not_read_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = Footage(numbers=[n % 1024 for n in range(2000)], fps=Fraction(2), gop=20, size=(32, 80))
    clip.write(tmp_path / "long.mp4")
    read = []
    frames_of = VideoReader.__iter__

    def noted(reader: VideoReader) -> Iterator[Frame]:
        for frame in frames_of(reader):
            read.append(frame.number)
            yield frame

    with monkeypatch.context() as patched:
        patched.setattr(VideoReader, "__iter__", noted)
        stills = whole(tmp_path / "long.mp4", tmp_path / "frames")
    assert len(stills) == MOST_FRAMES
    assert len(read) < 2 * MOST_FRAMES
    step = 1000 / MOST_FRAMES
    assert step > footage.FAR
    expected = frames_after(tmp_path / "long.mp4", [(n + 0.5) * step for n in range(MOST_FRAMES)])
    assert [time_of(still) for still in stills] == pytest.approx(expected, abs=0.001)


def test_what_is_kept_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if it stopped in the middle; but a video that has changed is."""
    video = write_clip(tmp_path / "a.avi", frames=40, fps=4.0)
    encode = Mock(side_effect=[b"1", b"2", b"3", KeyboardInterrupt, *[b"more"] * 7])
    monkeypatch.setattr(footage, "_encoded", encode)
    with pytest.raises(KeyboardInterrupt):
        whole(video, tmp_path / "frames")
    assert len(list((tmp_path / "frames").rglob("*.jpg"))) == 3
    first = whole(video, tmp_path / "frames")
    assert (encode.call_count, len(first)) == (4 + 7, 10)
    assert whole(video, tmp_path / "frames") == first  # a call more would raise StopIteration
    assert {path.suffix for path in (tmp_path / "frames").rglob("*") if path.is_file()} == {".jpg"}
    write_clip(video, frames=20, fps=4.0)
    monkeypatch.undo()
    assert not set(first) & set(whole(video, tmp_path / "frames"))


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
    for label, each in counts.items():
        seconds = sum(length for length, other in stretches if other == label)
        assert min(each) >= 1
        assert FEWEST_FRAMES <= sum(each) <= MOST_FRAMES + FEWEST_FRAMES + len(each)
        assert abs(sum(each) - min(seconds, MOST_FRAMES)) <= FEWEST_FRAMES + len(each)


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
    assert min(kept) >= min(*size, footage.SHORT_SIDE)


def test_a_video_of_one_frame_and_one_that_is_no_video(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "one.avi", frames=1)
    assert {time_of(still) for still in whole(video, tmp_path)} == {0.0}
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"text\.mp4 holds no frame that can be decoded"):
        whole(tmp_path / "text.mp4", tmp_path)


def test_real_clips_come_out_as_they_are_shown(tmp_path: Path) -> None:
    """Turned, and with the shape of their pixels; interlaced, or with fewer frames than claimed."""
    clips = (("clips/broken/rotated_90_metadata.mp4", 40 / 17), ("cases/dvd.mpg", 9 / 16))
    for clip, ratio in clips:
        height, width, _ = decoded(whole(shared(clip), tmp_path)[0]).shape
        assert height / width == pytest.approx(ratio, abs=0.01)
    for still in whole(shared("cases/interlaced.mp4"), tmp_path):
        assert 90 < decoded(still).mean() < 120  # not black
    assert len(whole(shared("clips/football/claims_772_decodes_630.mp4"), tmp_path)) == 21


def test_a_video_that_begins_later_has_frames_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = write_clip(tmp_path / "a.avi", frames=40, fps=10.0)
    monkeypatch.setattr(footage, "extent", lambda _: footage.Extent(2.0, 4.0, 10.0, True))
    assert [time_of(still) for still in whole(video, tmp_path)] == [2.3, 2.8, 3.3, 3.8]


def test_a_video_that_does_not_say_how_long_it_is_is_read_through(tmp_path: Path) -> None:
    video = shared("cases/rec.webm")
    with VideoReader(video) as reader:
        assert reader.format.end is None
    assert extent(video).end == pytest.approx(3.0, abs=0.1)
    assert len(whole(video, tmp_path)) == FEWEST_FRAMES
