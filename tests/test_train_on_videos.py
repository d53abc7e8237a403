"""`train.py` on videos, tables and layouts that people have, run as a user runs it."""

import json
from pathlib import Path

import pytest
from conftest import COLOURS, picture, run_script, shared

from activity.label_file import load_labels
from activity.quiet.opencv import cv2

FAST = ("--base", "efficientnet_lite2", "--views", "0", "-e", "8", "--precision", "float")


def write_film(path: Path, label: str, seed: int, seconds: int = 5) -> None:
    """Write a film of a class, two pictures a second, each of which is another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 2, (128, 96))
    for number in range(2 * seconds):
        writer.write(picture(label, 1000 * seed + number))
    writer.release()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of videos, five of each class, and train on it."""
    folder = tmp_path_factory.mktemp("films")
    for label in COLOURS:
        for seed in range(1, 6):
            write_film(folder / "clips" / label / f"{seed}.avi", label, seed)
    done = run_script("train.py", "-d", "clips", *FAST, "--errors", "errors.png", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (folder / "said").write_text(done.stdout)
    return folder


def test_a_folder_of_videos_trains_a_model(films: Path) -> None:
    said = (films / "said").read_text()
    assert "football             5        25       5\n" in said
    assert "of these 15 frames of 3 clips: accuracy by clip 100.0%, by frame 100.0%\n" in said
    record = json.loads((films / "model/activity.json").read_text())
    assert record["split"]["test_images"] == 15
    assert len(record["split"]["test_videos"]) == 3
    assert record["split"]["remarks"] == []
    assert record["test"]["clips"]["clips"] == 3
    assert load_labels(films / "model/lb.pickle") == sorted(COLOURS)
    done = run_script(
        "predict_video.py", "-i", "clips/tennis/2.avi", "--no-video", "--no-preview", cwd=films
    )
    assert "label: tennis" in done.stdout


def test_the_second_time_nothing_is_computed(films: Path) -> None:
    done = run_script("train.py", "-d", "clips", *FAST, "-m", "again/a.keras", cwd=films)
    assert done.returncode == 0, done.stderr
    assert " 0 to compute\n" in done.stdout


@pytest.mark.slow
def test_a_table_corrects_a_folder_and_names_what_is_wrong_in_it(films: Path) -> None:
    """A film of two classes in a folder of one: as it is, and cut by a table."""
    film = films / "clips/tennis/cut.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 2, (128, 96))
    for number in range(24):
        writer.write(picture("tennis" if number < 12 else "football", 9000 + number))
    writer.release()
    done = run_script("train.py", "-d", "clips", *FAST, "-m", "wrong/a.keras", cwd=films)
    assert done.returncode == 0, done.stderr
    named = json.loads((films / "wrong/a.json").read_text())["mistakes"]
    of_film = [each for each in named if each["file"].endswith("cut.avi")]
    assert of_film
    assert {each["predicted"] for each in of_film} == {"football"}
    assert min(each["time"] for each in of_film) >= 6
    assert "is tennis, and taken for football" in done.stdout

    (films / "s.csv").write_text(
        "file,start,end,label\nclips/tennis/cut.avi,0,6,tennis\nclips/tennis/cut.avi,6,,football\n"
    )
    done = run_script(
        "train.py", "-d", "clips", "--segments", "s.csv", *FAST, "-m", "right/a.keras", cwd=films
    )
    film.unlink()
    assert done.returncode == 0, done.stderr
    assert json.loads((films / "right/a.json").read_text())["mistakes"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--segments", "none.csv"],
            "error: --segments none.csv is not a file; name a table",
        ),
        (
            ["--segments", "x.csv"],
            "error: --segments x.csv has no column 'file'; it needs",
        ),
        (["--labels", "all"], "error: --labels all makes 1 class of data"),
        ([], "error: --labels 'football' is no folder with files below data"),
    ],
)
def test_a_mistake_prints_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "data/pictures").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "data/pictures/1.png"), picture("tennis", 0))
    (tmp_path / "x.csv").write_text("a,b\n")
    done = run_script("train.py", "-d", "data", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("labels", [[], ["--labels", "all"]])
def test_a_table_beside_pictures_is_noticed(tmp_path: Path, labels: list[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/labels.csv").write_text("file,label\n1.jpg,tennis\n")
    done = run_script("train.py", "-d", "data", *labels, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "; if data/labels.csv says which file is what, add --segments data/labels.csv\n"
    )


def test_strict_names_videos_too(tmp_path: Path) -> None:
    for label in COLOURS:
        write_film(tmp_path / "clips" / label / "1.avi", label, 1)
    (tmp_path / "clips/tennis/bad.mp4").write_text("no video")
    done = run_script("train.py", "-d", "clips", "--strict", cwd=tmp_path)
    assert done.returncode == 1
    assert "skipped 'clips/tennis/bad.mp4': holds no frame that can be decoded" in done.stdout
    assert done.stderr == "error: 1 file cannot be decoded (--strict); remove what is named above\n"


@pytest.mark.slow
def test_real_clips_by_video(tmp_path: Path) -> None:
    """Few as they are, the left-out ones are told apart, and it says what that is worth."""
    done = run_script(
        "train.py", "-d", shared("clips"), "--base", "efficientnet_lite2", "--views", 2,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "tennis: of 3 videos 1 is tested, so what is said about videos is a guess" in done.stdout
    record = json.loads((tmp_path / "model/activity.json").read_text())
    assert record["test"]["clips"]["clips"] == 3
    assert record["test"]["clips"]["accuracy"] >= 2 / 3
