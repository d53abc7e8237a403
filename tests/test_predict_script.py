"""`predict_video.py` run as a user runs it."""

import json
import os
import pickle
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
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
    shared,
    wait_for,
    write_clip,
)
from sklearn.preprocessing import LabelBinarizer

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
    path.parent.mkdir(exist_ok=True)
    codec = cv2.VideoWriter.fourcc(*("mp4v" if path.suffix == ".mp4" else "MJPG"))
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, 30000 / 1001, (320, 240))
    for index, label in enumerate(labels):
        writer.write(picture(label, index, (240, 320)))
    writer.release()
    return path


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


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--delay", "1"], "--delay 1 is for --smoothing hmm; the mean looks back only"),
        (["--smoothing", "hmm", "-s", "9"], "--size 9 is for --smoothing mean; leave it out"),
        (
            ["--stride", "0.5"],
            "argument --stride: '0.5' is not a whole number from 1 to 1000000, nor 'auto'",
        ),
    ],
)
def test_options_of_the_other_smoother_are_refused(
    options: list[str], reason: str, tmp_path: Path
) -> None:
    done = run_script("predict_video.py", "-i", "clip.mp4", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"predict_video.py: error: {reason} (see --help)\n"


def test_averaging_removes_the_flicker_and_the_table_says_so(
    trained: Path, clip: Path, tmp_path: Path
) -> None:
    done = run_script(
        "predict_video.py", "-m", trained / "model/activity.xml",
        "-l", trained / "model/lb.pickle", "-i", clip, "--csv", "frames.csv", "-s", 16,
        "--json", "report.json", "--timeline", "timeline.png", cwd=tmp_path,
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
    assert report["settings"] == {
        "smoothing": "mean", "size": 16, "delay": None, "min_probability": 0.0,
        "start": 0.0, "end": None, "stride": 1,
    }  # fmt: skip
    assert report["smoothing"] == table[0]["smoothing"] == "mean of 16"
    assert report["label_changes_a_minute"]["frame_by_frame"] == pytest.approx(
        4 / (60 * 1001 / 30000) * 60, abs=1e-3
    )
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
    # Without -o the video goes to output/ under the name of the clip.
    written = frames(tmp_path / "output" / "tennis.mp4")
    original = frames(clip)
    assert len(written) == len(original)
    for one, other in zip(written, original, strict=True):
        assert np.abs(one[120:].astype(int) - other[120:]).mean() < 12  # the same picture
        assert one[14:44, 7:90].mean() < other[14:44, 7:90].mean()  # with a label in its corner


def test_several_clips_and_a_bad_one_among_them(trained: Path, tmp_path: Path) -> None:
    """The model is loaded once, a bad clip is named, the others are done, the exit code says so."""
    for label in ("tennis", "football"):
        write_pictures(tmp_path / "clips" / f"{label}.avi", [label] * 12)
    (tmp_path / "clips" / "broken.mp4").write_text("no video")
    (tmp_path / "clips" / "notes.txt").write_text("no video by its name")
    write_pictures(tmp_path / "tennis.mp4", ["tennis"] * 8)
    arguments = (
        "predict_video.py", "-m", trained / "model/activity.xml", "--no-preview",
        "-l", trained / "model/lb.pickle", "-i", "clips", "*.mp4", "missing.avi",
        "-o", "videos", "--json", "reports",
    )  # fmt: skip
    done = run_script(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: --input clips/broken.mp4 holds no frame that can be decoded; is it a video?",
        "error: --input missing.avi does not exist; name a video file",
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
    done = run_script(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("exists; add --overwrite, or choose another name") == 3
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    done = run_script(*arguments, "--overwrite", cwd=tmp_path)
    assert done.stderr.count("\n") == 2
    assert len(done.stdout.splitlines()) == 4


def test_a_folder_of_clips_becomes_two_tables_and_no_video(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name, count in (("a", 6), ("b", 4)):
        write_clip(tmp_path / "clips" / f"{name}.avi", frames=count)
    (tmp_path / "clips" / "c.mp4").write_text("no video")
    arguments = (
        "predict_video.py", *BUNDLED, "--no-preview", "-i", "clips", "--no-video",
        "--csv", "all.csv", "--summary", "clips.csv",
    )  # fmt: skip
    done = run_script(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    fault = "clips/c.mp4 holds no frame that can be decoded; is it a video?"
    assert done.stderr == f"error: --input {fault}\n"
    assert [line.split()[-1] for line in done.stdout.splitlines()[1:]] == ["-", "-"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.csv", "clips", "clips.csv"]
    table = rows(tmp_path / "all.csv")
    assert [(row["clip"], int(row["frame"])) for row in table] == [
        (f"clips/{name}.avi", number) for name, count in (("a", 6), ("b", 4))
        for number in range(count)
    ]  # fmt: skip
    one, other, broken = rows(tmp_path / "clips.csv")
    assert [(row["clip"], row["frames"], row["end_s"]) for row in (one, other)] == [
        ("clips/a.avi", "6", "0.240"), ("clips/b.avi", "4", "0.160"),
    ]  # fmt: skip
    # With few frames the mean of the clip is the last mean of its frames.
    for row, last in ((one, table[5]), (other, table[9])):
        assert row["label"] == last["label"]
        for label in COLOURS:
            assert float(row[f"p_{label}"]) == pytest.approx(float(last[f"p_{label}"]), abs=2e-6)
        assert row["remarks"] == row["video"] == ""
    assert (broken["clip"], broken["label"]) == ("clips/c.mp4", "")
    assert broken["remarks"] == fault
    # Neither table is replaced without being asked.
    for option, name in (("--csv", "all.csv"), ("--summary", "clips.csv")):
        (tmp_path / {"all.csv": "clips.csv", "clips.csv": "all.csv"}[name]).unlink(missing_ok=True)
        done = run_script(*arguments, cwd=tmp_path)
        assert done.stderr == (
            f"error: {option} {name} exists; add --overwrite, or choose another name\n"
        )
        (tmp_path / {"all.csv": "clips.csv", "clips.csv": "all.csv"}[name]).touch()


def test_a_folder_of_class_folders_is_labelled_and_said_to_be_one(tmp_path: Path) -> None:
    for name, count in (("a", 6), ("b", 4)):
        (tmp_path / "clips" / name).mkdir(parents=True)
        write_clip(tmp_path / "clips" / name / "1.avi", frames=count)
    arguments = (
        "predict_video.py", *BUNDLED, "--no-preview", "-i", "clips", "--overwrite",
        "--summary", "clips.csv",
    )  # fmt: skip
    done = run_script(*arguments, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ("note: clips holds no video itself; 2 were found in folders below it\n")
    assert [(row["clip"], row["frames"], row["video"]) for row in rows(tmp_path / "clips.csv")] == [
        ("clips/a/1.avi", "6", "output/1.mp4"), ("clips/b/1.avi", "4", "output/1-2.mp4"),
    ]  # fmt: skip
    done = run_script(*arguments, "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_report_alone_is_that_of_the_video(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi", frames=12)
    common = ("predict_video.py", *BUNDLED, "--no-preview", "-i", clip, "--csv")
    for name, more in (("with.csv", ["-o", "v.mp4"]), ("without.csv", ["--no-video"])):
        done = run_script(*common, name, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "with.csv").read_bytes() == (tmp_path / "without.csv").read_bytes()
    assert done.stdout.startswith(f"{clip}: 12 frames, ")


def test_numbered_pictures_are_one_clip(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(8, 12):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), picture("tennis", number))
    for source in ("frames/*.png", "frames/%d.png"):
        done = run_script(
            "predict_video.py", *BUNDLED, "--no-preview", "-i", source, "--fps", 4,
            "--csv", "t.csv", "--overwrite", cwd=tmp_path,
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


def test_names_of_files_cannot_fake_a_line_or_move_the_cursor(
    trained: Path, tmp_path: Path
) -> None:
    evil = "\x1b[2J\rerror: no.avi\n=cmd()"
    write_clip(tmp_path / "clips.avi", frames=3)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / f"{evil}.avi").write_bytes((tmp_path / "clips.avi").read_bytes())
    (tmp_path / "clips" / f"broken {evil}\udcff.avi").touch()
    done = run_script(
        "predict_video.py", "-m", trained / "model/activity.xml", "--no-preview",
        "-l", trained / "model/lb.pickle", "-i", "clips", "--json", "reports",
        "--timeline", "timelines", "--csv", "tables", cwd=tmp_path,
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


def test_a_part_of_a_clip_every_third_frame_classified(
    trained: Path, clip: Path, tmp_path: Path
) -> None:
    """Held frames repeat the last prediction; all numbers count from the beginning of the clip."""
    for name, more in {"all": [], "third": ["--stride", 3]}.items():
        done = run_script(
            "predict_video.py", "-m", trained / "model/activity.xml", "--no-preview",
            "-l", trained / "model/lb.pickle", "-i", clip, "-o", f"{name}.avi", "-s", 1, *more,
            "--csv", f"{name}.csv", "--json", f"{name}.json", "--timeline", f"{name}.png",
            "--start", 1.0, "--end", 1.5, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "15 frames" in done.stdout
        assert done.stderr == ""
    every, third = rows(tmp_path / "all.csv"), rows(tmp_path / "third.csv")
    assert [int(row["frame"]) for row in every] == list(range(30, 45))
    assert [row["raw_label"] for row in every].index("football") == 10
    for index, row in enumerate(third):
        classified = every[index - index % 3]
        assert (row["frame"], row["time_s"]) == (every[index]["frame"], every[index]["time_s"])
        assert row["raw_label"] == classified["raw_label"]
        assert float(row["raw_probability"]) == pytest.approx(
            float(classified["raw_probability"]), abs=1e-5
        )
    assert len(frames(tmp_path / "third.avi")) == 15
    segments = json.loads((tmp_path / "third.json").read_text())["segments"]
    assert segments[0]["start"] == pytest.approx(1.001)
    assert segments[-1]["end"] == pytest.approx(1.5015, abs=1e-3)


def test_below_the_least_probability_the_label_is_uncertain(
    trained: Path, clip: Path, tmp_path: Path
) -> None:
    """The threshold is between the averaged probabilities of an undisturbed run."""

    def label(name: str, *more: object) -> str:
        done = run_script(
            "predict_video.py", "-m", trained / "model/activity.xml", "--no-preview",
            "-l", trained / "model/lb.pickle", "-i", clip, "-s", 4, "--csv", f"{name}.csv",
            "-o", f"{name}.avi", "--timeline", f"{name}.svg", *more, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    label("free")
    free = [float(row["probability"]) for row in rows(tmp_path / "free.csv")]
    least = (min(free) + max(free)) / 2
    stdout = label("strict", "--min-probability", least, "--top", 3)
    strict = rows(tmp_path / "strict.csv")
    assert [row["label"] == "uncertain" for row in strict] == [value < least for value in free]
    assert [float(row["probability"]) for row in strict] == free
    share = sum(value < least for value in free) / len(free)
    assert 0 < share < 1
    assert f"uncertain {share:.1%}" in stdout
    assert "whole clip: tennis" in stdout


def test_quiet_prints_errors_only(trained: Path, clip: Path, tmp_path: Path) -> None:
    done = run_script(
        "predict_video.py", "-m", trained / "model/activity.xml", "--quiet",
        "-l", trained / "model/lb.pickle", "-i", clip, tmp_path, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("is a folder without a video; name one with some\n")
    done = run_script(
        "predict_video.py", "-m", trained / "model/activity.xml", "--quiet",
        "-l", trained / "model/lb.pickle", "-i", clip, "missing.mp4", cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: --input missing.mp4 does not exist; name a video file\n"
    assert len(frames(tmp_path / "output" / "tennis.mp4")) == 60


def test_without_a_display_the_preview_is_off(trained: Path, clip: Path, tmp_path: Path) -> None:
    arguments = (
        "predict_video.py", "-m", trained / "model/activity.xml",
        "-l", trained / "model/lb.pickle", "-i", clip, "--overwrite", "--end", 0.2,
    )  # fmt: skip
    line = "preview off: no window can be opened here"
    for environment in ({}, {"DISPLAY": ":987"}):
        done = run_process(*arguments, cwd=tmp_path, **environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(line) == 1
    done = run_process(*arguments, "--no-preview", cwd=tmp_path)
    assert line not in done.stdout


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_a_signal_finishes_the_video(tmp_path: Path, number: int, code: int) -> None:
    clip = write_clip(tmp_path / "long.avi", frames=3000)
    process = subprocess.Popen(
        [
            sys.executable, ROOT / "predict_video.py", *BUNDLED, "-i", clip, "--no-preview",
            "-o", "cut.avi", "--csv", "cut.csv",
        ],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: any(p.read_text().count("\n") > 40 for p in tmp_path.glob(".cut.*.csv")))
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    assert "ended before the end of the clip" in stdout
    count = len(rows(tmp_path / "cut.csv"))
    assert 40 <= count < 3000
    assert len(frames(tmp_path / "cut.avi")) == count
    assert f"cut.avi: {count} frames" in stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.avi", "cut.csv", "long.avi"]


def test_a_signal_while_the_model_loads_writes_nothing(trained: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi")
    process = subprocess.Popen(
        [
            sys.executable, "-c",
            "import os, signal, sys, activity.prediction.classifier as engine\n"
            "load = engine.load_engine\n"
            "def interrupted(*arguments):\n"
            "    os.kill(os.getpid(), signal.SIGINT)\n"
            "    return load(*arguments)\n"
            "engine.load_engine = interrupted\n"
            "sys.argv = sys.argv[1:]; import runpy\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')",
            ROOT / "predict_video.py", "-m", trained / "model/activity.xml",
            "-l", trained / "model/lb.pickle", "-i", clip, "-o", tmp_path / "out.avi",
        ],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.avi"]


def test_more_frames_claimed_than_decoded_are_reported(tmp_path: Path) -> None:
    content = bytearray(write_clip(tmp_path / "clip.avi", frames=30).read_bytes())
    for place in (content.index(b"avih") + 24, content.index(b"strh") + 40):  # in both headers
        struct.pack_into("<I", content, place, 40)
    (tmp_path / "clip.avi").write_bytes(content)
    done = run_script("predict_video.py", *BUNDLED, "-o", "out.mp4", "-i", "clip.avi", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "warning: clip.avi: decoded 30 frames, the file claims 40, 25% are missing\n"
    )
    assert len(frames(tmp_path / "out.mp4")) == 30


def test_filmed_upright_is_written_upright(trained: Path, tmp_path: Path) -> None:
    done = run_script(
        "predict_video.py", "-m", trained / "model/activity.xml",
        "-l", trained / "model/lb.pickle", "-o", "out.mp4",
        "-i", shared("clips/broken/rotated_90_metadata.mp4"), "--end", 0.2, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert frames(tmp_path / "out.mp4")[0].shape == (1280, 544, 3)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "the following arguments are required: -i/--input"),
        (
            ["-i", "clip.avi", "-s", "0"],
            2,
            "'0' is not a whole number from 1 to 1000000",
        ),
        (["-i", "clip.avi", "--batch-size", "2"], 2, "unrecognized arguments: --batch-size 2"),
        (["-i", "clip.avi", "--no-preview", "--realtime"], 2, "not allowed with argument"),
        (["-i", "http://127.0.0.1:9/none"], 1, "http://127.0.0.1:9/none gives no frame"),
        (["-i", "97"], 1, "--input 97 gives no frame"),
        (["-i", "missing.mp4"], 1, "--input missing.mp4 does not exist"),
        (["-i", "missing.mp4", "--fps", "5"], 1, "--fps 5 is the rate of numbered pictures; name"),
        (["-i", "frames"], 1, "frames is a folder of pictures; name them as 'frames/*.png'"),
        (["-i", "frames/%02d.png"], 1, "--input frames/%02d.png does not exist"),
        (["-i", "clip.avi", "--no-video", "-o", "a.mp4"], 2, "not allowed with argument"),
        (["-i", "clip.avi", "--csv", "a.csv", "--summary", "a.csv"], 1, "are the same file"),
        (["-i", "model"], 1, "--input model is a folder without a video"),
        (["-i", "*.webm"], 1, "--input *.webm matches no file"),
        (["-i", "clip.avi", "--start", "3", "--end", "3"], 2, "--end 3 is not after --start 3"),
        (
            ["-i", "clip.avi", "--start", "2"],
            1,
            "clip.avi has no frame at 2 s; begin earlier",
        ),
        (["-i", "clip.avi", "--min-probability", "2"], 2, "'2' is not a number from 0 to 1"),
        (["-i", "clip.avi", "--stride", "0"], 2, "'0' is not a whole number from 1 to"),
        (
            ["-i", "clip.avi", "-s", "9" * 30],
            2,
            "is not a whole number from 1 to 1000000",
        ),
        (["-i", "clip.avi", "--start", "1e300"], 2, "is not a number from 0 to 1e+06"),
        (["-i", "clip.avi", "--start", "999999"], 1, "has no frame at 999999 s; begin"),
        (["-i", "clip.avi", "--top", "0"], 2, "'0' is not a whole number from 1 to 100"),
        (["-i", "clip.avi", "--csv", "kept.csv"], 1, "--csv kept.csv exists; add --overwrite"),
        (
            ["-i", "clip.avi", "clip.avi", "-o", "o.avi"],
            1,
            "--output o.avi is one file for several",
        ),
        (["-i", "\udcff.avi"], 1, r"--input \udcff.avi is not named in UTF-8"),
        (["-i", "clip.avi", "-o", "\udcff.avi"], 2, r"'\udcff.avi' is not the name of a file"),
        (["-i", "two.pickle"], 1, "holds no frame that can be decoded"),
        (["-i", "clip.avi", "-o", "out.mkv"], 1, "choose a name ending in .mp4 or .avi"),
        (["-i", "clip.avi", "-o", "clip.avi"], 1, "--input and --output are the same file"),
        (["-i", "clip.avi", "--csv", "clip.avi"], 1, "--input and --csv are the same file"),
        (["-i", "clip.avi", "--csv", "folder.csv"], 1, "--csv folder.csv is a folder"),
        (["-i", "clip.avi", "--timeline", "t.gif"], 1, "ending in .png, .pdf or .svg"),
        (["-i", "clip.avi", "--csv", "a", "--json", "a"], 1, "--csv and --json are the same file"),
        (["-i", "clip.avi", "-m", "none"], 1, "--model none is not a file"),
        (["-i", "clip.avi", "-m", "clip.avi"], 1, "was not written by this version of train.py"),
        (["-i", "clip.avi", "-m", "xml.xml"], 1, "was not written by this version of train.py"),
        (["-i", "clip.avi", "--no-preview"], 1, "activity.bin is missing); train it again"),
        (["-i", "clip.avi", "-l", "none"], 1, "--label-bin none is not a file"),
        (["-i", "none", "-l", "none"], 1, "--label-bin none is not a file"),
        (["-i", "clip.avi", "-l", "clip.avi"], 1, "is not a pickled LabelBinarizer"),
        (
            ["-i", "clip.avi", "-l", "two.pickle"],
            1,
            "two.pickle holds the classes a, b, and",
        ),
        (
            ["-i", "clip.avi", "-l", "other.pickle"],
            1,
            "classes a, b, c, and the model football",
        ),
    ],
)
def test_a_mistake_prints_one_line(
    arguments: list[str], code: int, message: str, trained: Path, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.avi")
    (tmp_path / "kept.csv").touch()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "one.png").touch()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "activity.xml").symlink_to(trained / "model" / "activity.xml")
    (tmp_path / "xml.xml").write_text("<net></net>")
    (tmp_path / "model" / "lb.pickle").symlink_to(trained / "model" / "lb.pickle")
    (tmp_path / "two.pickle").write_bytes(pickle.dumps(LabelBinarizer().fit(["a", "b"])))
    (tmp_path / "other.pickle").write_bytes(pickle.dumps(LabelBinarizer().fit(["a", "b", "c"])))
    before = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    done = run_script("predict_video.py", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == before


def test_help_is_there_without_tensorflow() -> None:
    """No heavy import before the arguments are checked: `--help` works where there is none."""
    blocker = (
        "import sys; sys.modules |= dict.fromkeys(['tensorflow', 'keras', 'openvino', 'sklearn'])"
    )
    for script in ("train.py", "predict_video.py"):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                f"{blocker}; sys.argv = ['{script}', '--help'];"
                f"import runpy; runpy.run_path('{script}', run_name='__main__')",
            ],
            cwd=ROOT, capture_output=True, text=True, env=os.environ,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "--label-bin" in done.stdout


def test_an_openvino_model_needs_neither_tensorflow_nor_scikit_learn(
    trained: Path, clip: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules |= dict.fromkeys(['tensorflow', 'keras', 'sklearn', 'nncf']);"
            "sys.argv = sys.argv[1:]; import runpy;"
            "runpy.run_path(sys.argv[0], run_name='__main__')",
            "predict_video.py", "-m", trained / "model/activity.xml",
            "-l", trained / "model/lb.pickle", "-i", clip, "-o", tmp_path / "out.avi",
        ],
        cwd=ROOT, capture_output=True, text=True, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "whole clip: tennis" in done.stdout


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
