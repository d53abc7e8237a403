"""Clips that are broken or unusual, made by FFmpeg; its own count of their frames is the oracle."""

import json
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from conftest import frames, rows

from activity.errors import UserError
from activity.prediction.classifier import Classifier
from activity.prediction.outputs import Outputs
from predict_video import label_video

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("ffmpeg", "ffprobe")),
    reason="needs clips of many kinds: install ffmpeg",
)

SOURCE = "testsrc2=size=320x240:rate=25:duration=2"  # 50 frames
ENCODED = {
    "whole.mp4": "-c:v libx264 -g 12 -pix_fmt yuv420p",
    "fast.mp4": "-c:v libx264 -g 12 -pix_fmt yuv420p -movflags +faststart",
    "whole.avi": "-c:v mjpeg",
    "whole.mkv": "-c:v libx264 -g 12",
    "grey.mkv": "-vf format=gray -c:v ffv1",
    "sixteen_bit.mkv": "-vf format=gray16le -c:v ffv1",
    "ten_bit.mp4": "-c:v libx264 -pix_fmt yuv444p10le",
    "alpha.mov": "-vf format=rgba -c:v png",
    "alpha.webm": "-c:v libvpx-vp9 -pix_fmt yuva420p",
    "one_pixel.mkv": "-vf scale=1:1 -c:v ffv1",
    "tiny.mkv": "-vf scale=16:16 -c:v ffv1",
    "odd.mkv": "-vf scale=17:33 -c:v ffv1",
    "8k.mp4": "-vf scale=7680:4320 -frames:v 5 -c:v libx264 -preset ultrafast",
    "variable_rate.mp4": "-vf select='not(mod(n,3))+mod(n,2)' -fps_mode vfr -c:v libx264",
    "small.ts": "-c:v libx264",
    "large.ts": "-vf scale=640:360 -c:v libx264",
    "still.png": "-frames:v 1",
}
# Nothing can be seen in these: no picture in it, or its index was cut off.
WITHOUT_FRAMES = {
    "audio_only.mp4", "empty.mp4", "text.mp4",
    "whole_10.mp4", "whole_50.mp4", "whole_90.mp4",
}  # fmt: skip
CUT = ("whole.mp4", "fast.mp4", "whole.avi", "whole.mkv")
CLAIM_MORE = {
    "hours.avi", "noise.mp4",
    *(f"{name}_{share}{ending}" for share in (10, 50, 90)
      for name, ending in (("fast", ".mp4"), ("whole", ".avi"), ("whole", ".mkv"))),
}  # fmt: skip


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *arguments], check=True, timeout=120)


def count(path: Path) -> int:
    """Return how many frames FFmpeg decodes."""
    done = subprocess.run(
        ["ffprobe", "-v", "quiet", "-select_streams", "v:0", "-count_frames",
         "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", path],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    words = done.stdout.replace(",", " ").split()
    return int(words[0]) if words else 0


def cut(name: str, share: int) -> str:
    """Return the name of a clip of which so many percent are left."""
    return f"{Path(name).stem}_{share}{Path(name).suffix}"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of them."""
    folder = tmp_path_factory.mktemp("bad")
    for name, options in ENCODED.items():
        ffmpeg("-f", "lavfi", "-i", SOURCE, *options.split(), str(folder / name))
    ffmpeg("-f", "lavfi", "-i", "sine=duration=2", str(folder / "audio_only.mp4"))
    for name in CUT:
        content = (folder / name).read_bytes()
        for share in (10, 50, 90):
            (folder / cut(name, share)).write_bytes(content[: len(content) * share // 100])
    (folder / "sizes.ts").write_bytes(
        (folder / "small.ts").read_bytes() + (folder / "large.ts").read_bytes()
    )
    (folder / "still.png").rename(folder / "still.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video")

    noisy = bytearray((folder / "whole.mp4").read_bytes())
    noise = random.Random(0)
    for position in range(len(noisy) // 3, len(noisy) // 2, 7):
        noisy[position] = noise.randrange(256)
    (folder / "noise.mp4").write_bytes(noisy)

    # In an .avi's headers: the rate as a fraction, and the number of frames, twice.
    avi = (folder / "whole.avi").read_bytes()
    stream, main = avi.index(b"strh") + 8, avi.index(b"avih") + 8
    for name, (scale, rate) in {"zero": (1, 0), "huge": (1, 10**9), "nan": (0, 0)}.items():
        changed = bytearray(avi)
        struct.pack_into("<II", changed, stream + 20, scale, rate)
        (folder / f"fps_{name}.avi").write_bytes(changed)
    changed = bytearray(avi)
    for position in (stream + 32, main + 16):
        struct.pack_into("<I", changed, position, 25 * 3600 * 5)
    (folder / "hours.avi").write_bytes(changed)
    return folder


NAMES = [
    *(name for name in ENCODED if name != "still.png"),
    *(cut(name, share) for name in CUT for share in (10, 50, 90)),
    "audio_only.mp4", "sizes.ts", "still.mp4", "empty.mp4", "text.mp4", "noise.mp4",
    "fps_zero.avi", "fps_huge.avi", "fps_nan.avi", "hours.avi",
]  # fmt: skip
# One of each kind.
EVERY_DAY = {
    "alpha.webm", "audio_only.mp4", "fps_nan.avi", "hours.avi", "noise.mp4", "one_pixel.mkv",
    "sixteen_bit.mkv", "sizes.ts", "still.mp4", "variable_rate.mp4", "whole_50.mkv", "whole_50.mp4",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in EVERY_DAY else pytest.mark.slow) for name in NAMES],
)
def test_a_clip_is_labelled_as_far_as_it_decodes_or_refused(
    name: str, clips: Path, classifier: Classifier, tmp_path: Path
) -> None:
    outputs = Outputs(
        tmp_path / "v.avi", tmp_path / "t.csv", tmp_path / "r.json", tmp_path / "t.png"
    )
    if name in WITHOUT_FRAMES:
        with pytest.raises(UserError, match="holds no frame that can be decoded"):
            label_video(str(clips / name), classifier, outputs)
        assert list(tmp_path.iterdir()) == []
        return
    result = label_video(str(clips / name), classifier, outputs)
    assert result is not None
    # The two streams of sizes.ts are one after the other, so it holds more than it claims.
    assert bool(result.warnings) == (name in {*CLAIM_MORE, "sizes.ts"})
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["frames"] == count(clips / name) > 0
    assert 0 < report["clip"]["fps"] <= 1000
    assert len(rows(tmp_path / "t.csv")) == report["frames"]
    if name != "8k.mp4":  # a gigabyte of frames
        assert len(frames(tmp_path / "v.avi")) == report["frames"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", "t.csv", "t.png", "v.avi"]
