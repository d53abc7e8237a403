"""Arguments and reports, fed with whatever hypothesis comes up with."""

import contextlib
import csv
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from unittest.mock import patch

import pytest
from conftest import ROOT, frame
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import PLAIN, clip_of, prediction, write

import predict_video
import train
from activity.prediction.console import Console
from activity.prediction.outputs.frames import FrameTable
from activity.prediction.outputs.page import Page
from activity.prediction.outputs.report import Report
from activity.prediction.outputs.timeline import Timeline
from activity.text import cell_text
from activity.video.sources import redacted

SOURCES = [ROOT / "train.py", ROOT / "predict_video.py", *(ROOT / "activity").rglob("*.py")]
OPTIONS = sorted(
    {word for file in SOURCES for word in re.findall(r'"(--?[a-z-]+)"', file.read_text())}
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


@settings(max_examples=settings().max_examples // 4)
@given(
    st.lists(names, min_size=2, max_size=2, unique=True),
    st.lists(st.tuples(shares, shares, st.integers(1, 5000)), min_size=1, max_size=20),
    st.floats(0.01, 1000),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
)
def test_reports_hold_what_they_were_told(
    labels: list[str], frames: list[tuple[list[float], list[float], int]], fps: float, title: str
) -> None:
    clip = clip_of(labels, title, replace(PLAIN, fps=fps, base_fps=fps))
    numbers = accumulate((step for _, _, step in frames), initial=-1)
    next(numbers)
    shown = [
        (frame(number, fps), prediction(labels, smoothed, raw))
        for number, (smoothed, raw, _) in zip(numbers, frames, strict=True)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = {FrameTable: "t.csv", Report: "r.json", Timeline: "t.svg", Page: "p.html"}
        for kind, path in kinds.items():
            result = write(kind, folder / path, clip, shown)
        with (folder / "t.csv").open(newline="", encoding="utf-8-sig") as file:
            head, *found = csv.reader(file)
        assert [cell_text(row[2]) for row in found] == [each.label for _, each in shown]
        assert head[7:] == [f"p_{label}" for label in labels]
        record = json.loads((folder / "r.json").read_text())
        assert record["clip"]["input"] == redacted(title)
        assert record["frames"] == len(frames)
        assert sum(segment["frames"] for segment in record["segments"]) == len(frames)
        assert (folder / "t.svg").stat().st_size > 1000
        assert (folder / "p.html").read_text().endswith("</html>\n")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        for several in (False, True):
            Console([title], labels, several).add(result)
    for line in said.getvalue().split("\n"):
        assert line.isprintable()
