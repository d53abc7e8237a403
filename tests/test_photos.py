"""Single photos: a label for each, in every output, as for a clip of one frame."""

import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import (
    BUNDLED,
    ROOT,
    frames,
    picture,
    rows,
    run_script,
    start_process,
    wait_for,
    write_clip,
)
from PIL import Image

from activity.pictures import read_image
from activity.quiet.opencv import cv2
from activity.video.sources import OWN_MARK

LABELS = ("football", "tennis", "weight_lifting")
LONG = ("--no-preview", *BUNDLED)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Make a folder with photos of several kinds, one of them lying on its side, and below it."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    upright = Image.fromarray(picture("tennis", 0, (180, 240))[..., ::-1])
    upright.save(folder / "a.jpg", quality=95)
    upright.save(folder / "more/c.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(folder / "b.jpg", quality=95, exif=exif)
    return folder


def run(folder: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run_script("predict_video.py", *arguments, *LONG, cwd=folder.parent)
    assert done.returncode == code, done.stderr
    return done


def test_a_folder_gives_a_line_a_row_and_a_picture_for_each(photos: Path) -> None:
    output = photos.parent / "output"
    done = run(photos, "-i", "photos", "-o", "output", "--csv", "labels.csv", "--json", "json")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["photo", "label", "probability", "output"]
    table = rows(photos.parent / "labels.csv")
    names = ["photos/a.jpg", "photos/b.jpg", "photos/more/c.png"]
    assert [row["clip"] for row in table] == names
    for line, row, name in zip(lines, table, ("a", "b", "more/c"), strict=True):
        probability = f"{float(row['probability']):.3f}"
        assert line.split() == [row["clip"], row["label"], probability, f"output/{name}.jpg"]
        assert row["label"] in LABELS
        report = json.loads((photos.parent / f"json/{name}.json").read_text())
        assert report["whole_clip"]["label"] == row["label"]
        made = output / f"{name}.jpg"
        assert made.read_bytes().startswith(b"\xff\xd8\xff")
        assert made.read_bytes().endswith(OWN_MARK)
        assert Image.open(made).getexif().get(0x0112, 1) == 1
        # The label stands in the left upper corner; the rest is the photo, upright.
        shown, photo = cv2.imread(str(made)), read_image(photos.parent / row["clip"])[1]
        assert shown is not None
        assert shown.shape == photo.shape == (180, 240, 3)
        difference = np.abs(shown[..., ::-1].astype(int) - photo)
        assert difference[90:].mean() < 12
        assert difference[:20, :60].mean() > 20
    assert table[0]["label"] == table[1]["label"] == table[2]["label"]  # they show the same


def test_what_was_written_is_passed_over(photos: Path) -> None:
    run(photos, "-i", "photos", "-o", "photos/labelled", "--page", "photos/pages")
    write_clip(photos / "clip.mp4", frames=2)
    run(photos, "-i", "photos/clip.mp4", "--timeline", "photos/timeline.png")
    done = run(photos, "-i", "photos", "--csv", "labels.csv")
    assert len(rows(photos.parent / "labels.csv")) == 3 + 2  # the clip has two frames
    # Three photos, their three small copies for pages, and the timeline.
    assert "files that predict_video.py wrote: 7\n" in done.stderr


@pytest.mark.parametrize("name", ["out.jpg", "out.jpeg", "out.png", "Out.PNG"])
def test_one_photo_is_written_as_the_ending_says(name: str, photos: Path) -> None:
    done = run(photos, "-i", "photos/a.jpg", "-o", name, "--top", "3")
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{name}: ")
    assert ", probability 0." in line or ", probability 1.000" in line
    content = (photos.parent / name).read_bytes()
    assert content.startswith(b"\x89PNG" if name.lower().endswith("png") else b"\xff\xd8\xff")
    run(photos, "-i", "photos/a.jpg")
    assert frames(photos.parent / "output/a.jpg")[0].shape == (180, 240, 3)


def test_smoothing_and_strides_leave_a_photo_alone(photos: Path) -> None:
    write_clip(photos / "clip.mp4", frames=20)
    tables = []
    for options in ((), ("--smoothing", "hmm", "--stride", "auto"), ("--size", 1, "--stride", 7)):
        run(photos, "-i", "photos", "--csv", "t.csv", "--overwrite", "-o", "o", *options)
        table = [row for row in rows(photos.parent / "t.csv") if "clip.mp4" not in row["clip"]]
        tables.append([(row["clip"], row["label"], row["probability"]) for row in table])
    assert len(tables[0]) == 3
    assert tables[0] == tables[1] == tables[2]
    assert (photos.parent / "o/clip.mp4").exists()


def test_below_the_least_probability_it_is_uncertain_everywhere(photos: Path) -> None:
    options = ("--min-probability", 1, "--csv", "t.csv", "--json", "j", "--table", "table.csv")
    done = run(photos, "-i", "photos", *options)
    assert done.stdout.splitlines()[1].split()[1] == "uncertain"
    assert {row["label"] for row in rows(photos.parent / "t.csv")} == {"uncertain"}
    table = rows(photos.parent / "table.csv")
    assert [(row["label"], row["frames"]) for row in table] == [("uncertain", "1")] * 3
    again = run(photos, "-i", "photos", *options)
    assert "0 of them now" in again.stdout


def test_a_damaged_photo_is_an_error_and_the_others_are_labelled(photos: Path) -> None:
    whole = (photos / "a.jpg").read_bytes()
    (photos / "a.jpg").write_bytes(whole[: len(whole) // 2])
    done = run(photos, "-i", "photos", "-o", "o", "--page", "p", code=1)
    assert "error: photos/a.jpg is no image of at most 65,000,000 pixels" in done.stderr
    written = {path.name for path in (photos.parent / "o").rglob("*") if path.is_file()}
    assert written == {"b.jpg", "c.jpg"}


def test_the_least_certain_photos_are_asked_about(photos: Path) -> None:
    done = run(photos, "-i", "photos", "--ask", 2, "asked")
    assert "2 frames of 2 clips" in done.stdout
    asked = sorted((photos.parent / "asked").rglob("*.jpg"))
    assert len(asked) == 2
    assert not any(path.read_bytes().endswith(OWN_MARK) for path in asked)  # to be trained on


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), picture("tennis", number % 5))
    return folder


def test_ctrl_c_leaves_whole_what_is_finished(many: Path) -> None:
    options = ("-i", "many", "-o", "o", "--csv", "t.csv", *LONG)
    with start_process("predict_video.py", *options, cwd=many.parent) as process:
        wait_for(lambda: len(list((many.parent / "o").glob("[0-9]*.jpg"))) >= 3)
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate()
    assert process.returncode == 130, complained
    made = sorted((many.parent / "o").iterdir())
    assert 3 <= len(made) < 300
    assert all(path.read_bytes().endswith(OWN_MARK) for path in made)
    assert len(rows(many.parent / "t.csv")) == len(made) == len(said.splitlines()) - 1
    assert "ended before" not in said


def test_from_python_it_is_a_clip_of_one_frame(photos: Path) -> None:
    from predict_video import Classifier, label_video

    classifier = Classifier(ROOT / "model/activity.xml")
    result = label_video(str(photos / "a.jpg"), classifier, {"output": photos.parent / "x.png"})
    assert result is not None
    assert (result.frames, result.is_still, result.changes) == (1, True, 0)
    assert result.label in LABELS


def test_what_is_about_time_is_for_the_videos_beside_them(photos: Path) -> None:
    write_clip(photos / "clip.avi")
    run(photos, "-i", "photos", "--csv", "t.csv", "--timeline", "times", "--start", 1)
    found = [(row["clip"], row["time_s"]) for row in rows(photos.parent / "t.csv")]
    assert [clip for clip, time in found if time == "0.000"] == [
        "photos/a.jpg", "photos/b.jpg", "photos/more/c.png",
    ]  # fmt: skip
    assert ("photos/clip.avi", "1.000") in found
    assert [path.name for path in (photos.parent / "times").rglob("*")] == ["clip.png"]
