"""The registries of outputs and smoothers, and which files a run makes of which clips."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest
from conftest import BUNDLED, ROOT, rows, run_script, write_clip

from activity.errors import UserError
from activity.prediction.outputs import OUTPUTS
from activity.prediction.outputs.uncertain import Request
from activity.prediction.plan import Plan, make_plan
from activity.prediction.settings import Settings
from activity.prediction.smoothers import SMOOTHERS

LABELS = ("football", "tennis", "weight_lifting")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with one clip, and with two of the same name in folders."""
    for name in ("clip.avi", "days/1/a.avi", "days/2/a.avi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_clip(tmp_path / name, frames=12)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*inputs: str, **options: Any) -> Plan:
    """Plan a run; options are outputs, and what else a plan takes."""
    wanted = {kind: options.pop(kind) for kind in OUTPUTS if kind in options}
    usual = {"settings": Settings(), "table": None, "on_cluster": False, "overwrite": False}
    return make_plan(inputs, wanted, ROOT / "model/activity.xml", LABELS, **usual | options)


def test_a_clip_gets_the_files_that_are_named_or_else_a_video(folder: Path) -> None:
    video = {"output": Path("output/clip.mp4")}
    assert plan("clip.avi").jobs[0].outputs == video
    assert plan("clip.avi", preview=True).jobs[0].outputs == video | {"preview": True}
    named = {"csv": Path("t.csv"), "timeline": Path("x/t.svg")}
    assert plan("clip.avi", **named).jobs[0].outputs == named
    assert (folder / "x").is_dir()
    assert not plan("clip.avi", **named).gatherers


@pytest.mark.usefixtures("folder")
def test_several_clips_keep_their_folders_in_one_for_each_kind() -> None:
    found = plan("days", timeline=Path("pictures"), page=Path("pages"), csv=Path("all.csv"))
    assert [job.name for job in found.jobs] == ["1/a", "2/a"]
    assert [job.outputs for job in found.jobs] == [
        {"timeline": Path(f"pictures/{day}/a.png"), "page": Path(f"pages/{day}/a.html"),
         "csv": Path(f".all.csv.parts/{day}/a.csv")}
        for day in (1, 2)
    ]  # fmt: skip
    common = {kind: gatherer.path for kind, gatherer in found.gatherers.items()}
    assert common == {"page": Path("pages/index.html"), "csv": Path("all.csv")}
    with pytest.raises(UserError, match=r"^--json all.json is one file for several clips; name a"):
        plan("days", "clip.avi", json=Path("all.json"))


def test_a_table_is_made_by_other_processes_and_of_whole_paths(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {"json": Path("r"), "ask": Request(2, Path("ask"))}
    found = plan("days", table=Path("t.csv"), preview=False, **made)
    assert found.in_processes
    assert capsys.readouterr().out == "preview off: the clips are labelled by other processes\n"
    assert [job.outputs for job in found.jobs] == [
        {"json": folder / f"r/{day}/a.json", "ask": Request(2, folder / f"ask/.parts/{day}/a")}
        for day in (1, 2)
    ]
    sources = [folder / f"days/{day}/a.avi" for day in (1, 2)]
    assert [Path(job.source) for job in found.jobs] == sources
    assert [job.size for job in found.jobs] == [source.stat().st_size for source in sources]
    os.mkfifo("pipe")
    found = plan("clip.avi", "pipe", table=Path("t.csv"), preview=False)
    assert not found.in_processes
    assert found.jobs[1].outputs == {"preview": False}


def test_what_a_run_with_an_existing_table_has_written_may_be_replaced(folder: Path) -> None:
    (folder / "r.json").write_text("{}")
    options: dict[str, Any] = {"json": Path("r.json"), "table": Path("t.csv")}
    assert plan("clip.avi", **options, overwrite=True).jobs
    run = (*BUNDLED, "-i", "clip.avi", "--table", "t.csv")
    done = run_script("predict_video.py", *run, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert plan("clip.avi", **options).jobs


@pytest.fixture
def toys() -> Iterator[None]:
    """Add the output and the smoother of `toys`, and no other line to anything."""
    with patch.dict(OUTPUTS), patch.dict(SMOOTHERS):
        import toys

        toys.register()
        yield


TOYS = (*BUNDLED, "--no-preview", "--smoothing", "last", "--power", 2)


@pytest.mark.usefixtures("toys")
def test_a_new_output_and_smoother_have_their_options(folder: Path) -> None:
    text = " ".join(run_script("predict_video.py", "--help").stdout.split())
    for part in (
        "--words FILE the labels in words", "--smoothing {mean,hmm,last}",
        "'last' takes the last one", "--power P how much clearer the last one becomes",
    ):  # fmt: skip
        assert part in text
    done = run_script("predict_video.py", "-i", "clip.avi", "--power", "2", cwd=folder)
    assert done.stderr.endswith("--power 2 is for --smoothing last; leave it out (see --help)\n")
    done = run_script("predict_video.py", *TOYS, "-i", "clip.avi", "--words", "w.doc", cwd=folder)
    ending = "--words w.doc ends in '.doc'; choose a name ending in .txt or .md"
    assert done.stderr == f"error: {ending}\n"


@pytest.mark.usefixtures("toys")
def test_a_new_output_and_smoother_work_for_a_clip(folder: Path) -> None:
    options = (*TOYS, "-i", "clip.avi", "--words", "w.txt", "--csv", "t.csv", "--json", "r.json")
    done = run_script("predict_video.py", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    report = json.loads((folder / "r.json").read_text())
    labels = [segment["label"] for segment in report["segments"]]
    assert (folder / "w.txt").read_text() == ", then ".join(labels)
    assert report["outputs"]["words"] == "w.txt"
    assert (report["settings"]["smoothing"], report["settings"]["power"]) == ("last", 2.0)
    for row in rows(folder / "t.csv"):
        assert row["label"] == row["raw_label"]
        assert float(row["probability"]) >= float(row["raw_probability"]) - 1e-6
    done = run_script("predict_video.py", *options, cwd=folder)
    assert "exists; add --overwrite" in done.stderr


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(
    "where",
    [
        pytest.param([], id="in this process"),
        pytest.param(["--table", "t.parquet"], id="in several"),
        pytest.param(["--table", "t.parquet", "--ray", "local"], id="ray", marks=pytest.mark.slow),
    ],
)
def test_a_new_output_and_smoother_work_for_several_clips(
    where: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    if "--ray" in where:
        request.getfixturevalue("alone_with_ray")
        monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}")
    options = (*TOYS, "-i", "days", "--words", "words", *where)
    done = run_script("predict_video.py", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = {str(path.relative_to(folder)) for path in (folder / "words").rglob("*.txt")}
    assert found == {"words/1/a.txt", "words/2/a.txt"}
    if where:
        table = pq.read_table(folder / "t.parquet").to_pylist(maps_as_pydicts="strict")
        assert [row["smoothing"] for row in table] == ["last"] * 2
        for row in table:
            words = ", then ".join(segment["label"] for segment in row["segments"])
            assert Path(row["outputs"]["words"]).read_text() == words
        shutil.rmtree(folder / "words/1")
        done = run_script("predict_video.py", *options, cwd=folder)
        assert "2 of 2 clips labelled, 1 of them now; 0 failed" in done.stdout
        assert (folder / "words/1/a.txt").exists()
