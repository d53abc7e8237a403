import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, shared, write_clip

from activity.errors import UserError
from activity.prediction.reader import USUAL_FPS, VideoReader
from activity.quiet.opencv import cv2


def claim(monkeypatch: pytest.MonkeyPatch, prop: int, value: float) -> None:
    """Let every container claim this value for a property."""
    real = cv2.VideoCapture

    class Claims:
        def __init__(self, *arguments: object) -> None:
            self.real = real(*arguments)

        def get(self, asked: int) -> float:
            return value if asked == prop else float(self.real.get(asked))

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    monkeypatch.setattr(cv2, "VideoCapture", Claims)


def test_reads_every_frame_once_and_in_order(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "grey.avi", frames=40)
    with VideoReader(path) as reader:
        assert (reader.fps, reader.claimed) == (25.0, 40)
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
        (0.0, None, 0, 40),
        (0.4, None, 10, 40),
        (0.0, 0.4, 0, 10),
        (0.4, 0.8, 10, 20),
        (0.4, 0.401, 10, 11),
        (1.56, 9.9, 39, 40),
    ],
)
@pytest.mark.parametrize("length_known", [True, False])
def test_reads_from_start_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    start: float, end: float | None, first: int, last: int, length_known: bool,
) -> None:  # fmt: skip
    path = write_clip(tmp_path / "grey.avi", frames=40)
    if not length_known:
        claim(monkeypatch, cv2.CAP_PROP_FRAME_COUNT, 0.0)
    with VideoReader(path, start, end) as reader:
        if length_known:
            assert reader.expected == last - first
        else:
            assert reader.expected == (max(1, round(end * 25) - first) if end else None)
        found = [float(frame.picture.mean()) for frame in reader]
        assert reader.decoded == last
    assert found == pytest.approx([40 + 5 * index for index in range(first, last)], abs=2)


def test_a_start_behind_the_end_is_an_error(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "grey.avi", frames=40)
    with pytest.raises(UserError, match=r"grey\.avi has no frame at 1\.6 s; begin earlier"):
        VideoReader(path, 1.6)


@pytest.mark.parametrize("name", ["claims_772_decodes_630", "claims_223_decodes_167"])
def test_counts_what_decodes_where_the_file_claims_more(name: str) -> None:
    folder = "football" if "772" in name else "weight_lifting"
    claimed, decoded = (int(part) for part in name.split("_")[1::2])
    with VideoReader(shared(f"clips/{folder}/{name}.mp4")) as reader:
        assert sum(1 for _ in reader) == reader.decoded == decoded
        assert reader.claimed == claimed


def test_filmed_upright_is_read_upright() -> None:
    with VideoReader(shared("clips/broken/rotated_90_metadata.mp4")) as reader:
        assert next(iter(reader)).picture.shape == (1280, 544, 3)


def test_goes_on_behind_damage(tmp_path: Path) -> None:
    """Noise in the middle of a file: OpenCV's first failed read there is not the end of it."""
    content = bytearray(shared("clips/tennis/tutorial_tennis.mp4").read_bytes())
    content[800_000:820_000] = np.random.default_rng(0).bytes(20_000)
    (tmp_path / "damaged.mp4").write_bytes(content)
    capture = cv2.VideoCapture(str(tmp_path / "damaged.mp4"), cv2.CAP_FFMPEG)
    until_failure = 0
    while capture.read()[0]:
        until_failure += 1
    with VideoReader(tmp_path / "damaged.mp4") as reader:
        assert sum(1 for _ in reader) > 2 * until_failure > 100


@pytest.mark.parametrize("name", ["header_only.avi", "not_a_video.mp4"])
def test_files_without_frames_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="holds no frame"):
        VideoReader(shared(f"clips/broken/{name}"))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        VideoReader(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        VideoReader(tmp_path / "missing.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(UserError, match="holds no frame"):
        VideoReader(tmp_path / "empty.mp4")


@pytest.mark.parametrize("absurd", [0.0, -1.0, 90_000.0, float("nan"), float("inf")])
def test_an_unlikely_frame_rate_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absurd: float
) -> None:
    path = write_clip(tmp_path / "grey.avi")
    claim(monkeypatch, cv2.CAP_PROP_FPS, absurd)
    assert VideoReader(path).fps == USUAL_FPS


def test_the_reader_needs_no_model_code() -> None:
    program = (
        "import sys, activity.prediction.reader\n"
        "print(*{'tensorflow', 'keras', 'openvino', 'sklearn', 'matplotlib'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
