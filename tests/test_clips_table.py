"""The table with a row for each clip: what it keeps, what is done again, and what is in its way."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import conftest
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_faults import largest_file

from activity.errors import UserError
from activity.prediction.batch import Job
from activity.prediction.result import Result, Segment
from activity.prediction.table import SCHEMA, Table

TABLES = ["clips.csv", "clips.parquet"]
SEGMENT = Segment("tennis", 0.0, 2.5, 63, 0.75)
DONE = Result(
    "", None, "tennis", {"tennis": 0.75, "=golf": 0.25}, [SEGMENT], raw_changes=3, frames=63,
    frames_decoded=63, frames_claimed=64, smoothing="mean of 128", seconds=0.5, notes=["-1"],
    warnings=["one frame is missing"],
)  # fmt: skip
SETTINGS = {"smoothing": "mean", "size": 128}


def table(
    path: Path, model: str = "m", settings: Mapping[str, Any] = SETTINGS, **shared: Path
) -> Table:
    return Table(path, model, settings, shared)


def save(rows: Table, job: Job, **facts: Any) -> None:
    rows.save(job, replace(DONE, clip=job.source, **facts))


def done(rows: Table, jobs: list[Job]) -> list[str]:
    return [job.name for job, _ in rows.done(jobs)]


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    """Make three files that are taken for clips."""
    for name in "abc":
        (tmp_path / name).write_text(name)
    return [Job(str(tmp_path / name), name) for name in "abc"]


def contents(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table, read as other programs do; those of a CSV as its manual says."""
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist(maps_as_pydicts="strict")
        return found
    texts = {"clip", "label", "smoothing", "remarks", "error", "model", "settings"}
    rows = []
    for cells in conftest.rows(path):
        row: dict[str, Any] = dict.fromkeys(SCHEMA.names) | {"mean_probabilities": {}}
        for name, cell in cells.items():
            value: Any = None
            if cell:
                value = cell.removeprefix("'") if name in texts else json.loads(cell)
            if name.startswith("p_"):
                row["mean_probabilities"][name[2:]] = value
            else:
                row[name] = value
        rows.append(row)
    return rows


@pytest.mark.parametrize("name", TABLES)
def test_a_row_says_what_is_known_of_a_clip(name: str, jobs: list[Job], tmp_path: Path) -> None:
    path = tmp_path / name
    with table(path, all=tmp_path / "all.csv").alone():
        save(table(path), replace(jobs[0], outputs={"csv": tmp_path / "t.csv", "preview": True}))
        table(path).save(jobs[1], Result(jobs[1].source, error="no clip\udcff"))
    status = (tmp_path / "a").stat()
    expected = {
        "clip": jobs[0].source, "label": "tennis", "probability": 0.75, "frames": 63,
        "start_s": 0.0, "end_s": 2.5, "raw_changes": 3, "smoothed_changes": 0,
        "raw_changes_per_minute": 72.0, "changes_per_minute": 0.0, "smoothing": "mean of 128",
        "mean_probabilities": {"tennis": 0.75, "=golf": 0.25},
        "remarks": "-1; one frame is missing", "error": None,
        "segments": [{"label": "tennis", "start": 0.0, "end": 2.5, "frames": 63,
                      "mean_probability": 0.75}],
        "frames_decoded": 63, "frames_claimed": 64, "seconds": 0.5,
        "outputs": {"csv": str(tmp_path / "t.csv")}, "size": 1, "modified": status.st_mtime_ns,
        "model": "m", "settings": json.dumps(SETTINGS),
    }  # fmt: skip
    row, failed = contents(path)
    assert row == expected
    kept = {"clip": jobs[1].source, "error": "no clip\\udcff", "size": 1}
    assert kept.items() <= failed.items()
    assert failed["label"] is failed["segments"] is failed["frames"] is failed["outputs"] is None
    if path.suffix == ".parquet":
        assert pq.read_schema(path) == SCHEMA
    else:
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")


