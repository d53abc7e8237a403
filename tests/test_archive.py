"""Archives: a table with a row for each clip, what a second run does, and what is in its way."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import BUNDLED, ROOT, run_process, run_script, wait_for, write_clip
from hypothesis import given
from hypothesis import strategies as st

from activity.prediction.archive import FILE, Archive, Clip
from activity.prediction.outputs import Outputs

EXAMPLES = ROOT / "example_clips"


def table(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a table by the names of their clips, which have to differ."""
    rows = pq.read_table(folder / FILE).to_pylist(maps_as_pydicts="strict")
    found = {Path(row["clip"]).name: row for row in rows}
    assert len(found) == len(rows)
    return found


def label(folder: Path, *options: object) -> "subprocess.CompletedProcess[str]":
    return run_script(
        "predict_video.py", "-i", "clips", *BUNDLED, "--table", "table", *options, cwd=folder
    )


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Make an archive of two clips, in folders, and one that is none."""
    for name, source in (("day 1/a.avi", "football.mp4"), ("day 1/more/a.mp4", "tennis.mp4")):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(EXAMPLES / source, tmp_path / "clips" / name)
    (tmp_path / "clips/text.mp4").write_text("no clip")
    return tmp_path


def test_a_row_says_what_the_plain_command_says(clips: Path) -> None:
    done = label(clips)
    assert done.returncode == 1
    assert (
        done.stdout
        == f"{clips}/table/clips.parquet: 2 of 3 clips labelled, 2 of them now; 1 failed\n"
    )
    assert done.stderr.startswith(f"error: {clips}/clips/text.mp4 holds no frame")
    assert {path.name for path in (clips / "table").iterdir()} == {FILE, ".new"}
    assert [path.name for path in (clips / "table/.new").iterdir()] == ["lock"]
    assert not (clips / "output").exists()
    found = table(clips / "table")
    assert set(found) == {"a.avi", "a.mp4", "text.mp4"}
    for name in ("day 1/a.avi", "day 1/more/a.mp4"):
        plain = run_script(
            "predict_video.py", "-i", f"clips/{name}", "--no-video", "--no-preview",
            "--json", "r.json", "--overwrite", *BUNDLED, cwd=clips,
        )  # fmt: skip
        assert plain.returncode == 0
        record = json.loads((clips / "r.json").read_text())
        row = found[Path(name).name]
        means = record["whole_clip"]["mean_probabilities"]
        assert row["clip"] == str(clips / "clips" / name)
        assert row["label"] == record["whole_clip"]["label"]
        assert row["mean_probabilities"] == pytest.approx(means, abs=2e-6)
        assert row["probability"] == pytest.approx(max(means.values()), abs=2e-6)
        assert row["segments"] == record["segments"]
        changes = record["label_changes_a_minute"]
        assert row["flicker"] == pytest.approx(changes["smoothed"], abs=1e-3)
        assert row["raw_flicker"] == pytest.approx(changes["frame_by_frame"], abs=1e-3)
        assert row["frames"] == record["frames"] == 125
        assert row["frames_decoded"] == record["clip"]["frames_decoded"]
        assert row["frames_claimed"] == record["clip"]["frames_claimed"]
        assert row["film_s"] == pytest.approx(5.0)
        assert row["seconds"] > 0
        assert (row["error"], row["remarks"], row["outputs"]) == (None, "", {})
        status = (clips / "clips" / name).stat()
        assert (row["size"], row["modified"]) == (status.st_size, status.st_mtime_ns)
        assert json.loads(row["settings"]) == record["settings"] | {"unknown": False}
    bad = found["text.mp4"]
    assert "holds no frame" in bad["error"]
    assert [bad[name] for name in ("label", "segments", "frames", "outputs")] == [None] * 4


def again(clips: Path, *options: object) -> tuple[int, int]:
    """Label once more; return how many clips were labelled, and how many of them now."""
    done = label(clips, *options)
    words = done.stdout.splitlines()[0].split()
    return int(words[1]), int(words[6])


def test_a_second_run_does_what_is_missing_or_has_changed(clips: Path) -> None:
    assert again(clips) == (2, 2)
    assert again(clips) == (2, 0)
    # A film that was changed, another one, and one that is a film by now.
    os.utime(clips / "clips/day 1/a.avi", ns=(1, 1))
    assert again(clips) == (2, 1)
    shutil.copyfile(EXAMPLES / "tennis.mp4", clips / "clips/b.mp4")
    shutil.copyfile(EXAMPLES / "football.mp4", clips / "clips/text.mp4")
    assert again(clips) == (4, 2)
    assert again(clips) == (4, 0)
    # Other settings, and another model.
    assert again(clips, "--size", 5) == (4, 4)
    assert again(clips, "--size", 5) == (4, 0)
    assert again(clips, "--size", 5, "--unknown") == (4, 4)
    assert again(clips) == (4, 4)
    # What stands in the table stays there, also when its clip is gone.
    shutil.rmtree(clips / "clips/day 1")
    assert again(clips) == (2, 0)
    assert set(table(clips / "table")) == {"a.avi", "a.mp4", "b.mp4", "text.mp4"}
    assert again(clips, "--overwrite") == (2, 2)


def test_another_model_labels_again(clips: Path) -> None:
    for name in ("activity.xml", "activity.bin"):
        shutil.copyfile(ROOT / "model" / name, clips / name)
    model = ("-m", clips / "activity.xml", "-l", ROOT / "model/lb.pickle")
    assert again(clips, *model) == (2, 2)
    assert again(clips) == (2, 0)  # the same, elsewhere
    text = (clips / "activity.xml").read_text()
    (clips / "activity.xml").write_text(f"{text}\n")
    assert again(clips, *model) == (2, 2)


def test_other_files_are_made_beside_the_table_in_the_folders_of_the_archive(clips: Path) -> None:
    assert again(clips) == (2, 2)
    wanted = (
        "--csv", "csv", "--json", "json", "--timeline", "timelines", "--page", "pages",
        "-o", "films",
    )  # fmt: skip
    assert again(clips, *wanted) == (2, 2)
    names = ["day 1/a.avi", "day 1/more/a.mp4"]
    kinds = [("csv", "csv"), ("json", "json"), ("timelines", "png"), ("films", "mp4")]
    for folder, ending in [*kinds, ("pages", "html"), ("pages", "html.jpg")]:
        files = [path for path in (clips / folder).rglob("*") if path.is_file()]
        there = {str(path.relative_to(clips / folder)) for path in files} - {"index.html"}
        if folder == "pages":
            there = {name for name in there if name.endswith(ending)}
        assert there == {f"{name}.{ending}" for name in names}
    row = table(clips / "table")["a.avi"]
    assert row["outputs"]["csv"] == str(clips / "csv/day 1/a.avi.csv")
    assert again(clips, *wanted) == (2, 0)
    assert again(clips) == (2, 0)
    (clips / "csv/day 1/a.avi.csv").unlink()
    assert again(clips) == (2, 0)
    assert again(clips, *wanted) == (2, 1)
    assert (clips / "csv/day 1/a.avi.csv").exists()
    index = (clips / "pages/index.html").read_text()
    assert "day 1/more/a.mp4" in index
    assert "holds no frame" in index


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--table", "t", "--csv", "all.csv"], "--csv {}/all.csv is one file for many clips"),
        (["--table", "t", "-o", "clips/out"], "--output {}/clips/out lies in clips"),
        (["--table", "t", "--page", "p.html"], "--page {}/p.html is one file for several clips"),
        (
            ["--table", "clips/text.mp4"],
            "--table {0}/clips/text.mp4/clips.parquet cannot be written",
        ),
        (["--table", "t", "-i", "0"], "--input 0 is no video file"),
        (["--table", "t", "-i", "rtsp://a:b@c/d"], "--input rtsp://a@c/d is no video file"),
        (["--table", "t", "-i", "table"], "--input table is a folder without a video"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(options: list[str], fault: str, clips: Path) -> None:
    (clips / "table").mkdir()
    done = run_script("predict_video.py", "-i", "clips", *options, *BUNDLED, cwd=clips)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {fault.format(clips)}")
    assert done.stderr.count("\n") == 1


def test_a_clip_in_two_folders_that_would_share_their_files(clips: Path) -> None:
    for folder in ("x", "y"):
        (clips / folder).mkdir()
        write_clip(clips / folder / "same.avi", 2)
    inputs = ("-i", "x/same.avi", "y/same.avi", "x", "--table", "t", *BUNDLED)
    done = run_script("predict_video.py", *inputs, cwd=clips)
    assert done.returncode == 0
    assert "2 of 2 clips labelled" in done.stdout
    done = run_script("predict_video.py", *inputs, "--csv", "csv", cwd=clips)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {clips}/x/same.avi and {clips}/y/same.avi would")


@pytest.mark.parametrize(
    "options", [["--summary", "s.csv"], ["--ask", 3, "d"], ["--realtime"], ["--fps", 5]]
)
def test_what_is_for_single_clips_is_refused(options: list[object], clips: Path) -> None:
    done = label(clips, *options)
    assert done.returncode == 2
    assert f"{options[0]} is not for archives" in done.stderr
    done = run_script("predict_video.py", "-i", "clips", "--ray", *BUNDLED, cwd=clips)
    assert done.returncode == 2
    assert "--ray is for archives; add --table DIR" in done.stderr


def test_without_ray_it_says_how_to_get_it(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "activity.quiet.ray", raising=False)
    done = label(clips, "--ray")
    assert done.returncode == 1
    assert done.stderr == "error: --ray needs Ray; pip install -r requirements-ray.txt\n"


def test_a_table_of_something_else_is_left_alone(clips: Path) -> None:
    (clips / "table").mkdir()
    for content in (b"no table", b""):
        (clips / "table" / FILE).write_bytes(content)
        done = label(clips)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: --table {clips}/table holds a clips.parquet that")
        assert (clips / "table" / FILE).read_bytes() == content
    pq.write_table(pa.table({"clip": ["a"]}), clips / "table" / FILE)
    assert "it has other columns" in label(clips).stderr


def test_a_pipe_is_not_waited_for_and_any_name_has_a_row(clips: Path) -> None:
    os.mkfifo(clips / "clips/pipe.mp4")
    (clips / "clips/link.mp4").symlink_to("nowhere")
    strange = os.fsencode(clips / "clips") + b"/\xff\n'.avi"
    shutil.copyfile(EXAMPLES / "tennis.mp4", strange)
    done = label(clips, "--csv", "csv", "--page", "pages")
    assert done.returncode == 1
    assert "2 of 6 clips labelled" in done.stdout
    errors = {name: row["error"] for name, row in table(clips / "table").items() if row["error"]}
    assert "is a pipe" in errors["pipe.mp4"]
    assert "does not exist" in errors["link.mp4"]
    assert "is not named in UTF-8" in errors["\\udcff\n'.avi"]


# Found by every Python that starts, so by the processes that label, too: notes each image that the
# model gets.
COUNTING = """
import os, sys
from importlib.machinery import PathFinder

