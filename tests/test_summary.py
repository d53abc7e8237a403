import json
from dataclasses import astuple
from itertools import groupby, pairwise

import numpy as np
import pytest
from conftest import frame
from hypothesis import given
from hypothesis import strategies as st

from activity.prediction.smoothing import Prediction
from activity.prediction.summary import ClipSummary

LABELS = ["a", "b", "c"]


def prediction(averaged: list[float], raw: list[float]) -> Prediction:
    return Prediction(
        LABELS[int(np.argmax(averaged))],
        LABELS[int(np.argmax(raw))],
        np.array(averaged),
        np.array(raw),
    )


one_hot = st.sampled_from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@given(st.lists(st.tuples(one_hot, one_hot), min_size=1, max_size=40))
def test_summary_counts_frames_shares_and_changes(frames: list[tuple[list[float], ...]]) -> None:
    summary = ClipSummary(LABELS, 25.0, "mean of 128")
    for index, (averaged, raw) in enumerate(frames):
        summary.add(frame(index), prediction(averaged, raw))
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
    minutes = len(frames) / 25 / 60
    assert changes == (
        f"label changes: {raw_changes} frame by frame, {shown_changes} by mean of 128 "
        f"({raw_changes / minutes:.1f} and {shown_changes / minutes:.1f} a minute)"
    )


def test_frames_that_were_dropped_are_counted() -> None:
    summary = ClipSummary(LABELS, 25.0, "mean of 128")
    assert summary.skipped == 0
    for number in (0, 1, 4, 9):
        summary.add(frame(number), prediction([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]))
    assert (summary.frames, summary.skipped) == (4, 6)


@given(st.lists(st.tuples(one_hot, st.floats(0.4, 1.0)), min_size=1, max_size=40))
def test_segments_cover_the_clip(frames: list[tuple[list[float], float]]) -> None:
    """Against `itertools.groupby`, which sees all frames at once."""
    summary = ClipSummary(LABELS, 25.0, "mean of 128")
    for index, (direction, height) in enumerate(frames):
        averaged = [height * value for value in direction]
        summary.add(frame(index), prediction(averaged, averaged))
    expected, start = [], 0
    for label, group in groupby(frames, key=lambda one: LABELS[one[0].index(1.0)]):
        heights = [height for _, height in group]
        end = start + len(heights)
        mean = pytest.approx(float(np.mean(heights)), abs=1e-6)
        expected.append((label, round(start / 25, 3), round(end / 25, 3), len(heights), mean))
        start = end
    assert [astuple(segment) for segment in summary.segments] == expected
    record = summary.record()
    assert sum(record["share_of_frames"].values()) == pytest.approx(1, abs=1e-5)
    assert record["label_changes"]["smoothed"] == len(expected) - 1
    assert json.loads(json.dumps(record)) == record
