"""Clips labelled by other processes, which may be lost, and runs that are ended and go on."""

import json
import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import conftest
import pyarrow.parquet as pq
import pytest
from conftest import BUNDLED, ROOT, run_script, start_process, wait_for, write_clip
from pebble import ProcessPool

from activity.errors import UserError
from activity.files import atomic_write
from activity.prediction import workers
from activity.prediction.batch import Job, Task
from activity.prediction.classifier import Classifier
from activity.prediction.result import Result
from activity.prediction.settings import Settings
from activity.prediction.workers import TRIES, Worker, in_processes

MODEL = ROOT / "model/activity.xml"


@dataclass(frozen=True)
class Errand(Task):
    """Does what a job's source says, and notes each try in a file; the note is the result."""

    folder: Path = Path()

    def label(self, classifier: Classifier, job: Job, **options: Any) -> Result:
        on_frame: Callable[[], None] = options["on_frame"]
        with (self.folder / job.name).open("a") as tries:
            print(os.getpid(), file=tries)
        what, _, number = job.source.partition(" ")
        if what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "exit":
            os._exit(int(number))
        if what == "hang":
            time.sleep(10_000)
        if what == "frames":  # for so many seconds
            end = time.monotonic() + float(number)
            while time.monotonic() < end:
                time.sleep(0.1)
                on_frame()
        if what == "write":
            with atomic_write(self.folder / "file") as partial:
                partial.write_text("half")
                while True:
                    time.sleep(0.1)
                    on_frame()
        return Result(job.source, label=str(os.getpid()))


@pytest.fixture
def errand(tmp_path: Path) -> Errand:
    return Errand(MODEL, Settings(), several=True, folder=tmp_path)


def job(source: str) -> Job:
    return Job(source, source.replace(" ", "_"))


def tries(errand: Errand, source: str) -> list[int]:
    path = errand.folder / job(source).name
    return [int(process) for process in path.read_text().split()]


def alive(*processes: int, group: int | None = None) -> list[int]:
    """Return those of some processes, or of a group, that are alive."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, leader = path.read_text().rpartition(")")[2].split()[:3]
            number = int(path.parent.name)
            if state != "Z" and (number in processes or int(leader) == group):
                found.append(number)
    return found


def test_what_loses_its_process_is_tried_a_few_times_and_takes_nothing_with_it(
    errand: Errand,
) -> None:
    losses = {"crash": "SIGSEGV", "exit 7": "exit code 7"}
    clips = ["a", "crash", "b", "exit 7", "c"]
    results = {each.source: found for each, found in in_processes(errand, [*map(job, clips)], 2)}
    assert set(results) == set(clips)
    for source, loss in losses.items():
        fault = f"{source} ended the process that read it, {TRIES} times ({loss})"
        assert results[source].error == f"{fault}; repair it, or leave it out"
        assert len(tries(errand, source)) == TRIES
    for source in "abc":
        assert results[source].error is None
        assert tries(errand, source) == [int(results[source].label)]
    assert not alive(*(process for clip in clips for process in tries(errand, clip)))
    assert list(in_processes(errand, [])) == []


def test_a_process_does_one_clip_after_the_other_and_is_replaced_when_it_was_killed(
    errand: Errand,
) -> None:
    worker = Worker(errand)
    processes = [int(worker(job(source))[1].label) for source in ("a", "b")]
    assert processes[0] == processes[1] != os.getpid()
    os.kill(processes[0], signal.SIGKILL)
    assert int(worker(job("c"))[1].label) not in processes
    worker.close()


def test_what_hangs_is_ended_and_what_is_slow_is_not(errand: Errand) -> None:
    """However busy the machine: with more patience, if it has to be, what is slow comes through."""
    worker = Worker(errand, patience=0.5)
    assert "(no frame for 0.5 s)" in str(worker(job("hang"))[1].error)
    assert len(tries(errand, "hang")) == TRIES
    worker.close()
    for patience in (1.0, 10.0, 60.0):
        worker = Worker(errand, patience)
        _, found = worker(job(f"frames {2.5 * patience}"))
        worker.close()
        if not found.error:
            return
    raise AssertionError(found.error)


def test_a_model_that_cannot_be_loaded_is_no_clip_s_fault(errand: Errand) -> None:
    wrong = Errand(errand.folder / "none.xml", Settings(), several=True, folder=errand.folder)
    with pytest.raises(UserError, match=r"none\.xml is not a file"):
        list(in_processes(wrong, [job("a")]))


@pytest.mark.parametrize(("source", "begun"), [("write", ".file*"), ("hang", "hang")])
def test_closing_ends_what_is_going_on_and_leaves_nothing_half_written(
    source: str, begun: str, errand: Errand
) -> None:
    worker = Worker(errand)
    with ThreadPoolExecutor() as threads:
        future = threads.submit(worker, job(source))
        wait_for(lambda: list(errand.folder.glob(begun)))
        worker.close()
        with pytest.raises(CancelledError):
            future.result()
    assert not alive(*tries(errand, source))
    assert [path.name for path in errand.folder.iterdir()] == [source]


def test_a_worker_that_is_closed_while_it_starts_leaves_no_process(
    errand: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, pools = Worker(errand), []

    def closed_meanwhile(*arguments: Any, **options: Any) -> ProcessPool:
        worker.close()
        pools.append(ProcessPool(*arguments, **options))
        return pools[0]

    monkeypatch.setattr(workers, "ProcessPool", closed_meanwhile)
    with pytest.raises(CancelledError):
        worker(job("hang"))
    assert not pools[0].active


def saved(table: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a table, and those that are going to be in it, by the clips' names."""
    rows: list[dict[str, Any]] = []
    with suppress(FileNotFoundError):
        journal = table.with_name(f".{table.name}.journal").read_text()
        rows = [json.loads(line) for line in journal.splitlines(keepends=True) if line[-1] == "\n"]
    if table.exists():
        if table.suffix == ".csv":
            rows = [*conftest.rows(table), *rows]
        else:  # opened once, as a run may replace it meanwhile
            rows = [*pq.read_table(BytesIO(table.read_bytes())).to_pylist(), *rows]
    return {Path(row["clip"]).name: row for row in rows}


