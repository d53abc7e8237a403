"""`predict_video.py` run as a user runs it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from signal import SIGINT, SIGTERM

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import (
    BUNDLED,
    COLOURS,
    ROOT,
    frames,
    picture,
    rows,
    run_process,
    run_script,
    start_process,
    wait_for,
    write_clip,
    write_video,
)

from activity.quiet.opencv import cv2
from activity.training.calibration import tempered
from activity.video.reader import VideoReader


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a clip of 60 tennis pictures with 2 football pictures among them."""
    labels = ["football" if index in (40, 45) else "tennis" for index in range(60)]
    return write_pictures(tmp_path_factory.mktemp("clips") / "tennis.mp4", labels)


def write_pictures(path: Path, labels: Sequence[str]) -> Path:
    """Write a clip with a picture of a class in each frame."""
    pictures = (picture(label, index, (240, 320)) for index, label in enumerate(labels))
    return write_video(path, pictures, 30000 / 1001)


def predict(folder: Path, model: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run the script in a folder, with the model in another one."""
    files = ("-m", model / "activity.xml", "-l", model / "lb.pickle")
    return run_script("predict_video.py", *files, "--no-preview", *arguments, cwd=folder)


@pytest.fixture
def model(trained: Path) -> Path:
    return trained / "model"


@pytest.mark.parametrize(
    "command",
    [
        "--model model/activity.model --label-bin model/lb.pickle "
        "--input example_clips/tennis.mp4 --output output/tennis_1frame.avi --size 1",
        "-m model/activity.xml -l model/lb.pickle -i example_clips/tennis.mp4 "
        "-o output/tennis_128avg.avi -s 128",
    ],
)
def test_the_tutorials_command_lines(command: str, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(trained / "model")
    write_pictures(tmp_path / "example_clips" / "tennis.mp4", ["tennis"] * 20)
    output = command.split()[7]
    done = run_script("predict_video.py", *command.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with VideoReader(tmp_path / output) as reader:
        assert reader.format.fps == pytest.approx(29.97, abs=0.001)
        assert sum(1 for _ in reader) == 20
    assert f"{output}: 20 frames" in done.stdout


def test_averaging_removes_the_flicker_and_the_table_says_so(
    model: Path, clip: Path, tmp_path: Path
) -> None:
    done = predict(
        tmp_path, model, "-i", clip, "-o", "output/tennis.mp4", "--csv", "frames.csv", "-s", 16,
        "--json", "report.json", "--timeline", "timeline.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    table = rows(tmp_path / "frames.csv")
    assert [int(row["frame"]) for row in table] == list(range(60))
    assert {row["label"] for row in table} == {"tennis"}
    assert [int(row["frame"]) for row in table if row["raw_label"] == "football"] == [40, 45]
    assert float(table[30]["time_s"]) == pytest.approx(30 * 1001 / 30000, abs=1e-3)
    for row in table:
        averaged = {label: float(row[f"p_{label}"]) for label in COLOURS}
        assert sum(averaged.values()) == pytest.approx(1, abs=1e-5)
        assert max(averaged, key=averaged.__getitem__) == row["label"]
        assert averaged[row["label"]] == float(row["probability"])
    assert "label changes: 4 frame by frame, 0 by mean of 16 (" in done.stdout
    assert "frames per label: tennis 100.0%" in done.stdout
    assert "whole clip: tennis, mean probability 0." in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["clip"]["frames_decoded"] == report["clip"]["frames_claimed"] == 60
    assert (report["clip"]["width"], report["clip"]["height"]) == (320, 240)
    # OpenCV, which wrote the clip, rounds its frame rate to three decimals.
    assert report["clip"]["fps"] == pytest.approx(29.97, rel=1e-9)
    assert report["smoothing"] == table[0]["smoothing"] == "mean of 16"
    rate = 4 / (1001 / 30000)
    assert report["label_changes_per_minute"]["frame_by_frame"] == pytest.approx(rate, abs=1e-3)
    assert report["outputs"]["timeline"] == "timeline.png"
    assert report["model"]["labels"] == list(COLOURS)
    assert report["frames"] == 60
    assert report["share_of_frames"] == {"tennis": 1.0}
    assert report["label_changes"] == {"frame_by_frame": 4, "smoothed": 0}
    (segment,) = report["segments"]
    mean = np.mean([float(row["probability"]) for row in table])
    assert segment == {
        "label": "tennis", "start": 0.0, "end": 2.002, "frames": 60,
        "mean_probability": pytest.approx(mean, abs=2e-6),
    }  # fmt: skip
    whole_clip = report["whole_clip"]["mean_probabilities"]
    assert sum(whole_clip.values()) == pytest.approx(1, abs=1e-5)
    assert f"whole clip: tennis, mean probability {whole_clip['tennis']:.3f}" in done.stdout
    assert cv2.imread(str(tmp_path / "timeline.png")) is not None
    written = frames(tmp_path / "output" / "tennis.mp4")
    original = frames(clip)
    assert len(written) == len(original)
    for one, other in zip(written, original, strict=True):
        assert np.abs(one[120:].astype(int) - other[120:]).mean() < 12  # the same picture
        assert one[14:44, 7:90].mean() < other[14:44, 7:90].mean()  # with a label in its corner


def test_several_clips_and_a_bad_one_among_them(model: Path, tmp_path: Path) -> None:
    """The model is loaded once, a bad clip is named, the others are done, the exit code says so."""
    for label in ("tennis", "football"):
        write_pictures(tmp_path / "clips" / f"{label}.avi", [label] * 12)
    (tmp_path / "clips" / "broken.mp4").write_text("no video")
    (tmp_path / "clips" / "notes.txt").write_text("no video by its name")
    write_pictures(tmp_path / "tennis.mp4", ["tennis"] * 8)
    arguments = ("-i", "clips", "*.mp4", "missing.avi", "-o", "videos", "--json", "reports")
    done = predict(tmp_path, model, *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "note: passed over in clips: files that are no videos or pictures: 1 (notes.txt)",
        "error: clips/broken.mp4 holds no frame that can be decoded; is it a video?",
        "error: missing.avi does not exist; name a video file",
    ]
    head, *lines = (line.split() for line in done.stdout.splitlines())
    assert head[:3] == ["clip", "label", "probability"]
    assert [(line[0], line[1], line[5], line[7]) for line in lines] == [
        ("clips/football.avi", "football", "12", "videos/football.mp4"),
        ("clips/tennis.avi", "tennis", "12", "videos/tennis.mp4"),
        ("tennis.mp4", "tennis", "8", "videos/tennis-2.mp4"),
    ]
    for _, label, _, _, _, count, _, video in lines:
        assert len(frames(tmp_path / video)) == int(count)
        report = json.loads((tmp_path / "reports" / f"{Path(video).stem}.json").read_text())
        assert report["whole_clip"]["label"] == label
    # A second time nothing is replaced, and said for each clip.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = predict(tmp_path, model, *arguments)
    assert done.returncode == 1
    assert done.stderr.count("exists; add --overwrite, or choose another name") == 3
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    done = predict(tmp_path, model, *arguments, "--overwrite")
    assert done.stderr.count("\n") == 3
    assert len(done.stdout.splitlines()) == 4


def test_a_folder_of_clips_becomes_two_tables_and_no_video(tmp_path: Path) -> None:
    for name, count in (("a", 6), ("b/a", 4)):
        (tmp_path / "clips" / name).parent.mkdir(exist_ok=True, parents=True)
        write_clip(tmp_path / "clips" / f"{name}.avi", frames=count)
    (tmp_path / "clips" / "c.mp4").write_text("no video")
    arguments = ("-i", "clips", "--csv", "all.csv", "--table", "clips.csv", "--ask", 2, "ask")
    done = predict(tmp_path, ROOT / "model", *arguments)
    assert done.returncode == 1
    fault = f"{tmp_path}/clips/c.mp4 holds no frame that can be decoded; is it a video?"
    assert done.stderr == f"error: {fault}\n"
    head, *lines, asked, last = done.stdout.splitlines()
    assert head.startswith("clip ")
    assert [line.split()[-1] for line in lines] == ["-", "-"]
    assert asked.startswith(f"{tmp_path}/ask: 2 frames (there are no more, at one per second) of 2")
    assert last == f"{tmp_path}/clips.csv: 2 of 3 clips labelled, 2 of them now; 1 failed"
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"all.csv", "ask", "clips", "clips.csv", ".clips.csv.lock"}
    names = [f"{tmp_path}/clips/{name}.avi" for name in ("a", "b/a")]
    found: dict[str, list[dict[str, str]]] = {name: [] for name in names}
    for row in rows(tmp_path / "all.csv"):
        found[row["clip"]].append(row)
    one, other, broken = rows(tmp_path / "clips.csv")
    assert [(row["clip"], row["frames"], row["end_s"]) for row in (one, other)] == [
        (names[0], "6", "0.24"), (names[1], "4", "0.16"),
    ]  # fmt: skip
    for row in (one, other):
        assert [int(each["frame"]) for each in found[row["clip"]]] == [*range(int(row["frames"]))]
    assert (broken["clip"], broken["label"]) == (f"{tmp_path}/clips/c.mp4", "")
    assert broken["error"] == fault


def test_a_row_says_what_the_report_of_a_plain_run_says(model: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "a.mp4", ["tennis"] * 9 + ["football"] * 6 + ["tennis"] * 3)
    options = ("-i", "a.mp4", "-s", 2, "--smoothing", "mean", "--json")
    for more in (["plain.json"], ["r.json", "--table", "t.parquet"]):
        assert predict(tmp_path, model, *options, *more).returncode == 0
    record, other = (json.loads((tmp_path / name).read_text()) for name in ("plain.json", "r.json"))
    [row] = pq.read_table(tmp_path / "t.parquet").to_pylist(maps_as_pydicts="strict")
    assert row["segments"] == record["segments"] == other["segments"]
    assert len(row["segments"]) == 3
    means = record["whole_clip"]["mean_probabilities"]
    assert row["mean_probabilities"] == pytest.approx(means, abs=1e-6)
    assert row["probability"] == pytest.approx(max(means.values()), abs=1e-6)
    assert json.loads(row["settings"]) == record["settings"] == other["settings"]
    rates = (row["raw_changes_per_minute"], row["changes_per_minute"])
    assert rates == pytest.approx(tuple(record["label_changes_per_minute"].values()), abs=1e-3)
    assert (row["raw_changes"], row["smoothed_changes"]) == tuple(record["label_changes"].values())
    facts = ("label", "frames", "frames_decoded", "frames_claimed", "smoothing")
    assert [row[fact] for fact in facts] == [
        (record | record["clip"] | record["whole_clip"])[fact] for fact in facts
    ]
    assert row["outputs"] == {"json": str(tmp_path / "r.json")}


def test_numbered_pictures_are_one_clip(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(8, 12):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), picture("tennis", number))
    for source in ("frames/*.png", "frames/%d.png"):
        done = predict(
            tmp_path, ROOT / "model", "-i", source, "--fps", 4, "--csv", "t.csv", "--overwrite",
            "-o", "output/frames.mp4",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("output/frames.mp4: 4 frames")
        table = rows(tmp_path / "t.csv")
        assert [row["time_s"] for row in table] == ["0.000", "0.250", "0.500", "0.750"]
        with VideoReader(tmp_path / "output" / "frames.mp4") as reader:
            written = [(frame.time, frame.picture[60:]) for frame in reader]
        for (time, shown), number in zip(written, range(8, 12), strict=True):
            assert time == (number - 8) / 4
            assert np.abs(shown.astype(int) - picture("tennis", number)[60:]).mean() < 12


def test_names_of_files_cannot_fake_a_line_or_move_the_cursor(tmp_path: Path) -> None:
    evil = "\x1b[2J\rerror: no.avi\n=cmd()"
    write_clip(tmp_path / "clips.avi", frames=3)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / f"{evil}.avi").write_bytes((tmp_path / "clips.avi").read_bytes())
    (tmp_path / "clips" / f"broken {evil}\udcff.avi").touch()
    done = predict(
        tmp_path, ROOT / "model", "-i", "clips", "--json", "reports", "--timeline", "timelines",
        "--csv", "tables",
    )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert len(done.stderr.splitlines()) == 1
    for line in (*done.stdout.split("\n"), *done.stderr.split("\n")):
        assert line.isprintable()
    assert r"clips/\x1b[2J\rerror: no.avi\n=cmd().avi" in done.stdout
    for folder, ending in {"reports": "json", "timelines": "png", "tables": "csv"}.items():
        assert [path.name for path in (tmp_path / folder).iterdir()] == [f"{evil}.{ending}"]
    (report,) = (tmp_path / "reports").iterdir()
    assert json.loads(report.read_text())["clip"]["input"] == f"clips/{evil}.avi"


def test_quiet_prints_errors_only(clip: Path, tmp_path: Path) -> None:
    for more, error in (
        ([tmp_path], f"--input {tmp_path} holds no videos or pictures; name others"),
        (["missing.mp4"], "missing.mp4 does not exist; name a video file"),
        (["missing.mp4", "--table", "t.csv"], f"{tmp_path}/missing.mp4 does not exist; name a vid"),
    ):
        done = predict(tmp_path, ROOT / "model", "--quiet", "--overwrite", "-i", clip, *more)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: {error}")
        assert done.stderr.count("\n") == 1
    assert len(frames(tmp_path / "output" / "tennis.mp4")) == 60


def test_without_a_display_the_preview_is_off(clip: Path, tmp_path: Path) -> None:
    arguments = ("predict_video.py", *BUNDLED, "-i", clip, "--overwrite", "--end", 0.2)
    line = "preview off: no window can be opened here"
    for environment in ({}, {"DISPLAY": ":987"}):  # a process says it only once
        done = run_process(*arguments, cwd=tmp_path, **environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(line) == 1
    assert line not in run_script(*arguments, "--no-preview", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(SIGINT, 130, marks=pytest.mark.slow), (SIGTERM, 143)]
)
def test_a_signal_finishes_the_video(tmp_path: Path, number: int, code: int) -> None:
    clip = write_clip(tmp_path / "long.avi", frames=3000)
    outputs = ("--no-preview", "-o", "cut.avi", "--csv", "cut.csv")
    process = start_process("predict_video.py", *BUNDLED, "-i", clip, *outputs, cwd=tmp_path)
    wait_for(lambda: any(p.read_text().count("\n") > 40 for p in tmp_path.glob(".cut.*.csv")))
    process.send_signal(number)
    stdout, stderr = process.communicate()
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    assert "ended before the end of the clip" in stdout
    count = len(rows(tmp_path / "cut.csv"))
    assert 40 <= count < 3000
    assert len(frames(tmp_path / "cut.avi")) == count
    assert f"cut.avi: {count} frames" in stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.avi", "cut.csv", "long.avi"]


def test_a_signal_while_the_model_loads_writes_nothing(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi")
    first = """
import activity.prediction.classifier as module, os, signal
load = module.load_engine
module.load_engine = lambda *given: os.kill(os.getpid(), signal.SIGINT) or load(*given)
"""
    options = ("-i", clip, "-o", tmp_path / "out.avi")
    done = run_process("predict_video.py", *BUNDLED, *options, first=first)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.avi"]


@pytest.mark.parametrize(
    ("script", "packages", "line"),
    [
        ("train.py", ["tensorflow", "keras", "openvino", "sklearn"], "--label-bin"),
        ("predict_video.py", ["tensorflow", "keras", "openvino", "sklearn"], "--label-bin"),
        ("predict_video.py", ["tensorflow", "keras", "sklearn", "nncf"], "clip: tennis"),
    ],
)
def test_what_is_not_needed_is_not_imported(
    script: str, packages: list[str], line: str, tmp_path: Path
) -> None:
    """`--help` works without anything heavy, and an OpenVINO model without what trains."""
    clip = ROOT / "example_clips/tennis.mp4"
    options = ("-i", clip, "-o", tmp_path / "o.avi") if "nncf" in packages else ("--help",)
    first = f"import sys; sys.modules |= dict.fromkeys({packages})"
    done = run_process(script, *options, first=first)
    assert done.returncode == 0, done.stderr
    assert line in done.stdout


def test_int8_runs_where_the_processor_has_no_int8_instructions(trained: Path) -> None:
    """Without VNNI and AVX-512; processors without them have no bfloat16, either."""
    program = """
import sys, numpy, openvino
compiled = openvino.Core().compile_model(sys.argv[1], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
images = numpy.random.default_rng(0).integers(0, 256, (4, 1, 224, 224, 3), numpy.uint8)
print(*(value for image in images for value in compiled(image)[0][0]))
"""
    outputs = []
    for limit in ("DEFAULT", "AVX2"):
        done = subprocess.run(
            [sys.executable, "-c", program, trained / "model/activity.xml"],
            capture_output=True, text=True, env=os.environ | {"ONEDNN_MAX_CPU_ISA": limit},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        outputs.append(np.array(done.stdout.split(), float).reshape(4, -1))
    # Before calibration, whose temperature makes differences larger or smaller.
    record = json.loads((trained / "model/activity.json").read_text())
    temperature = record["calibration"]["temperature"]
    default, limited = (tempered(found, 1 / temperature) for found in outputs)
    assert default == pytest.approx(limited, abs=0.01)
    assert np.ptp(default) > 0.1
