"""`train.py` on videos, tables and layouts that people have, run as a user runs it."""

import json
from pathlib import Path

import pytest
from conftest import COLOURS, TINY, picture, run_script, shared, write_video

from activity.label_file import load_labels

TRAIN = ("train.py", "-d", "clips", *TINY)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of videos, five of each class, and train on it."""
    folder = tmp_path_factory.mktemp("videos")
    for label in COLOURS:
        for seed in range(1, 6):
            pictures = [picture(label, 1000 * seed + number) for number in range(10)]
            write_video(folder / "clips" / label / f"{seed}.avi", pictures, 2)
    done = run_script(*TRAIN, "--errors", "errors.png", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "said").write_text(done.stdout)
    return folder


def test_a_folder_of_videos_trains_a_model(videos: Path) -> None:
    said = (videos / "said").read_text()
    assert "football             5        25       5\n" in said
    assert "of these 15 frames of 3 clips: accuracy by clip 100.0%, by frame 100.0%\n" in said
    record = json.loads((videos / "model/activity.json").read_text())
    assert (record["split"]["test_images"], record["split"]["remarks"]) == (15, [])
    assert len(record["split"]["test_videos"]) == 3
    assert record["test"]["clips"]["clips"] == 3
    assert load_labels(videos / "model/lb.pickle") == sorted(COLOURS)
    trained = ("-m", "model/activity.xml", "-l", "model/lb.pickle")  # and not the bundled one
    clip = ("-i", "clips/tennis/2.avi", "--csv", "2.csv")
    done = run_script("predict_video.py", *trained, *clip, cwd=videos)
    assert "label: tennis" in done.stdout


@pytest.mark.slow
def test_a_table_corrects_a_folder_and_names_what_is_wrong_in_it(videos: Path) -> None:
    """A video of two classes in a folder of one: as it is, and cut by a table."""
    video = videos / "clips/tennis/cut.avi"
    labels = ["tennis"] * 12 + ["football"] * 12
    write_video(video, [picture(label, 9000 + n) for n, label in enumerate(labels)], 2)
    done = run_script(*TRAIN, "-m", "wrong/a.keras", cwd=videos)
    assert done.returncode == 0, done.stderr
    assert " 12 to compute\n" in done.stdout  # those of the new video
    named = json.loads((videos / "wrong/a.json").read_text())["mistakes"]
    of_video = [each for each in named if each["file"].endswith("cut.avi")]
    assert of_video
    assert {each["predicted"] for each in of_video} == {"football"}
    assert min(each["time"] for each in of_video) >= 6
    assert "is tennis, and taken for football" in done.stdout

    (videos / "s.csv").write_text(
        "file,start,end,label\nclips/tennis/cut.avi,0,6,tennis\nclips/tennis/cut.avi,6,,football\n"
    )
    done = run_script(*TRAIN, "--segments", "s.csv", "-m", "right/a.keras", cwd=videos)
    video.unlink()
    assert done.returncode == 0, done.stderr
    named = json.loads((videos / "right/a.json").read_text())["mistakes"]
    assert [each for each in named if each["file"].endswith("cut.avi")] == []


@pytest.mark.slow
def test_real_clips_by_video(tmp_path: Path) -> None:
    """Few as they are, the left-out ones are told apart, and it says what that is worth."""
    base = ("--base", "efficientnet_lite2", "--views", 2)
    done = run_script("train.py", "-d", shared("clips"), *base, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "tennis: of 3 videos 1 is tested, so what is said about videos is a guess" in done.stdout
    record = json.loads((tmp_path / "model/activity.json").read_text())
    assert record["test"]["clips"]["clips"] == 3
    assert record["test"]["clips"]["accuracy"] >= 2 / 3