labels = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9)
shares = st.floats(0, 1).map(lambda share: round(share, 6))
texts = st.text(st.characters(exclude_categories=["Cs"]))
means = st.dictionaries(labels, shares, min_size=1, max_size=3)


@given(st.lists(st.tuples(means, texts, st.sampled_from(["=1", "'=1", "'", "-", ""])), max_size=8))
def test_what_is_saved_comes_back(
    tmp_path_factory: pytest.TempPathFactory, saved: list[tuple[dict[str, float], str, str]]
) -> None:
    """With the labels of several models, and texts that spreadsheets take for formulas."""
    folder = tmp_path_factory.mktemp("table")
    jobs = [Job(str(folder / f"{number}\n"), str(number)) for number in range(len(saved))]
    for name in TABLES:
        rows = table(folder / name)
        expected = []
        with rows.alone():
            for job, (means, text, begin) in zip(jobs, saved, strict=True):
                label = max(means, key=means.__getitem__)
                segments = [Segment(label, 0.0, 1.5, 3, 0.25), SEGMENT]
                facts = {"label": label, "mean_probabilities": means, "segments": segments}
                save(rows, job, **facts, notes=[begin + text], warnings=[])
                expected.append((job, label, means, segments, begin + text))
        found = [
            (job, each.label, each.mean_probabilities, each.segments, each.remarks)
            for job, each in table(folder / name).done(jobs)
        ]
        assert sorted(found, key=lambda row: int(row[0].name)) == expected


@pytest.mark.parametrize("name", TABLES)
def test_only_what_has_no_row_or_has_changed_is_done_again(
    name: str, jobs: list[Job], tmp_path: Path
) -> None:
    path = tmp_path / name
    with table(path).alone():
        save(table(path), jobs[0])
        save(table(path), jobs[1])
        table(path).save(jobs[2], Result(jobs[2].source, error="no clip"))
    assert done(table(path), jobs) == ["a", "b"]
    assert done(table(path, model="other"), jobs) == []
    assert done(table(path, settings={"size": 5}), jobs) == []
    os.utime(tmp_path / "a", ns=(1, 1))
    assert done(table(path), jobs) == ["b"]
    (tmp_path / "b").write_text("longer")
    assert done(table(path), jobs) == []
    # What is saved now takes the place of what was; others stay, also if their clips are gone.
    with table(path).alone():
        save(table(path), jobs[0], label="golf")
    (tmp_path / "b").unlink()
    assert [found.label for _, found in table(path).done(jobs[:2])] == ["golf"]
    assert [row["clip"] for row in contents(path)] == [job.source for job in jobs]


