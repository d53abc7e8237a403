"""The timeline keeps what happened, in bounded memory, and becomes a picture."""

import re
from collections.abc import Sequence
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import frame
from hypothesis import given
from hypothesis import strategies as st
from labelled import clip_of, labelled, prediction, write
from matplotlib.colors import same_color, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from activity import figures
from activity.label_file import UNCERTAIN
from activity.prediction.curves import COLUMNS, Curves
from activity.prediction.observation import Prediction
from activity.prediction.outputs.timeline import Timeline
from activity.prediction.result import Result, Segment
from activity.quiet.opencv import cv2
from activity.video.reader import Frame

MANY = [f"class {index:02d}" for index in range(25)]


@given(
    st.floats(0, 1e5),
    st.lists(st.sampled_from([0.0, 1e-4, 1 / 60, 0.04]) | st.floats(0, 300), max_size=200),
    st.integers(0, 2**32),
)
def test_columns_hold_equal_times(begin: float, gaps: list[float], seed: int) -> None:
    """Against all frames at once, put into the columns in which they have to end."""
    times = begin + np.cumsum([0.0, *gaps])
    raw, smoothed = np.random.default_rng(seed).random((2, len(times), 2))
    curves = Curves(Path("any"), clip_of("ab"))
    for index, time in enumerate(times):
        shown = Frame(0, time, np.zeros((1, 1, 3), np.uint8))
        curves.add(shown, Prediction("a", "a", smoothed[index], raw[index]))
    doublings = 0
    while (times[-1] - times[0]) / (0.001 * 2**doublings) >= COLUMNS:
        doublings += 1
    columns = np.floor((times - times[0]) / (0.001 * 2**doublings))
    groups = [list(group) for _, group in groupby(range(len(times)), columns.__getitem__)]
    seconds, lowest, highest, mean = curves.columns()
    assert seconds == pytest.approx([times[group].mean() for group in groups])
    assert np.array_equal(lowest, [raw[group].min(axis=0) for group in groups])
    assert np.array_equal(highest, [raw[group].max(axis=0) for group in groups])
    assert mean == pytest.approx(np.array([smoothed[group].mean(axis=0) for group in groups]))