class Counting:
    def find_spec(name, path, target=None):
        if name != "activity.engine":
            return None
        spec = PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def execute_and_count(module):
            execute(module)
            stream = module.OpenVINOEngine.stream

            def noted(items):
                with open(os.environ["CALLS"], "a", buffering=1) as calls:
                    for key, image in items:
                        print("image", file=calls)
                        yield key, image

            module.OpenVINOEngine.stream = lambda engine, items: stream(engine, noted(items))

        spec.loader.exec_module = execute_and_count
        return spec

sys.meta_path.insert(0, Counting)
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_goes_on_and_labels_nothing_twice(
    end: signal.Signals, clips: Path
) -> None:
    for number in range(12):
        shutil.copyfile(EXAMPLES / "tennis.mp4", clips / f"clips/{number}.mp4")
    (clips / "site").mkdir()
    (clips / "site/sitecustomize.py").write_text(COUNTING)
    environment = {"PYTHONPATH": str(clips / "site"), "CALLS": str(clips / "calls")}
    command = [
        sys.executable, ROOT / "predict_video.py", "-i", "clips", "--table", "table", "-o", "films",
        *BUNDLED,
    ]  # fmt: skip
    with subprocess.Popen(
        list(map(str, command)), cwd=clips, env=os.environ | environment, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as run:  # fmt: skip
        wait_for(lambda: len(list((clips / "table/.new").glob("[!.]*.json"))) >= 4)
        if end == signal.SIGINT:
            os.killpg(run.pid, end)  # as a terminal does
        else:
            run.send_signal(end)
        run.wait()
        # Those who labelled see that nobody waits any more.
        wait_for(lambda: not group(run.pid))
        assert run.stderr
        complained = run.stderr.read()
    if end != signal.SIGKILL:
        assert run.returncode == 128 + end
        assert "Traceback" not in complained
    before = table(clips / "table") if (clips / "table" / FILE).exists() else {}
    saved = [json.loads(row.read_text()) for row in (clips / "table/.new").glob("[!.]*.json")]
    before |= {Path(row["clip"]).name: row for row in saved}
    labelled = [row for row in before.values() if not row.get("error")]
    assert 3 <= len(labelled) < 14
    assert not [path for path in (clips / "films").rglob("*") if path.name.startswith(".")]

    (clips / "calls").unlink()
    done = run_process("predict_video.py", *command[2:], cwd=clips, **environment)
    assert done.returncode == 1
    now = 14 - len(labelled)
    assert f"14 of 15 clips labelled, {now} of them now; 1 failed" in done.stdout
    assert len((clips / "calls").read_text().split()) == 125 * now
    after = table(clips / "table")
    assert len(after) == 15
    assert all(after[Path(row["clip"]).name]["seconds"] == row["seconds"] for row in labelled)


def group(leader: int) -> list[str]:
    """Return the processes of a group that are alive."""
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    fields = [stat.rpartition(")")[2].split() for stat in stats]
    return [field[0] for field in fields if field[2] == str(leader) and field[0] != "Z"]


def test_two_runs_do_not_share_a_table(clips: Path) -> None:
    archive = Archive(clips / "table", "model", {})
    with archive.alone():
        done = label(clips)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: --table {clips}/table is another run's at present")
    assert label(clips).stdout


# What an archive keeps, without a model.


def clip(path: str, size: int = 1, modified: int = 2) -> Clip:
    return Clip(path, size, modified, Outputs())


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(names, st.booleans()), max_size=8), st.data())
def test_the_table_has_the_last_row_of_each_clip(
    tmp_path_factory: pytest.TempPathFactory, saved: list[tuple[str, bool]], data: st.DataObject
) -> None:
    """Whenever rows are put into it, and however often that is broken off after the table."""
    archive = Archive(tmp_path_factory.mktemp("table"), "model", {})
    expected: dict[str, str] = {}
    for number, (name, merged) in enumerate(saved):
        archive.fail(clip(name), number)
        expected[name] = str(number)
        if merged:
            kept = {path: path.read_bytes() for path in archive.file.parent.glob(".new/*")}
            archive.merge()
            if data.draw(st.booleans()):
                for path, content in kept.items():
                    path.write_bytes(content)
    found = {row["clip"]: row["error"] for row in archive.rows(map(clip, expected))}
    assert found == expected
    assert archive.merge().num_rows == len(expected)
    assert not list(archive.file.parent.glob(".new/*"))


def test_a_row_that_a_crash_left_empty_is_none(tmp_path: Path) -> None:
    archive = Archive(tmp_path, "model", {})
    archive.fail(clip("/a.mp4"), "once")
    (row,) = (tmp_path / ".new").iterdir()
    row.write_text("")
    assert archive.saved(clip("/a.mp4")) is None
    assert archive.merge().num_rows == 0
    assert archive.left([clip("/a.mp4")]) == [clip("/a.mp4")]


def test_rows_that_are_being_written_are_left_alone(tmp_path: Path) -> None:
    archive = Archive(tmp_path, "model", {})
    partial = tmp_path / ".new/.abc.123.partial.json"
    partial.write_text("{")
    archive.merge()
    assert partial.exists()
