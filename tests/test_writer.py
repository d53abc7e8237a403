from pathlib import Path

import numpy as np
import pytest

from activity.errors import UserError
from activity.prediction.reader import Frame, VideoReader
from activity.prediction.smoothing import Prediction
from activity.prediction.writer import video_writer
from activity.quiet.opencv import cv2


def greys(path: Path) -> list[float]:
    with VideoReader(path) as reader:
        return [float(frame.picture.mean()) for frame in reader]


@pytest.mark.parametrize("ending", [".avi", ".mp4"])
@pytest.mark.parametrize("fps", [25.0, 30000 / 1001, 60000 / 1001, 12.5])
@pytest.mark.parametrize("size", [(120, 160), (121, 161), (1, 1), (17, 16)])
def test_writes_every_frame_at_its_rate_and_size(
    tmp_path: Path, ending: str, fps: float, size: tuple[int, int]
) -> None:
    path = tmp_path / f"out{ending}"
    with video_writer(path, fps) as writer:
        for index in range(30):
            writer.write(np.full((*size, 3), 40 + 5 * index, np.uint8))
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    with VideoReader(path) as reader:
        assert reader.fps == pytest.approx(fps, rel=2e-5)
        frames = [frame.picture for frame in reader]
    if ending == ".mp4":  # has no odd sides; one pixel is added, none is lost
        size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert {frame.shape for frame in frames} == {(*size, 3)}
    assert [frame.mean() for frame in frames] == pytest.approx(
        [40 + 5 * index for index in range(30)], abs=6
    )


@pytest.mark.parametrize("ending", [".avi", ".mp4"])
def test_a_frame_can_stand_for_several(tmp_path: Path, ending: str) -> None:
    with video_writer(tmp_path / f"out{ending}", 25.0) as writer:
        for grey, times in ((50, 1), (150, 3), (100, 2)):
            writer.write(np.full((64, 64, 3), grey, np.uint8), times)
    assert greys(tmp_path / f"out{ending}") == pytest.approx([50] + [150] * 3 + [100] * 2, abs=6)


def test_frames_of_another_size_are_fitted_not_dropped(tmp_path: Path) -> None:
    with video_writer(tmp_path / "out.avi", 25.0) as writer:
        for size in ((64, 64), (32, 48), (100, 64), (64, 64)):
            writer.write(np.full((*size, 3), 100, np.uint8))
    assert greys(tmp_path / "out.avi") == pytest.approx([100] * 4, abs=3)


def test_an_error_leaves_no_video(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), video_writer(tmp_path / "out.avi", 25.0) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_lacks_frames_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV drops frames without a word; here an encoder that loses every second one."""
    real = cv2.VideoWriter

    class Losing:
        fourcc = real.fourcc

        def __init__(self, *arguments: object) -> None:
            self.real = real(*arguments)
            self.count = 0

        def isOpened(self) -> bool:  # noqa: N802
            return bool(self.real.isOpened())

        def write(self, frame: np.ndarray) -> None:
            self.count += 1
            if self.count % 2:
                self.real.write(frame)

        def release(self) -> None:
            self.real.release()

    monkeypatch.setattr(cv2, "VideoWriter", Losing)
    with (
        pytest.raises(UserError, match="holds 5 of 10 frames"),
        video_writer(tmp_path / "out.avi", 25.0) as writer,
    ):
        for _ in range(10):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_a_frame_stands_for_those_that_were_dropped_before_it(tmp_path: Path) -> None:
    row = np.array([1.0])
    prediction = Prediction("a", "a", row, row)
    with video_writer(tmp_path / "out.avi", 25.0, begin=10) as writer:
        for number, grey in ((11, 50), (12, 150), (15, 100)):
            writer.add(Frame(number, number / 25, np.full((64, 64, 3), grey, np.uint8)), prediction)
    assert greys(tmp_path / "out.avi") == pytest.approx([50] * 2 + [150] + [100] * 3, abs=6)
