"""The timeline keeps what happened, in bounded memory, and becomes a picture."""

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import frame

from activity.prediction.smoothing import Prediction
from activity.prediction.summary import ClipSummary
from activity.prediction.timeline import COLUMNS, Timeline
from activity.quiet.opencv import cv2

LABELS = ["a", "b"]


def fed(frames: int, peak: int) -> tuple[Timeline, ClipSummary]:
    """Feed frames of class a, with a single one of class b at `peak`."""
    timeline, summary = Timeline(LABELS, 25.0), ClipSummary(LABELS, 25.0)
    for number in range(frames):
        raw = np.array([0.1, 0.9] if number == peak else [0.8, 0.2])
        one = Prediction("a", LABELS[int(raw.argmax())], np.array([0.7, 0.3]), raw)
        for output in (timeline, summary):
            output.add(frame(number), one)
    return timeline, summary


@pytest.mark.parametrize("frames", [1, 125, COLUMNS, COLUMNS + 1, 20 * COLUMNS + 7])
def test_no_frame_is_lost_when_columns_are_merged(frames: int) -> None:
    peak = frames * 2 // 3
    seconds, lowest, highest, averaged = fed(frames, peak)[0].curves()
    assert len(seconds) <= COLUMNS
    assert np.all(np.diff(seconds) > 0)
    assert 0 <= seconds[0] < seconds[-1] + 1e-9 <= (frames + COLUMNS) / 25
    # One frame of the other class stays visible, however many share its column.
    column = int(highest[:, 1].argmax())
    assert highest[column, 1] == 0.9
    assert lowest[column, 0] == 0.1
    assert seconds[column] == pytest.approx(peak / 25, abs=20 * 2 / 25)
    assert np.sum(highest[:, 1] > 0.5) == 1
    assert averaged == pytest.approx(np.tile([0.7, 0.3], (len(seconds), 1)))


def test_becomes_a_picture(tmp_path: Path) -> None:
    timeline, summary = fed(125, 50)
    timeline.save(tmp_path / "timeline.png", "a clip", summary.segments)
    picture = cv2.imread(str(tmp_path / "timeline.png"))
    assert picture is not None
    assert picture.shape == (420, 1200, 3)
    colour = np.array((180, 119, 31))  # the first one of Matplotlib, in BGR
    rows, _ = np.nonzero(np.abs(picture.astype(int) - colour).sum(axis=2) < 12)
    assert len(rows) > 10_000  # the strip of the one label


def test_names_are_no_formulas(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    timeline, summary = Timeline([r"$\frac$", "スキー"], 25.0), ClipSummary(["a", "b"], 25.0)
    row = np.array([0.7, 0.3])
    for output in (timeline, summary):
        output.add(frame(0), Prediction(r"$\frac$", r"$\frac$", row, row))
    timeline.save(tmp_path / "timeline.png", "a$b$\x1b.mp4", summary.segments)
    assert cv2.imread(str(tmp_path / "timeline.png")) is not None
    assert not recwarn


@pytest.mark.parametrize(
    ("frames", "marks"),
    [
        (125, ["0:00", "0:00.5", "0:01", "0:01.5"]),
        (25 * 90, ["0:00", "0:10", "0:20", "0:30"]),
        (25 * 7200, ["0:00", "10:00", "20:00", "30:00", "40:00", "50:00", "1:00:00"]),
    ],
)
def test_the_axis_is_marked_as_on_a_clock(tmp_path: Path, frames: int, marks: list[str]) -> None:
    timeline, summary = Timeline(LABELS, 25.0), ClipSummary(LABELS, 25.0)
    row = np.array([0.7, 0.3])
    for number in (0, frames - 1):
        for output in (timeline, summary):
            output.add(frame(number), Prediction("a", "a", row, row))
    timeline.save(tmp_path / "timeline.svg", "a clip", summary.segments)
    # Matplotlib's SVG has each text as a comment before its outlines.
    texts = re.findall(r"<!-- (\d+:.*?) -->", (tmp_path / "timeline.svg").read_text())
    assert texts[: len(marks)] == marks
