"""The timeline keeps what happened, in bounded memory, and becomes a picture."""

import re
from collections.abc import Sequence
from itertools import combinations, groupby
from pathlib import Path

import numpy as np
import pytest
from conftest import frame
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import same_color, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, TextArea
from matplotlib.transforms import Bbox

from activity import figures
from activity.figures import name_box
from activity.label_file import UNCERTAIN
from activity.prediction.curves import COLUMNS, Curves
from activity.prediction.smoothing import Prediction
from activity.prediction.summary import ClipSummary, Segment
from activity.prediction.timeline import save_timeline
from activity.quiet.opencv import cv2
from activity.video.reader import Frame

LABELS = ["a", "b"]
MANY = [f"class {index:02d}" for index in range(25)]


def at(seconds: float) -> Frame:
    """Make a frame of which only the time counts; its number says nothing."""
    return Frame(0, seconds, np.zeros((1, 1, 3), np.uint8))


def fed(frames: int, peak: int) -> tuple[Curves, ClipSummary]:
    """Feed frames of class a, with a single one of class b at `peak`."""
    timeline, summary = Curves(LABELS), ClipSummary(LABELS, 25.0, "mean of 128")
    for number in range(frames):
        raw = np.array([0.1, 0.9] if number == peak else [0.8, 0.2])
        one = Prediction("a", LABELS[int(raw.argmax())], np.array([0.7, 0.3]), raw)
        for output in (timeline, summary):
            output.add(frame(number), one)
    return timeline, summary


def flat(labels: Sequence[str], averaged: Sequence[float] | np.ndarray) -> Curves:
    """Make a timeline in which the probabilities stay the same for four seconds."""
    timeline, row = Curves(labels), np.array(averaged)
    for number in range(100):
        timeline.add(frame(number), Prediction("", "", row, row))
    return timeline


