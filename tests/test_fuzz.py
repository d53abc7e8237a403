"""Arguments and reports, fed with whatever hypothesis comes up with."""

import contextlib
import csv
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from conftest import frame
from hypothesis import given
from hypothesis import strategies as st

import predict_video
import train
from activity.files import save_json
from activity.prediction.curves import Curves
from activity.prediction.report import ClipResult, RunReport
from activity.prediction.smoothing import Prediction
from activity.prediction.summary import ClipSummary
from activity.prediction.table import frame_table
from activity.prediction.timeline import save_timeline

OPTIONS = sorted(
    set(re.findall(r'"(--?[a-z-]+)"', Path(train.__file__).read_text()))
    | set(re.findall(r'"(--?[a-z-]+)"', Path(predict_video.__file__).read_text()))
)
words = st.lists(
    st.sampled_from(OPTIONS)
    | st.sampled_from(["0", "1", "-1", "1e400", "nan", "٣", "0x10", "1_000", "9" * 5000, "all"])
    | st.text(max_size=12),
    max_size=12,
)


@pytest.mark.parametrize("parse", [train.parse_args, predict_video.parse_args])
@given(words)
def test_arguments_are_understood_or_refused_in_one_line(
    parse: Callable[[], object], arguments: list[str]
) -> None:
    said = io.StringIO()
    with (
        patch.object(sys, "argv", ["script", *arguments]),
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        code = 0
        try:
            parse()
        except SystemExit as end:
            code = end.code  # type: ignore[assignment]
    line = said.getvalue()
    assert code in (0, 2)
    if code == 2:
        assert line.endswith(" (see --help)\n")
        assert line[:-1].isprintable()


# A class name is text that can be printed; train.py refuses others, and so does the reader.
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
shares = st.lists(st.floats(0, 1, allow_nan=False), min_size=2, max_size=2)


@given(
    st.lists(names, min_size=2, max_size=2, unique=True),
    st.lists(st.tuples(shares, shares, st.integers(1, 5000)), min_size=1, max_size=20),
    st.floats(0.01, 1000),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_reports_hold_what_they_were_told(
    labels: list[str], frames: list[tuple[list[float], list[float], int]], fps: float, title: str
) -> None:
    summary, timeline = ClipSummary(labels, fps, "mean of 128"), Curves(labels)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        number = -1
        with frame_table(folder / "t.csv", labels, "mean of 128") as table:
            for averaged, raw, step in frames:
                number += step
                prediction = Prediction(
                    labels[int(np.argmax(averaged))], labels[int(np.argmax(raw))],
                    np.array(averaged), np.array(raw),
                )  # fmt: skip
                for output in (table, summary, timeline):
                    output.add(frame(number, fps), prediction)
        save_json({"title": title} | summary.record(), folder / "r.json")
        save_timeline(folder / "t.svg", title, timeline, summary.segments, "mean of 128")

        with (folder / "t.csv").open(newline="", encoding="utf-8-sig") as file:
            head, *found = csv.reader(file)
        assert [row[2].removeprefix("'") for row in found] == [
            labels[int(np.argmax(averaged))].removeprefix("'") for averaged, _, _ in frames
        ]
        assert head[7:] == [f"p_{label}" for label in labels]
        record = json.loads((folder / "r.json").read_text())
        assert record["title"] == title
        assert record["frames"] == len(frames)
        assert sum(segment["frames"] for segment in record["segments"]) == len(frames)
        assert (folder / "t.svg").stat().st_size > 1000
    result = ClipResult(title, Path(title), None, summary, 5, None, 1.0)
    for line in RunReport([title], labels, True, []).line(result).split("\n"):
        assert line.isprintable()
