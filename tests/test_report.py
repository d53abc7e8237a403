import csv
import json
from dataclasses import astuple
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest
from activity.report import ClipSummary, Prediction, frame_table
from hypothesis import given
from hypothesis import strategies as st

LABELS = ["a", "b", "c"]


def prediction(averaged: list[float], raw: list[float], frame: int = 0) -> Prediction:
    return Prediction(
        frame,
        LABELS[int(np.argmax(averaged))],
        LABELS[int(np.argmax(raw))],
        np.array(averaged),
        np.array(raw),
    )


def test_one_row_a_frame(tmp_path: Path) -> None:
    with frame_table(tmp_path / "t.csv", LABELS, 25.0) as table:
        table.add(prediction([0.5, 0.3, 0.2], [0.1, 0.8, 0.1]))
        (partial,) = tmp_path.iterdir()
        assert len(partial.read_text().splitlines()) == 2  # written as it goes
        table.add(prediction([0.25, 0.5, 0.25], [0.0, 1.0, 0.0], frame=1))
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [",".join(row) for row in rows] == [
        "frame,time_s,label,probability,raw_label,raw_probability,p_a,p_b,p_c",
        "0,0.000,a,0.500000,b,0.800000,0.500000,0.300000,0.200000",
        "1,0.040,b,0.500000,b,1.000000,0.250000,0.500000,0.250000",
    ]


@pytest.mark.parametrize("label", ["=1+1", "+a", "-5 kg", "@SUM(A1)", '=HYPERLINK("x")'])
def test_no_label_is_a_formula_to_a_spreadsheet(tmp_path: Path, label: str) -> None:
    row = np.array([0.7, 0.3])
    with frame_table(tmp_path / "t.csv", [label, "b"], 25.0) as table:
        table.add(Prediction(0, label, label, row, row))
    with (tmp_path / "t.csv").open(newline="") as file:
        head, found = csv.reader(file)
    assert found[2] == found[4] == f"'{label}"
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in [*head, *found])


def test_an_error_leaves_no_table(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), frame_table(tmp_path / "t.csv", LABELS, 25.0):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


one_hot = st.sampled_from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@given(st.lists(st.tuples(one_hot, one_hot), min_size=1, max_size=40))
def test_summary_counts_frames_shares_and_changes(frames: list[tuple[list[float], ...]]) -> None:
    summary = ClipSummary(LABELS, 25.0)
    for averaged, raw in frames:
        summary.add(prediction(averaged, raw))
    shown = [LABELS[averaged.index(1.0)] for averaged, _ in frames]
    raws = [LABELS[raw.index(1.0)] for _, raw in frames]
    whole, shares, changes = summary.lines()
    assert summary.frames == len(frames)
    best = max(LABELS, key=raws.count)  # the first of equals, as argmax
    assert whole == f"whole clip: {best}, mean probability {raws.count(best) / len(raws):.3f}"
    for label in set(shown):
        assert f"{label} {shown.count(label) / len(shown):.1%}" in shares
    raw_changes = sum(one != other for one, other in pairwise(raws))
    shown_changes = sum(one != other for one, other in pairwise(shown))
    assert changes == f"label changes: {raw_changes} frame by frame, {shown_changes} averaged"


def test_frames_that_were_dropped_are_counted() -> None:
    summary = ClipSummary(LABELS, 25.0)
    assert summary.skipped == 0
    for frame in (0, 1, 4, 9):
        summary.add(prediction([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], frame))
    assert (summary.frames, summary.skipped) == (4, 6)


@given(st.lists(st.tuples(one_hot, st.floats(0.4, 1.0)), min_size=1, max_size=40))
def test_segments_cover_the_clip(frames: list[tuple[list[float], float]]) -> None:
    """Against `itertools.groupby`, which sees all frames at once."""
    summary = ClipSummary(LABELS, 25.0)
    for index, (direction, height) in enumerate(frames):
        averaged = [height * value for value in direction]
        summary.add(prediction(averaged, averaged, index))
    expected, start = [], 0
    for label, group in groupby(frames, key=lambda frame: LABELS[frame[0].index(1.0)]):
        heights = [height for _, height in group]
        end = start + len(heights)
        mean = pytest.approx(float(np.mean(heights)), abs=1e-6)
        expected.append((label, round(start / 25, 3), round(end / 25, 3), len(heights), mean))
        start = end
    assert [astuple(segment) for segment in summary.segments] == expected
    record = summary.record()
    assert sum(record["share_of_frames"].values()) == pytest.approx(1, abs=1e-5)
    assert record["label_changes"]["averaged"] == len(expected) - 1
    assert json.loads(json.dumps(record)) == record
