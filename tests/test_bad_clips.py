"""Clips that are broken or unusual: labelled as far as FFmpeg decodes them, or refused."""

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import frames, rows
from footage import KINDS, Footage, joined

from activity.errors import SourceError
from activity.prediction.classifier import Classifier
from activity.prediction.label import label_video

H264 = Footage(size=(96, 128))
FFV1 = Footage("ffv1", b_frames=0)
MJPEG = KINDS["mjpeg.avi"]
Maker = Callable[[Path], object]


def changed(whole: Maker, change: Callable[[bytes], bytes]) -> Maker:
    """Return what makes a clip and changes its content."""

    def make(path: Path) -> None:
        whole(path)
        path.write_bytes(change(path.read_bytes()))

    return make


def cut(percent: int) -> Callable[[bytes], bytes]:
    return lambda content: content[: len(content) * percent // 100]


def with_noise(content: bytes) -> bytes:
    noisy = np.frombuffer(content, np.uint8).copy()
    part = noisy[len(noisy) // 3 : len(noisy) // 2 : 7]
    part[:] = np.random.default_rng(0).integers(0, 256, part.shape)
    return noisy.tobytes()


def with_rate(scale: int, rate: int) -> Callable[[bytes], bytes]:
    """Return what writes another frame rate, a fraction, to the header of an .avi."""

    def change(content: bytes) -> bytes:
        place = content.index(b"strh") + 28
        return content[:place] + struct.pack("<II", scale, rate) + content[place + 8 :]

    return change


def with_five_hours(content: bytes) -> bytes:
    """Let an .avi claim that many frames, in both of its headers."""
    changed = bytearray(content)
    for place in (content.index(b"strh") + 40, content.index(b"avih") + 24):
        struct.pack_into("<I", changed, place, 5 * 3600 * 25)
    return bytes(changed)


def silence(path: Path) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", 48_000)
        assert isinstance(stream, av.AudioStream)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 48_000
        container.mux([*stream.encode(sound), *stream.encode(None)])


fast = partial(H264.write, options="movflags=faststart")
UNUSUAL: dict[str, Maker] = {
    "whole.mp4": H264.write, "whole.mkv": H264.write, "whole.avi": MJPEG.write, "fast.mp4": fast,
    "ten_bits.mp4": replace(H264, pix_fmt="yuv444p10le").write,
    "one_pixel.mkv": replace(FFV1, size=(1, 1)).write,
    "tiny.mkv": replace(FFV1, size=(16, 16)).write,
    "8k.mp4": Footage(options="preset=ultrafast", size=(4320, 7680), numbers=range(5)).write,
    "sizes.ts": lambda path: joined(path, Footage(), H264),
    "fps_zero.avi": changed(MJPEG.write, with_rate(1, 0)),
    "fps_huge.avi": changed(MJPEG.write, with_rate(1, 10**9)),
    "fps_nan.avi": changed(MJPEG.write, with_rate(0, 0)),
    **{name: KINDS[name].write for name in (
        "grey.mkv", "sixteen_bits.mkv", "alpha.mov", "alpha.webm", "odd.mkv", "variable_rate.mp4",
        "field_pairs.mts", "moving.gif",
    )},
}  # fmt: skip
INCOMPLETE: dict[str, Maker] = {
    "noise.mp4": changed(H264.write, with_noise),
    "hours.avi": changed(MJPEG.write, with_five_hours),
    **{f"fast_{part}.mp4": changed(fast, cut(part)) for part in (40, 60, 90)},
    **{f"whole_{part}.avi": changed(MJPEG.write, cut(part)) for part in (40, 60, 90)},
    **{f"whole_{part}.mkv": changed(H264.write, cut(part)) for part in (40, 60)},
}
# Nothing can be seen in these: no picture in it, or its index was cut off.
WITHOUT_FRAMES: dict[str, Maker] = {
    "audio_only.mp4": silence,
    "empty.mp4": Path.touch,
    "text.mp4": lambda path: path.write_text("no video"),
    **{f"whole_{part}.mp4": changed(H264.write, cut(part)) for part in (10, 50, 90)},
}
CLIPS = UNUSUAL | INCOMPLETE | WITHOUT_FRAMES
# One of each kind.
EVERY_DAY = {
    "alpha.webm", "audio_only.mp4", "fps_nan.avi", "hours.avi", "noise.mp4", "one_pixel.mkv",
    "sixteen_bits.mkv", "sizes.ts", "variable_rate.mp4", "whole_60.mkv",
    "whole_50.mp4",
}  # fmt: skip


def count(path: Path) -> int:
    """Return how many frames FFmpeg decodes."""
    found = 0
    with av.open(path) as container:
        for packet in container.demux(video=0):
            with suppress(av.FFmpegError):
                found += len(packet.decode())
    return found


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in EVERY_DAY else pytest.mark.slow) for n in CLIPS]
)
def test_a_clip_is_labelled_as_far_as_it_decodes(
    name: str, classifier: Classifier, tmp_path: Path
) -> None:
    clip, out = tmp_path / name, tmp_path / "out"
    CLIPS[name](clip)
    out.mkdir()
    files = {"output": "v.mp4", "csv": "t.csv", "json": "r.json", "timeline": "t.png"}
    outputs = {kind: out / file for kind, file in files.items()}
    if name in WITHOUT_FRAMES:
        with pytest.raises(SourceError, match=r"holds no (frame|video)"):
            label_video(str(clip), classifier, outputs)
        assert list(out.iterdir()) == []
        return
    result = label_video(str(clip), classifier, outputs)
    assert result is not None
    assert bool(result.warnings) == (name in INCOMPLETE)
    report = json.loads((out / "r.json").read_text())
    assert report["frames"] == count(clip) > 0
    assert 0 < report["clip"]["fps"] <= 1000
    assert len(rows(out / "t.csv")) == report["frames"]
    if name != "8k.mp4":  # a gigabyte of frames
        assert len(frames(out / "v.mp4")) == report["frames"]
    assert {path.name for path in out.iterdir()} == set(files.values())