def test_becomes_a_picture_in_which_no_name_is_a_formula(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    labels = [r"$\frac$", "スキー"]
    frames = labelled(labels, [[0.7, 0.3]] * 125)
    write(Timeline, tmp_path / "t.png", clip_of(labels, "a$b$\x1b.mp4"), frames)
    picture = cv2.imread(str(tmp_path / "t.png"))
    assert picture is not None
    assert picture.shape == (420, 1200, 3)
    colour = np.array((180, 119, 31))  # the first one of Matplotlib, in BGR
    rows, _ = np.nonzero(np.abs(picture.astype(int) - colour).sum(axis=2) < 12)
    assert len(rows) > 10_000  # the strip of the one label
    assert not recwarn


class Drawn:
    """A timeline's figure, laid out: what is drawn in it, and where."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, names: Sequence[str], probabilities: Sequence[float],
        *segments: str, title: str = "t",
    ) -> None:  # fmt: skip
        made: list[Figure] = []
        monkeypatch.setattr(figures, "save_picture", lambda figure, *_, **__: made.append(figure))
        timeline = Timeline(Path("any.png"), clip_of(names, title))
        for each in labelled(names, [probabilities] * 100):
            timeline.add(*each)
        found = [Segment(label, i, i + 1, 25, 0.5) for i, label in enumerate(segments)]
        timeline.finish(Result("", segments=found, smoothing="mean of 128"))
        made[0].draw_without_rendering()
        panel, self.strip = made[0].axes
        legend: Any = panel.get_legend()
        self.lines, self.samples = panel.get_lines(), legend.get_lines()
        self.bars = [patch.get_facecolor() for patch in self.strip.patches]
        self.names = [text.get_text() for text in legend.get_texts()]
        (title_drawn,) = made[0].texts
        self.title = title_drawn.get_text()
        # Title and legend are in the picture, apart from each other, and leave room for the curves.
        box, curves = made[0].bbox, panel.get_window_extent()
        rows = [text.get_window_extent() for text in legend.get_texts()]
        top = title_drawn.get_window_extent()
        assert box.x0 <= top.x0 < top.x1 <= box.x1
        assert curves.y1 < top.y0 < top.y1 <= box.y1
        assert all(curves.x1 < row.x0 < row.x1 <= box.x1 for row in rows)
        assert all(box.y0 <= row.y0 < row.y1 <= box.y1 for row in rows)
        assert all(one.y0 > other.y0 + 0.7 * other.height for one, other in combinations(rows, 2))
        assert curves.width > 0.5 * box.width
        assert curves.height > 0.65 * box.height


def test_few_classes_have_the_usual_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["football", "tennis", "_weight_lifting"]
    drawn = Drawn(monkeypatch, names, [0.1, 0.2, 0.7], "tennis", UNCERTAIN, "football")
    assert (drawn.names, drawn.title) == (names, "t")
    usual = ["tab:blue", "tab:orange", "tab:green"]
    for lines in (drawn.samples, drawn.lines):
        assert [line.get_linewidth() for line in lines] == [2, 2, 2]
        assert all(map(same_color, (line.get_color() for line in lines), usual))
    assert all(map(same_color, drawn.bars, ["tab:orange", "lightgrey", "tab:blue"]))
    for line, probability in zip(drawn.lines, [0.1, 0.2, 0.7], strict=True):
        assert np.asarray(line.get_xdata()) == pytest.approx(np.arange(100) / 25)
        assert np.asarray(line.get_ydata()) == pytest.approx(probability)


def test_of_many_classes_the_leading_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first two are the label, though others are more probable; of them the last ten are."""
    rising = [index / 300 for index in range(25)]
    drawn = Drawn(monkeypatch, MANY, rising, MANY[1], MANY[0], MANY[1], UNCERTAIN)
    assert drawn.names == [*MANY[:2], *MANY[15:], "and 13 more"]
    *colours, others = (line.get_color() for line in drawn.samples)
    apart = [np.array(to_rgb(colour)) for colour in (*colours, others, "lightgrey")]
    assert all(np.abs(one - other).sum() > 0.25 for one, other in combinations(apart, 2))
    bold = [line.get_color() for line in drawn.lines if line.get_linewidth() == 2]
    assert bold == colours
    assert [line.get_color() for line in drawn.lines if line.get_linewidth() < 1] == [others] * 13
    assert all(map(same_color, drawn.bars, [bold[1], bold[0], bold[1], "lightgrey"]))
    # Where there are more labels than colours, those for longest have them.
    drawn = Drawn(monkeypatch, MANY, [0.04] * 25, *MANY, *MANY[13:])
    assert drawn.names == [*MANY[13:], "and 13 more"]
    assert all(same_color(bar, others) for bar in drawn.bars[:13])
    assert drawn.bars[13:25] == drawn.bars[25:]
    assert len(set(drawn.bars[13:])) == 12


@pytest.mark.filterwarnings("ignore:Glyph .* missing from")
@pytest.mark.parametrize("part", ["gewichtheben", "W", "网球", "🎾"])
def test_a_long_name_keeps_its_ends_only(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    names = [f"<{part * 99}{other}{part * 99}>" for other in "ab"]  # two that look the same then
    drawn = Drawn(monkeypatch, names, [0.7, 0.3], names[0], title=f"{names[0] * 9}.mp4")
    assert len(drawn.names) == 2
    assert all(re.fullmatch(r"<.+….+>(\.mp4)?", text) for text in [*drawn.names, drawn.title])


def test_letters_that_the_usual_font_lacks_come_from_one_that_has_them(tmp_path: Path) -> None:
    """Not from the one that Matplotlib brings, which has the same box for all."""
    letter = "Ⓐ"  # of Matplotlib's fonts for formulas
    assert figures.fonts_for("tennis ßñ теннис") == ["DejaVu Sans"]
    usual, other = figures.fonts_for(f"tennis {letter}")
    assert usual == "DejaVu Sans"
    assert not other.startswith("Last Resort")
    font = get_font(findfont(other))
    write(Timeline, tmp_path / "t.svg", clip_of("ab", letter), labelled("ab", [[0.7, 0.3]]))
    glyph = f"{font.postscript_name}-{font.get_charmap()[ord(letter)]:x}"
    assert f'<path id="{glyph}"' in (tmp_path / "t.svg").read_text()


@pytest.mark.parametrize(
    ("frames", "marks"),
    [(125, "0:00 0:00.5 0:01 0:01.5"), (25 * 90, "0:00 0:10 0:20 0:30"),
     (25 * 7200, "0:00 10:00 20:00 30:00 40:00 50:00 1:00:00")],
)  # fmt: skip
def test_the_axis_is_marked_as_on_a_clock(tmp_path: Path, frames: int, marks: str) -> None:
    ends = [(frame(number), prediction("ab", [0.7, 0.3])) for number in (0, frames - 1)]
    write(Timeline, tmp_path / "t.svg", clip_of("ab"), ends)
    # Matplotlib's SVG has each text as a comment before its outlines.
    texts = re.findall(r"<!-- (\d+:.*?) -->", (tmp_path / "t.svg").read_text())
    assert " ".join(texts).startswith(f"{marks} ")
