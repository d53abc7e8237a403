import csv
from pathlib import Path

import numpy as np
import pytest
from conftest import frame

from activity.prediction.smoothing import Prediction
from activity.prediction.table import frame_table

LABELS = ["a", "b", "c"]


def prediction(averaged: list[float], raw: list[float]) -> Prediction:
    return Prediction(
        LABELS[int(np.argmax(averaged))],
        LABELS[int(np.argmax(raw))],
        np.array(averaged),
        np.array(raw),
    )


def test_one_row_a_frame(tmp_path: Path) -> None:
    with frame_table(tmp_path / "t.csv", LABELS, "mean of 128") as table:
        table.add(frame(0), prediction([0.5, 0.3, 0.2], [0.1, 0.8, 0.1]))
        (partial,) = tmp_path.iterdir()
        assert len(partial.read_text().splitlines()) == 2  # written as it goes
        table.add(frame(1), prediction([0.25, 0.5, 0.25], [0.0, 1.0, 0.0]))
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    assert [",".join(row) for row in rows] == [
        "frame,time_s,label,probability,raw_label,raw_probability,smoothing,p_a,p_b,p_c",
        "0,0.000,a,0.500000,b,0.800000,mean of 128,0.500000,0.300000,0.200000",
        "1,0.040,b,0.500000,b,1.000000,mean of 128,0.250000,0.500000,0.250000",
    ]


@pytest.mark.parametrize("label", ["=1+1", "+a", "-5 kg", "@SUM(A1)", '=HYPERLINK("x")'])
def test_no_label_is_a_formula_to_a_spreadsheet(tmp_path: Path, label: str) -> None:
    row = np.array([0.7, 0.3])
    with frame_table(tmp_path / "t.csv", [label, "b"], "mean of 128") as table:
        table.add(frame(0), Prediction(label, label, row, row))
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8-sig") as file:
        head, found = csv.reader(file)
    assert found[2] == found[4] == f"'{label}"
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in [*head, *found])


def test_an_error_leaves_no_table(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), frame_table(tmp_path / "t.csv", LABELS, "mean of 128"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
