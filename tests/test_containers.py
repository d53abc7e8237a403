"""Containers with a twist: tracks, turns, raw streams, several files in one, gaps and damage."""

import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import BUNDLED, ROOT, rows
from footage import Footage, copy, drawn, frames_of, number_of

from activity.errors import SourceError
from activity.video.reader import VideoReader

H264, MPEG4 = Footage(), Footage("mpeg4", "b=2M", b_frames=0)
ASSUMED = "{} frames/s are assumed, as a raw stream has no times; --fps sets another rate"
# A display matrix, as x' = a x + c y and y' = b x + d y, and what FFmpeg's autorotate does.
TURNS: dict[tuple[int, int, int, int], Callable[[np.ndarray], np.ndarray]] = {
    (1, 0, 0, 1): lambda it: it,
    (-1, 0, 0, 1): lambda it: it[:, ::-1],
    (1, 0, 0, -1): lambda it: it[::-1],
    (-1, 0, 0, -1): lambda it: it[::-1, ::-1],
    (0, 1, 1, 0): lambda it: it.swapaxes(0, 1),
    (0, 1, -1, 0): lambda it: it[::-1].swapaxes(0, 1),  # a quarter clockwise
    (0, -1, 1, 0): lambda it: it[:, ::-1].swapaxes(0, 1),
    (0, -1, -1, 0): lambda it: it[::-1, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("matrix", TURNS)
def test_every_display_matrix(
    matrix: tuple[int, int, int, int], container: str, tmp_path: Path
) -> None:
    H264.write(tmp_path / "plain.mp4")
    path = tmp_path / f"clip.{container}"
    a, b, c, d = (each << 16 for each in matrix)
    with av.open(tmp_path / "plain.mp4") as source, av.open(path, "w") as made:
        video = made.add_stream_from_template(source.streams.video[0])
        video.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        copy(source, made, video, Fraction(0))
    with VideoReader(tmp_path / "plain.mp4") as reader:
        plain = next(iter(reader)).picture
    hows: tuple[dict[str, Any], ...] = ({}, {"sparse": True}, {"start": 0.4})
    for how in hows:
        with VideoReader(path, **how) as reader:
            shown = next(iter(reader)).picture
        if "start" not in how:
            np.testing.assert_array_equal(shown, TURNS[matrix](plain))
        assert shown.shape == TURNS[matrix](plain).shape


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_of_several_videos_one_is_labelled_and_it_is_said(container: str, tmp_path: Path) -> None:
    """The first one that is a default; others by their number, of which a cover has none."""
    H264.write(tmp_path / "1.mp4")
    Footage(numbers=range(100, 400), fps=Fraction(50)).write(tmp_path / "2.mp4")
    path = tmp_path / f"two.{container}"
    with av.open(path, "w") as made:
        for name in ("1.mp4", "2.mp4"):
            with av.open(tmp_path / name) as source:
                stream = made.add_stream_from_template(source.streams.video[0])
                stream.disposition = av.stream.Disposition.default
        for name, stream in zip(("1.mp4", "2.mp4"), made.streams.video, strict=True):
            with av.open(tmp_path / name) as source:
                for packet in source.demux(video=0):
                    if packet.dts is not None:
                        packet.stream = stream
                        made.mux(packet)
    said = "it has 2 video tracks, of which number 1 is labelled; choose another with --track"
    for track, notes, number in ((None, [said], 0), (1, [], 0), (2, [], 100)):
        with VideoReader(path, track=track) as reader:
            assert reader.notes == notes
            assert number_of(next(iter(reader)).picture) == number
    with pytest.raises(SourceError, match="has 2 video tracks, and none of number 3; choose anoth"):
        VideoReader(path, track=3)
    with pytest.raises(SourceError, match="has no tracks; leave out --track 2"):
        VideoReader("99", track=2)


@pytest.mark.parametrize("name", ["h264", "hevc", "m2v", "mjpg", "obu"])
def test_a_raw_stream_has_the_rate_that_is_given_or_one_that_is_said(
    name: str, tmp_path: Path
) -> None:
    codec, options, pixels = {
        "h264": ("libx264", "", "yuv420p"),
        "hevc": ("libx265", "x265-params=log-level=none", "yuv420p"),
        "m2v": ("mpeg2video", "b=2M", "yuv420p"), "mjpg": ("mjpeg", "", "yuvj420p"),
        "obu": ("libsvtav1", "preset=12", "yuv420p"),
    }[name]  # fmt: skip
    path = tmp_path / f"clip.{name}"
    clip = Footage(codec, options, pixels, b_frames=0, fps=Fraction(50), numbers=range(40))
    clip.write(path)
    stated = 25 if name in ("mjpg", "obu") else 50  # these say nothing
    for fps, rate, notes in ((None, stated, [ASSUMED.format(stated)]), (20.0, 20, [])):
        with VideoReader(path, fps=fps) as reader:
            assert reader.notes == notes
            found = frames_of(reader)
        assert [number for *_, number in found] == list(range(40))
        assert [time for _, time, _ in found] == pytest.approx(np.arange(40) / rate, abs=0.001)
    with VideoReader(path, start=1.0, fps=20.0) as reader:
        assert frames_of(reader)[0] == (20, 1.0, 20)
    H264.write(tmp_path / "clip.mp4")
    with pytest.raises(SourceError, match="has times of its own; leave out --fps 20"):
        VideoReader(tmp_path / "clip.mp4", fps=20.0)


LONG = Footage(numbers=range(300))
JOINED = {
    "mp4": LONG, "mov": LONG, "flv": LONG, "mkv": LONG, "ts": LONG, "avi": MPEG4,
    "mpg": Footage("mpeg2video", "b=2M"), "wmv": Footage("wmv2", "b=2M", b_frames=0),
}  # fmt: skip


@pytest.mark.parametrize("fragments", ["", "movflags=frag_keyframe+empty_moov"])
@pytest.mark.parametrize("name", JOINED)
def test_of_files_joined_into_one_all_is_read_or_it_is_said(
    name: str, fragments: str, tmp_path: Path
) -> None:
    if fragments and name not in ("mp4", "mov"):
        return
    whole = Path(tmp_path / f"whole.{name}")
    frames = len(JOINED[name].write(whole, fragments))
    joined = tmp_path / f"joined.{name}"
    joined.write_bytes(whole.read_bytes() * 2)
    for path, expected in ((whole, frames), (joined, 2 * frames)):
        with VideoReader(path) as reader:
            found = len(list(reader))
            said = "are not read; if it is several files in one, split it" in reader.loss
            assert said == (found < expected), (found, reader.loss)
            assert not reader.loss or said


def test_an_avi_that_repeats_frames_lacks_nothing(tmp_path: Path) -> None:
    """A capture card writes an empty packet where the last picture goes on."""
    path = tmp_path / "clip.avi"
    places = [0, 1, 2, 5, 9, 10, 30, 31, 60]
    MPEG4.write(tmp_path / "plain.avi")
    with av.open(path, "w") as made:
        stream = made.add_stream("mpeg4", 30, {"b": "2M"})
        stream.width, stream.height, stream.codec_context.max_b_frames = 80, 64, 0
        for number, place in enumerate(places):
            frame = av.VideoFrame.from_ndarray(drawn(number, (64, 80)), "bgr24")
            frame.pts, frame.time_base = place, Fraction(1, 30)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    with VideoReader(path) as reader:
        assert [time for _, time, _ in frames_of(reader)] == pytest.approx(
            [place / 30 for place in places], abs=0.001
        )
        assert reader.loss == ""


@pytest.mark.parametrize(
    "clip", [H264, Footage(b_frames=0), MPEG4, Footage("mpeg4", "b=2M"),
             Footage("mjpeg", pix_fmt="yuvj420p", b_frames=0)],
    ids=["h264_b", "h264", "mpeg4", "mpeg4_b", "mjpeg"],
)  # fmt: skip
@pytest.mark.parametrize("noise", [True, False])
def test_times_are_right_after_damage_in_an_avi(clip: Footage, noise: bool, tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    Footage(
        clip.codec, clip.options, clip.pix_fmt, b_frames=clip.b_frames, numbers=range(200)
    ).write(path)
    content = bytearray(path.read_bytes())
    first, last = (len(content) * part // 10 for part in (4, 5))
    content[first:last] = os.urandom(last - first) if noise else bytes(last - first)
    path.write_bytes(content)
    with VideoReader(path) as reader:
        found = frames_of(reader)
        assert "are missing" in reader.loss
    assert len(found) < 195
    for _, time, number in found[:30] + found[-60:]:  # those between may look like others
        assert time == pytest.approx(number / 25, abs=0.001)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mkv"])
def test_a_codec_that_nothing_decodes_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    (MPEG4 if name == "clip.avi" else H264).write(path)
    content = path.read_bytes()
    for codec, other in (
        (b"avc1", b"xyz1"),
        (b"FMP4", b"xyz1"),
        (b"V_MPEG4/ISO/AVC", b"V_UNKNOWN/X/YZ1"),
    ):
        content = content.replace(codec, other)
    path.write_bytes(content)
    codec_name = "an unknown codec" if name == "clip.mkv" else "the codec xyz1"
    fault = f"is in {codec_name}, which is not read; convert it, as to H.264"
    with pytest.raises(SourceError, match=fault):
        VideoReader(path)


def test_what_has_only_sound_is_no_video(tmp_path: Path) -> None:
    with av.open(tmp_path / "sound.mp4", "w") as made:
        sound = made.add_stream("aac", 44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44_100
        made.mux([*sound.encode(frame), *sound.encode(None)])
    with pytest.raises(SourceError, match="holds no video; name another file"):
        VideoReader(tmp_path / "sound.mp4")


def test_standard_input_is_read_and_named(tmp_path: Path) -> None:
    """From a pipe, from a file, and, where that cannot be, with the reason."""
    clip = Footage(numbers=range(50), size=(480, 640), gop=1)
    clip.write(tmp_path / "clip.ts")
    clip.write(tmp_path / "clip.mp4")
    script = [sys.executable, ROOT / "predict_video.py", *BUNDLED, "-i", "-", "--csv", "t.csv"]
    for name, piped, fault in (
        ("clip.ts", True, ""), ("clip.mp4", False, ""),
        ("clip.mp4", True, "holds no frame that can be read from a pipe; name a file"),
    ):  # fmt: skip
        shell = "cat $0 | $@ --overwrite" if piped else "$@ --overwrite < $0"
        command = ["sh", "-c", shell.replace("$@", '"$@"'), name, *map(str, script)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert fault in done.stderr
        assert done.returncode == bool(fault)
        assert len(rows(tmp_path / "t.csv")) == 50


@pytest.mark.parametrize("pixels", ["rgba", "rgba64be", "ya8"])
def test_what_is_transparent_is_white(pixels: str, tmp_path: Path) -> None:
    """As in pictures; half a red on it is pink."""
    with av.open(tmp_path / "clip.mov", "w") as made:
        stream = made.add_stream("png", 25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, pixels
        picture = np.zeros((16, 32, 4), np.uint8)
        picture[:, :16] = (255, 0, 0, 128)
        frame = av.VideoFrame.from_ndarray(picture, "rgba")
        made.mux([*stream.encode(frame.reformat(format=pixels)), *stream.encode(None)])
    with VideoReader(tmp_path / "clip.mov") as reader:
        shown = next(iter(reader)).picture
    assert (shown[:, 17:] == 255).all()
    half = (127, 127, 255) if pixels != "ya8" else shown[0, 0]
    assert np.abs(shown[:, :15].astype(int) - half).max() <= 1
    assert shown[0, 0].min() < 200
