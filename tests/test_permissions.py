"""What may not be read or written, tried for real.

Root may read and write everything; the scripts give up that privilege here, so that permissions
count whoever runs the tests.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from conftest import ROOT, frames, run_process, write_clip

Run = Callable[..., subprocess.CompletedProcess[str]]
UNPRIVILEGED = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
TOO_LONG = "x" * 300
LONG = "y" * 245  # which leaves no room for what the name is until the file is whole


@pytest.fixture(scope="module")
def run() -> Run:
    """Run one of the two scripts as somebody who may not do everything."""
    return partial(run_process, wrapper=UNPRIVILEGED if os.geteuid() == 0 else ())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path) -> Iterator[Path]:
    """Make a folder with a model, a clip and pictures, and files and folders that are closed.

    `secret.*` and what is in `locked` and `half open/shut` cannot be read, nothing can be written
    to `fixed`.
    """
    place = tmp_path_factory.mktemp("place")
    for name in ("locked", "fixed", "half open", "half open/shut"):
        (place / name).mkdir()
    (place / "model").mkdir()
    for name in ("activity.xml", "activity.bin", "lb.pickle"):
        shutil.copyfile(ROOT / "model" / name, place / "model" / name)
    shutil.copytree(dataset_folder, place / "data")
    clip = write_clip(place / "clip.avi", frames=5)
    model = place / "model"
    for source, name in [
        (clip, "secret.avi"),
        (model / "activity.xml", "secret.xml"),
        (model / "activity.bin", "secret.keras"),
        (model / "lb.pickle", "secret.pickle"),
        (model / "activity.xml", "half.xml"),
        (model / "activity.bin", "half.bin"),
        (clip, "locked/clip.avi"),
        (model / "lb.pickle", "locked/lb.pickle"),
    ]:
        shutil.copyfile(source, place / name)
    closed = [
        *place.glob("secret.*"),
        place / "half.bin",
        place / "locked",
        place / "half open/shut",
    ]
    for path in closed:
        path.chmod(0)
    (place / "fixed").chmod(0o500)
    yield place
    for path in [*closed, place / "fixed"]:
        path.chmod(0o700)


PREDICT = [
    ("-i", "secret.avi"),
    ("-i", "locked/clip.avi"),
    ("-i", "locked"),
    ("-i", "locked/*.avi"),
    ("-i", TOO_LONG),
    ("-m", "secret.xml"),
    ("-m", "secret.keras"),
    ("-m", "half.xml"),
    ("-m", "locked/activity.xml"),
    ("-m", TOO_LONG),
    ("-l", "secret.pickle"),
    ("-l", "locked/lb.pickle"),
    ("-l", TOO_LONG),
    ("-o", "fixed/out.avi"),
    ("-o", "fixed/new/out.avi"),
    ("-o", "locked/out.avi"),
    ("-o", TOO_LONG + ".avi"),
    ("-o", LONG + ".avi"),
    ("--csv", "fixed/t.csv"),
    ("--json", "fixed/t.json"),
    ("--timeline", "fixed/t.png"),
    ("--page", "fixed/p.html"),
    ("--ask 5", "fixed"),
    ("--ask 5", "fixed/new"),
    ("--ask 5", "locked"),
    ("--ask 5", TOO_LONG),
    ("-i", "half open"),
]


@pytest.mark.parametrize(("option", "value"), PREDICT)
def test_prediction_says_in_one_line_what_it_may_not_use(
    place: Path, run: Run, option: str, value: str
) -> None:
    before = sorted(place.rglob("*"))
    usual = {"-i": "clip.avi", "-m": "model/activity.xml", "-l": "model/lb.pickle", "-o": "out.avi"}
    words = [
        word for name, given in (usual | {option: value}).items() for word in (*name.split(), given)
    ]
    done = run("predict_video.py", "--no-preview", *words, cwd=place)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    reason = "File name too long" if len(value) > len(LONG) else "Permission denied"
    named = "half.bin" if value == "half.xml" else value
    if value == "locked/*.avi":  # a shell would not see it either
        reason = "matches no file"
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert named in done.stderr
    assert reason in done.stderr
    remedies = ("name one that can be", "choose another place", "name another pattern")
    assert done.stderr.strip().endswith(remedies)
    assert sorted(place.rglob("*")) == before


def test_of_several_clips_the_readable_ones_are_labelled(
    place: Path, run: Run, tmp_path: Path
) -> None:
    sources = ["locked/clip.avi", "secret.avi", TOO_LONG, "clip.avi"]
    done = run("predict_video.py", "--no-preview", "-m", "model/activity.xml", "-l",
               "model/lb.pickle", "-o", tmp_path / "out", "-i", *sources, cwd=place)  # fmt: skip
    assert done.returncode == 1
    errors = done.stderr.splitlines()
    assert [line.split(" ")[:3] for line in errors if line.startswith("error: ")] == [
        ["error:", "--input", source] for source in sources[:3]
    ]
    [video] = (tmp_path / "out").iterdir()
    assert len(frames(video)) == 5


TRAIN = [
    ("-d", "locked/data"),
    ("-d", TOO_LONG),
    ("--weights", "secret.keras"),
    ("--weights", "locked/weights.h5"),
    ("-m", "fixed/activity.keras"),
    ("-l", "fixed/lb.pickle"),
    ("-p", "fixed/plot.png"),
    ("--errors", "fixed/errors.png"),
    ("--cache", "fixed/features.sqlite"),
    ("--cache", "secret.keras"),
    ("-m", TOO_LONG),
    ("-p", LONG + ".png"),
]


@pytest.mark.parametrize(("option", "value"), TRAIN)
def test_training_says_in_one_line_what_it_may_not_use(
    place: Path, run: Run, random_weights: Path, option: str, value: str
) -> None:
    usual = {"-d": "data", "-m": "new.keras", "-l": "new.pickle", "--weights": random_weights}
    words = [word for pair in (usual | {option: value}).items() for word in pair]
    done = run("train.py", *words, cwd=place)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert value in done.stderr
    reasons = ("File name too long",) if len(value) > len(LONG) else (
        "Permission denied", "unable to open database file"
    )  # fmt: skip
    assert any(reason in done.stderr for reason in reasons)
    remedies = ("name one that can be", "choose another place", "name another")
    assert done.stderr.strip().endswith(remedies)
    assert not list(place.glob("new.*"))


def test_pictures_and_folders_that_may_not_be_read_are_named(
    dataset_folder: Path, run: Run, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(dataset_folder, tmp_path / "data"))
    (data / "tennis" / "0.png").chmod(0)
    for name in ("hockey", ".hidden", "tennis/old"):
        (data / name).mkdir(mode=0)
    done = run("train.py", "-d", "data", "--labels", "all", "--strict", cwd=tmp_path)
    for name in ("hockey", ".hidden", "tennis/old"):
        (data / name).chmod(0o700)
    assert "skipped 'data/tennis/0.png': Permission denied" in done.stdout.splitlines()
    *warnings, error = done.stderr.splitlines()
    assert sorted(warnings) == [
        "warning: data/hockey is left out: Permission denied",
        "warning: data/tennis/old is left out: Permission denied",
    ]
    assert error.startswith("error: 1 file cannot be decoded (--strict)")