def test_numbered_pictures_change_with_any_of_them_and_a_camera_is_never_done(
    tmp_path: Path,
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_text("picture")
    jobs = [Job(str(tmp_path / "*.png"), "pictures"), Job("0", "camera")]
    with table(tmp_path / "t.csv").alone():
        for job in jobs:
            save(table(tmp_path / "t.csv"), job)
    assert done(table(tmp_path / "t.csv"), jobs) == ["pictures"]
    (tmp_path / "1.png").write_text("another")
    os.utime(tmp_path / "1.png", ns=(2**61, 2**61))
    assert done(table(tmp_path / "t.csv"), jobs) == []


def test_what_lacks_an_output_is_done_again(jobs: list[Job], tmp_path: Path) -> None:
    """A part of what is made of all clips counts until that is there."""
    path, file, common = tmp_path / "t.parquet", tmp_path / "a.json", tmp_path / "all.csv"
    part = tmp_path / ".all.csv.parts/a.csv"
    job = replace(jobs[0], outputs={"json": file, "csv": part})
    part.parent.mkdir()
    for each in (file, part):
        each.touch()
    with table(path, csv=common).alone():
        save(table(path, csv=common), job)
    assert done(table(path, csv=common), [job]) == ["a"]
    part.unlink()
    assert done(table(path, csv=common), [job]) == []
    common.touch()
    assert done(table(path, csv=common), [job]) == ["a"]
    assert done(table(path), jobs) == ["a"]
    assert done(table(path), [replace(job, outputs={"json": tmp_path / "b.json"})]) == []
    assert done(table(path), [replace(job, outputs={"page": file})]) == []
    file.unlink()
    assert done(table(path, csv=common), [job]) == []


@given(st.integers(0, 3), st.floats(0, 1), st.booleans(), st.sampled_from(TABLES))
def test_a_kill_while_a_row_is_written_loses_no_other(
    tmp_path_factory: pytest.TempPathFactory, before: int, share: float, merged: bool, name: str
) -> None:
    """Wherever it cuts the line off, and whether the journal had been emptied by then or not."""
    folder = tmp_path_factory.mktemp("table")
    path, journal = folder / name, folder / f".{name}.journal"
    *jobs, last = [Job(str(folder / each), each) for each in "abcd"]
    rows = table(path)
    for job in jobs[:before]:
        save(rows, job)
    kept = "" if merged or not journal.exists() else journal.read_text()
    with table(path).alone():
        pass
    line = json.dumps({"clip": last.source, "error": "x" * 99}) + "\n"
    journal.write_text(kept + line[: int(share * (len(line) - 1))])
    with table(path).alone():
        assert done(table(path), [*jobs, last]) == list("abc"[:before])
        save(table(path), last)
    assert done(table(path), [*jobs, last]) == [*"abc"[:before], "d"]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_loses_no_finished_row(name: str, room: int, tmp_path: Path) -> None:
    path, journal = tmp_path / name, tmp_path / f".{name}.journal"
    jobs = [Job(str(tmp_path / str(number)), str(number)) for number in range(20)]
    rows = table(path)
    for job in jobs[:10]:
        save(rows, job)
    rows._due = float("inf")
    for job in jobs[10:19]:
        save(rows, job)
    with (
        largest_file(journal.stat().st_size + room),
        pytest.raises(UserError, match=rf"{name} could not be written .*; free some space, and"),
    ):
        save(rows, jobs[19])
    with largest_file(1000), pytest.raises(UserError, match="could not be written"):
        rows._merge()
    with table(path).alone():
        assert len(done(table(path), jobs)) == 19
        save(table(path), jobs[19])
    assert len(done(table(path), jobs)) == 20
    assert {each.name for each in tmp_path.iterdir()} == {name, f".{name}.lock"}


pq.write_table(pa.table({"clip": ["a"]}), OTHER := pa.BufferOutputStream())


@pytest.mark.parametrize(
    "content", [b"", b"no table", b"clip,label\r\na,b\r\n", OTHER.getvalue().to_pybytes()]
)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_something_else_is_left_alone(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} is not a table that this version wrote \(.*\)"):
        table(path)
    assert path.read_bytes() == content


def test_a_second_run_with_a_table_is_refused(tmp_path: Path) -> None:
    with table(tmp_path / "t.csv").alone():
        with pytest.raises(UserError, match="is in use by another run; wait for it, or name"):
            table(tmp_path / "t.csv").alone().__enter__()
        with table(tmp_path / "other.csv").alone():
            pass
    with table(tmp_path / "t.csv").alone():
        pass


@pytest.mark.parametrize("name", TABLES)
def test_tables_may_be_long_and_so_may_rows(name: str, tmp_path: Path) -> None:
    """A row of 5,000 segments among 10,000; merging each time would take 5,000 times as long."""
    jobs = [Job(str(tmp_path / str(number)), str(number)) for number in range(10_000)]
    rows = table(tmp_path / name)
    with rows.alone():
        for job in jobs[1:]:
            save(rows, job)
        save(rows, jobs[0], segments=[SEGMENT] * 5000)
    found = list(table(tmp_path / name).done(jobs))
    assert {job.name for job, _ in found} == {job.name for job in jobs}
    assert [len(each.segments) for job, each in found if job.name == "0"] == [5000]