@pytest.mark.parametrize("frames", [1, 125, COLUMNS, COLUMNS + 1, 20 * COLUMNS + 7])
def test_no_frame_is_lost_when_columns_are_merged(frames: int) -> None:
    peak = frames * 2 // 3
    seconds, lowest, highest, averaged = fed(frames, peak)[0].columns()
    assert min(frames, COLUMNS // 2) <= len(seconds) <= COLUMNS
    assert np.all(np.diff(seconds) > 0)
    assert 0 <= seconds[0] <= seconds[-1] <= (frames - 1) / 25
    # One frame of the other class stays visible, however many share its column.
    column = int(highest[:, 1].argmax())
    assert highest[column, 1] == 0.9
    assert lowest[column, 0] == 0.1
    assert seconds[column] == pytest.approx(peak / 25, abs=2 * frames / 25 / COLUMNS)
    assert np.sum(highest[:, 1] > 0.5) == 1
    assert averaged == pytest.approx(np.tile([0.7, 0.3], (len(seconds), 1)))


@pytest.mark.parametrize("begin", [0.0, 1234.5])
def test_single_frames_stand_at_their_own_times(begin: float) -> None:
    """A screen recording: still for seconds, then 60 frames a second."""
    gaps = np.tile([0.5, 3.0, *[1 / 60] * 50], 4)
    times = begin + np.cumsum(gaps)
    timeline = Curves(LABELS)
    for index, time in enumerate(times):
        raw = np.array([index, -index]) / 1000
        timeline.add(at(time), Prediction("a", "a", 2 * raw, raw))
    seconds, lowest, highest, averaged = timeline.columns()
    assert seconds.tolist() == times.tolist()
    assert np.array_equal(lowest, highest)
    assert lowest[:, 0] == pytest.approx(np.arange(len(times)) / 1000)
    assert averaged == pytest.approx(2 * lowest)


@given(
    st.floats(0, 1e5),
    st.lists(st.sampled_from([0.0, 1e-4, 1 / 60, 0.04]) | st.floats(0, 300), max_size=200),
    st.integers(0, 2**32),
)
def test_columns_hold_equal_times(begin: float, gaps: list[float], seed: int) -> None:
    """Against all frames at once, put into the columns in which they have to end."""
    times = begin + np.cumsum([0.0, *gaps])
    raw, averaged = np.random.default_rng(seed).random((2, len(times), 2))
    timeline = Curves(LABELS)
    for index, time in enumerate(times):
        timeline.add(at(time), Prediction("a", "a", averaged[index], raw[index]))
    doublings = 0
    while (times[-1] - times[0]) / (0.001 * 2**doublings) >= COLUMNS:
        doublings += 1
    columns = np.floor((times - times[0]) / (0.001 * 2**doublings))
    groups = [list(group) for _, group in groupby(range(len(times)), columns.__getitem__)]
    seconds, lowest, highest, mean = timeline.columns()
    assert seconds == pytest.approx([times[group].mean() for group in groups])
    assert np.array_equal(lowest, [raw[group].min(axis=0) for group in groups])
    assert np.array_equal(highest, [raw[group].max(axis=0) for group in groups])
    assert mean == pytest.approx(np.array([averaged[group].mean(axis=0) for group in groups]))


def test_becomes_a_picture(tmp_path: Path) -> None:
    timeline, summary = fed(125, 50)
    save_timeline(tmp_path / "timeline.png", "a clip", timeline, summary.segments, "mean of 128")
    picture = cv2.imread(str(tmp_path / "timeline.png"))
    assert picture is not None
    assert picture.shape == (420, 1200, 3)
    colour = np.array((180, 119, 31))  # the first one of Matplotlib, in BGR
    rows, _ = np.nonzero(np.abs(picture.astype(int) - colour).sum(axis=2) < 12)
    assert len(rows) > 10_000  # the strip of the one label


def test_names_are_no_formulas(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    timeline, summary = (
        Curves([r"$\frac$", "スキー"]),
        ClipSummary(["a", "b"], 25.0, "mean of 128"),
    )
    row = np.array([0.7, 0.3])
    for output in (timeline, summary):
        output.add(frame(0), Prediction(r"$\frac$", r"$\frac$", row, row))
    save_timeline(
        tmp_path / "timeline.png", "a$b$\x1b.mp4", timeline, summary.segments, "mean of 128"
    )
    assert cv2.imread(str(tmp_path / "timeline.png")) is not None
    assert not recwarn


class Drawn:
    """A timeline's figure, laid out: the boxes of its parts in pixels, and the legend's rows."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, timeline: Curves, title: str, *labels: str
    ) -> None:
        made: list[Figure] = []
        monkeypatch.setattr(figures, "save_picture", lambda figure, *_, **__: made.append(figure))
        segments = [Segment(label, i, i + 1, 25, 0.5) for i, label in enumerate(labels)]
        save_timeline(Path("any.png"), title, timeline, segments, "mean of 128")
        made[0].draw_without_rendering()
        self.figure = made[0].bbox
        self.curves, self.strip = (axes.get_window_extent() for axes in made[0].axes)
        self.lines = made[0].axes[0].get_lines()
        self.bars = [patch.get_facecolor() for patch in made[0].axes[1].patches]
        self.title = made[0].findobj(AnchoredOffsetbox)[-1].get_window_extent()
        self.texts = [box.get_text().replace("$", "") for box in made[0].findobj(TextArea)]
        rows = made[0].findobj(HPacker)
        self.rows: list[Bbox] = [row.get_window_extent() for row in rows]
        self.samples = [line for row in rows for line in row.findobj(Line2D)]

    def check(self) -> None:
        """Assert that title and legend are legible, and leave the curves their room."""
        assert self.figure.x0 <= self.title.x0 < self.title.x1 <= self.figure.x1
        assert self.curves.y1 < self.title.y0 < self.title.y1 <= self.figure.y1
        for box in self.rows:
            assert self.curves.x1 < box.x0 < box.x1 <= self.figure.x1
            assert self.figure.y0 <= box.y0 < box.y1 <= self.figure.y1
        for upper, lower in combinations(self.rows, 2):
            assert upper.y0 > lower.y1
        assert self.curves.width > 0.6 * self.figure.width
        assert self.curves.height > 0.65 * self.figure.height


def test_few_classes_have_the_usual_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["football", "tennis", "weight_lifting"]
    drawn = Drawn(monkeypatch, flat(names, [0.1, 0.2, 0.7]), "t", "tennis", UNCERTAIN, "football")
    drawn.check()
    assert drawn.texts == [*names, "t"]
    usual = ["tab:blue", "tab:orange", "tab:green"]
    for lines in (drawn.samples, drawn.lines):
        assert [line.get_linewidth() for line in lines] == [2, 2, 2]
        assert all(map(same_color, (line.get_color() for line in lines), usual))
    assert all(map(same_color, drawn.bars, ["tab:orange", "lightgrey", "tab:blue"]))
    for line, probability in zip(drawn.lines, [0.1, 0.2, 0.7], strict=True):
        assert np.asarray(line.get_xdata()) == pytest.approx(np.arange(100) / 25)
        assert np.asarray(line.get_ydata()) == pytest.approx(probability)


@pytest.mark.parametrize("names", [MANY, ["网球" * (index + 1) for index in range(25)]])
def test_of_many_classes_the_leading_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    """The first two are the label, though others are more probable; of them the last ten are."""
    timeline = flat(names, np.arange(25) / 300)
    drawn = Drawn(monkeypatch, timeline, "t", names[1], names[0], names[1], UNCERTAIN)
    drawn.check()
    assert len(drawn.rows) == 13
    assert drawn.texts[-2:] == ["and 13 more", "t"]
    if names is MANY:
        assert drawn.texts[:-2] == [*names[:2], *names[15:]]
    colours = [np.array(to_rgb(line.get_color())) for line in drawn.samples]
    for one, other in combinations([*colours, np.array(to_rgb("lightgrey"))], 2):
        assert np.abs(one - other).sum() > 0.25
    bold = [line.get_color() for line in drawn.lines if line.get_linewidth() == 2]
    assert bold == [line.get_color() for line in drawn.samples[:12]]
    others = [line.get_color() for line in drawn.lines if line.get_linewidth() < 1]
    assert others == [drawn.samples[12].get_color()] * 13
    assert all(map(same_color, drawn.bars, [bold[1], bold[0], bold[1], "lightgrey"]))


def test_the_labels_for_longest_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more labels than colours."""
    drawn = Drawn(monkeypatch, flat(MANY, [0.04] * 25), "t", *MANY, *MANY[13:])
    assert drawn.texts == [*MANY[13:], "and 13 more", "t"]
    assert all(same_color(bar, drawn.samples[12].get_color()) for bar in drawn.bars[:13])
    assert drawn.bars[13:25] == drawn.bars[25:]
    assert len(set(drawn.bars[13:])) == 12


@pytest.mark.parametrize("part", ["gewichtheben", "W", "网球", "تنس", "🎾"])
def test_a_long_name_keeps_its_ends_only(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    ends = f"<{part * 99}>"
    drawn = Drawn(monkeypatch, flat([ends, "b"], [0.7, 0.3]), f"{ends * 9}.mp4", ends)
    drawn.check()
    for text in drawn.texts:
        assert re.fullmatch(r"<.+….+>(\.mp4)?|b", text)


def grey(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return picture


def ink(picture: np.ndarray) -> np.ndarray:
    """Return the smallest box of a dark-on-white picture that holds all that is dark."""
    dark = 255 - picture
    rows, columns = np.nonzero(dark > 64)
    return dark[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


@pytest.mark.parametrize("name", ["网球", "足球", "スキー", "테니스"])
def test_letters_that_the_font_lacks_are_drawn(tmp_path: Path, name: str) -> None:
    """Matplotlib would have drawn the same box for each letter."""
    figure = Figure(figsize=(6, 2))
    box = name_box(name, size=72, longest=1000)
    figure.add_artist(
        AnchoredOffsetbox("center", child=box, frameon=False, bbox_to_anchor=figure.bbox)
    )
    figure.savefig(tmp_path / "name.png", dpi=100)
    drawn = ink(grey(tmp_path / "name.png"))
    expected = np.full((200, 600), 255, np.uint8)
    cv2.putText(expected, name, (50, 150), (0, 0, 0), cv2.FontFace("sans"), 100)
    expected = ink(expected)
    assert drawn.shape == pytest.approx(expected.shape, abs=3)
    resized = cv2.resize(drawn, expected.shape[::-1])
    assert np.corrcoef(resized.ravel(), expected.ravel())[0, 1] > 0.9


def test_letters_are_outlines_only_where_they_have_to_be(tmp_path: Path) -> None:
    names = ["tennis", "теннис", "تنس", "网球"]
    pictures = []
    for title in ("网球.mp4", "足球.mp4"):
        timeline = flat(names, [0.1, 0.2, 0.3, 0.4])
        save_timeline(
            tmp_path / "timeline.png",
            title,
            timeline,
            [Segment("tennis", 0, 4, 100, 0.5)],
            "mean of 128",
        )
        pictures.append(grey(tmp_path / "timeline.png").astype(int))
    rows, columns = np.nonzero(pictures[0] - pictures[1])
    assert rows.max() < 30  # the title, which stands above the curves
    assert columns.max() - columns.min() < 20
    save_timeline(
        tmp_path / "timeline.svg",
        title,
        timeline,
        [Segment("tennis", 0, 4, 100, 0.5)],
        "mean of 128",
    )
    written = (tmp_path / "timeline.svg").read_text()
    assert [name for name in names if f"<!-- {name} -->" in written] == names[:3]
    assert "<image" not in written


@pytest.mark.parametrize(
    ("frames", "marks"),
    [
        (125, ["0:00", "0:00.5", "0:01", "0:01.5"]),
        (25 * 90, ["0:00", "0:10", "0:20", "0:30"]),
        (25 * 7200, ["0:00", "10:00", "20:00", "30:00", "40:00", "50:00", "1:00:00"]),
    ],
)
def test_the_axis_is_marked_as_on_a_clock(tmp_path: Path, frames: int, marks: list[str]) -> None:
    timeline, summary = Curves(LABELS), ClipSummary(LABELS, 25.0, "mean of 128")
    row = np.array([0.7, 0.3])
    for number in (0, frames - 1):
        for output in (timeline, summary):
            output.add(frame(number), Prediction("a", "a", row, row))
    save_timeline(tmp_path / "timeline.svg", "a clip", timeline, summary.segments, "mean of 128")
    # Matplotlib's SVG has each text as a comment before its outlines.
    texts = re.findall(r"<!-- (\d+:.*?) -->", (tmp_path / "timeline.svg").read_text())
    assert texts[: len(marks)] == marks