@pytest.mark.parametrize(
    ("end", "table"),
    [
        (signal.SIGKILL, "clips.parquet"),
        (signal.SIGINT, "clips.csv"),
        pytest.param(signal.SIGTERM, "clips.csv", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_ended_goes_on_and_labels_nothing_twice(
    end: signal.Signals, table: str, tmp_path: Path
) -> None:
    """One clip is too long to end before the run; one table and one index are of all clips."""
    (tmp_path / "clips/day").mkdir(parents=True)
    names = [f"{number}.avi" for number in range(6)]
    for name in names:
        write_clip(tmp_path / "clips/day" / name, 10)
    write_clip(tmp_path / "clips/long.avi", 5000)
    arguments: tuple[str, *tuple[Any, ...]] = (
        "predict_video.py", "-i", "clips", *BUNDLED, "--no-preview", "--table", table,
        "-o", "videos", "--csv", "all.csv", "--page", "pages",
    )  # fmt: skip
    with start_process(*arguments, cwd=tmp_path) as run:
        wait_for(lambda: len(saved(tmp_path / table)) >= 3)
        if end == signal.SIGINT:
            os.killpg(run.pid, end)  # as a terminal does
        else:
            run.send_signal(end)
        said, complained = run.communicate()
    # Those who labelled see that nobody waits any more.
    wait_for(lambda: not alive(group=run.pid))
    before = saved(tmp_path / table)
    assert set(before) < {*names, "long.avi"}
    if end != signal.SIGKILL:
        assert run.returncode == 128 + end
        assert re.search(r": (\d) of 7 clips labelled, \1 of them now; 0 failed\n$", said)
        assert "Traceback" not in complained
    videos = [path for path in (tmp_path / "videos").rglob("*") if path.is_file()]
    assert all(path.suffix == ".mp4" for path in videos)
    assert not [path for path in videos if path.name.startswith(".")]
    written = {path: path.stat().st_mtime_ns for path in videos if f"{path.stem}.avi" in before}
    assert len(written) == len(before)
    assert any(path.stem == "long" for path in videos) == ("long.avi" in before)

    write_clip(tmp_path / "clips/long.avi", 10)
    done = run_script(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"7 of 7 clips labelled, {7 - len(before)} of them now; 0 failed" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert set(saved(tmp_path / table)) == {*names, "long.avi"}
    frames = [(Path(row["clip"]).name, row["frame"]) for row in conftest.rows(tmp_path / "all.csv")]
    expected = [(name, str(frame)) for name in (*names, "long.avi") for frame in range(10)]
    assert sorted(frames) == sorted(expected)
    index = (tmp_path / "pages/index.html").read_text()
    assert all(index.count(f'"day/{name[0]}"') == 1 for name in names)
    assert {path.name for path in tmp_path.iterdir()} == {
        "all.csv", "clips", "pages", "videos", table, f".{table}.lock",
    }  # fmt: skip


def test_a_pipe_in_a_folder_is_not_waited_for_and_any_name_has_a_row(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    write_clip(clips / "a.avi", 5)
    os.mkfifo(clips / "pipe.mp4")
    (clips / "link.mp4").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(clips) + b"/\xff\n'.avi")).write_bytes(b"")
    done = run_script(
        "predict_video.py", "-i", "clips", *BUNDLED, "--table", "t.parquet", cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.startswith("warning: clips/pipe.mp4 is left out: it is a pipe; name it")
    assert "1 of 3 clips labelled, 1 of them now; 2 failed" in done.stdout
    errors = {name: row["error"] or "" for name, row in saved(tmp_path / "t.parquet").items()}
    assert set(errors) == {"a.avi", "link.mp4", "\\udcff\n'.avi"}
    assert errors["a.avi"] == ""
    assert "does not exist" in errors["link.mp4"]
    assert "is not named in UTF-8" in errors["\\udcff\n'.avi"]
