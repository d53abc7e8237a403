"""The CSV table of frames: of a clip, and one of several clips."""

import csv
from pathlib import Path

import pytest
from conftest import frame
from labelled import clip_of, prediction, write

from activity.prediction.outputs.frames import FrameTable, FrameTableOfClips
from activity.prediction.result import Result

LABELS = ["a", "b", "c"]
HEAD = "frame,time_s,label,probability,raw_label,raw_probability,smoothing,p_a,p_b,p_c"


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def test_a_row_per_frame_is_written_as_it_comes(tmp_path: Path) -> None:
    table = FrameTable(tmp_path / "t.csv", clip_of(LABELS))
    with table.opened():
        table.add(frame(0), prediction(LABELS, [0.5, 0.3, 0.2], [0.1, 0.8, 0.1]))
        (partial,) = tmp_path.iterdir()
        assert len(partial.read_text().splitlines()) == 2
        table.add(frame(1), prediction(LABELS, [0.25, 0.5, 0.25], [0.0, 1.0, 0.0]))
    assert [",".join(row) for row in cells(tmp_path / "t.csv")] == [
        HEAD,
        "0,0.000,a,0.500000,b,0.800000,mean of 128,0.500000,0.300000,0.200000",
        "1,0.040,b,0.500000,b,1.000000,mean of 128,0.250000,0.500000,0.250000",
    ]


@pytest.mark.parametrize("name", ["=1+1", "+a", "-5 kg", "@SUM(A1)", '=HYPERLINK("x")'])
def test_no_name_is_a_formula_to_a_spreadsheet(tmp_path: Path, name: str) -> None:
    labels = [name, "b"]
    part = tmp_path / "part.csv"
    shown = (frame(0), prediction(labels, [1, 0]))
    table = FrameTableOfClips(tmp_path / "t.csv", ["name"])
    table.add("name", write(FrameTable, part, clip_of(labels, name), [shown]), part)
    table.finish()
    for path in (part, tmp_path / "t.csv"):
        head, row = cells(path)
        assert [row[-7], row[-5]] == [f"'{name}"] * 2
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in [*head, *row])


def test_an_error_leaves_no_table(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), FrameTable(tmp_path / "t.csv", clip_of("ab")).opened():
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_one_table_holds_several_clips(tmp_path: Path) -> None:
    """They are in their order, whichever is labelled first; a clip that fails now has no rows.

    If a table goes on, those stay that an earlier run has put into it, also of other clips.
    """
    whole = tmp_path / "all.csv"
    for names, failed, done, goes_on, expected in (
        ("xyz", "z", "", False, "xy"), ("vwxy", "y", "x", True, "xvw"),
        ("wz", "", "", True, "xvwz"), ("y", "", "", False, "y"),
    ):  # fmt: skip
        table = FrameTableOfClips(whole, names)
        for name in reversed(names):
            part = FrameTable.place(whole, name, f"day/{name}", several=True)
            result = Result(f"{name}.mp4", error="gone" if name == failed else None)
            if name not in failed + done:
                part.parent.mkdir(parents=True, exist_ok=True)
                shown = (frame(0), prediction(LABELS, [1, 0, 0]))
                result = write(FrameTable, part, clip_of(LABELS, result.clip), [shown])
            table.add(name, result, part)
        table.finish(goes_on)
        assert list(tmp_path.iterdir()) == [whole]
        head, *rows = cells(whole)
        assert ",".join(head) == f"clip,{HEAD}"
        assert [row[0] for row in rows] == [f"{name}.mp4" for name in expected]
