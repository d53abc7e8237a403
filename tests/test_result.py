"""The record of a clip: what is counted, and what is said of it."""

import json
from dataclasses import astuple, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import pytest
from conftest import frame
from hypothesis import given
from hypothesis import strategies as st
from labelled import labelled, prediction, result_of

from activity.label_file import UNCERTAIN
from activity.prediction.console import Console, text
from activity.prediction.result import Result, Tally

LABELS = ["a", "b", "c"]
one_hot = st.sampled_from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@given(st.lists(st.tuples(one_hot, one_hot), min_size=2, max_size=40))
def test_frames_shares_and_changes_are_counted(rows: list[tuple[list[float], ...]]) -> None:
    tally = Tally(LABELS, 25.0)
    for index, (smoothed, raw) in enumerate(rows):
        tally.add(frame(index), prediction(LABELS, smoothed, raw))
    result = result_of(tally)
    labels = [LABELS[smoothed.index(1.0)] for smoothed, _ in rows]
    raws = [LABELS[raw.index(1.0)] for _, raw in rows]
    best = max(LABELS, key=raws.count)  # the first of equals, as argmax
    assert (result.frames, result.label) == (len(rows), best)
    assert result.probability == pytest.approx(raws.count(best) / len(raws))
    assert result.shares == {each: labels.count(each) / len(labels) for each in set(labels)}
    changes = [sum(one != other for one, other in pairwise(each)) for each in (raws, labels)]
    minutes = len(rows) / 25 / 60
    rates = [f"{each / minutes:.1f}" for each in changes]
    _, whole, shares, last = text(result).splitlines()
    assert whole == f"whole clip: {best}, mean probability {raws.count(best) / len(raws):.3f}"
    assert all(f"{each} {labels.count(each) / len(labels):.1%}" in shares for each in labels)
    assert last == (
        f"label changes: {changes[0]} frame by frame, {changes[1]} by mean of 128 "
        f"({rates[0]} and {rates[1]} per minute)"
    )


def test_of_a_single_frame_there_is_its_label_and_no_change() -> None:
    tally = Tally(LABELS, 25.0)
    tally.add(frame(0), replace(prediction(LABELS, [0.25, 0.75, 0.0]), label=UNCERTAIN))
    result = result_of(tally, "a.jpg")
    assert (result.label, result.probability, result.is_still) == (UNCERTAIN, 0.75, True)
    assert text(result) == "a.jpg: uncertain, probability 0.750"


@given(st.lists(st.tuples(one_hot, st.floats(0.4, 1.0)), min_size=1, max_size=40))
def test_segments_cover_the_clip(rows: list[tuple[list[float], float]]) -> None:
    """Against `itertools.groupby`, which has all frames at once."""
    tally = Tally(LABELS, 25.0)
    for each in labelled(LABELS, ([height * p for p in row] for row, height in rows)):
        tally.add(*each)
    expected, start = [], 0
    for label, group in groupby(rows, key=lambda row: LABELS[row[0].index(1.0)]):
        heights = [height for _, height in group]
        end = start + len(heights)
        mean = pytest.approx(float(np.mean(heights)), abs=1e-6)
        expected.append((label, round(start / 25, 3), round(end / 25, 3), len(heights), mean))
        start = end
    result = result_of(tally)
    assert [astuple(segment) for segment in result.segments] == expected
    assert (result.start, result.end, result.changes) == (0, end / 25, len(expected) - 1)
    record = result.record()
    assert sum(record["share_of_frames"].values()) == pytest.approx(1, abs=1e-5)
    assert record["label_changes"]["smoothed"] == len(expected) - 1
    assert json.loads(json.dumps(record)) == record


def test_frames_that_were_dropped_are_counted() -> None:
    tally = Tally(LABELS, 25.0)
    for number in (0, 1, 4, 9):
        tally.add(frame(number), prediction(LABELS, [1, 0, 0]))
    result = result_of(tally, ended_early=True)
    assert result.frames == 4
    assert result.end == pytest.approx(10 / 25)  # a frame lasts as long as those before it
    assert result.remarks == (
        "skipped 6 frames to keep up with the source; ended before the end of the clip"
    )


def test_what_a_clip_lacks_is_a_warning() -> None:
    """Unless it was ended early; a password in the address of the clip is not shown."""
    tally = Tally(LABELS, 25.0)
    tally.add(frame(0), prediction(LABELS, [1, 0, 0]))
    result = result_of(tally, "rtsp://me:secret@host/x", loss=": 75% are missing")
    assert result.warnings == ["rtsp://me@host/x: 75% are missing"]
    assert "secret" not in str(result)
    assert result_of(tally, loss=": 75% are missing", ended_early=True).warnings == []


def test_several_clips_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """No name can be another line; errors and warnings go elsewhere."""
    clip = "b\x1b[2J\n.mp4"
    facts: dict[str, Any] = {"frames": 50, "seconds": 2.0, "raw_changes": 7, "label": "a"}
    console = Console(["long_name.mp4", clip], LABELS, several=True)
    console.add(Result(clip, **facts, warnings=["x\ny"], notes=["skipped 6 frames"]))
    console.add(Result("x.mp4", error="x.mp4\n does not exist"))
    console.add(Result("long_name.mp4", **facts, outputs={"output": "o/n.mp4"}))
    out, err = capsys.readouterr()
    head, first, second = out.splitlines()
    assert " ".join(head.split()) == (
        "clip label probability raw changes smoothed changes frames frames/s video"
    )
    assert first.split()[:7] == [r"b\x1b[2J\n.mp4", "a", "0.000", "7", "0", "50", "25.0"]
    assert first.endswith("  - (skipped 6 frames)")
    assert second.endswith("  o/n.mp4")
    assert head.index("label") == second.index("a ", 14)
    assert err == "warning: x\\ny\nerror: x.mp4\\n does not exist\n"
