"""Mistakes, and the one line that the two scripts print for each, without changing a file."""

import ctypes
import pickle
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, ROOT, picture, run_process, run_script, write_clip
from sklearn.preprocessing import LabelBinarizer

from activity.quiet.opencv import cv2

TOO_LONG = "x" * 300
LONG = "y" * 245  # leaves no room for what the name is until the file is whole

# Arguments behind `-i clip.avi`, the exit code, and what the line says.
PREDICT = [
    ("-s 0", 2, "'0' is not a whole number from 1 to 1000000"),
    ("--batch-size 2", 2, "unrecognized arguments: --batch-size 2"),
    ("--no-preview --realtime", 2, "not allowed with argument"),
    ("--min-probability 2", 2, "'2' is not a number from 0 to 1"),
    ("--stride 0", 2, "'0' is not a whole number from 1 to 1000000, nor 'auto'"),
    ("--start 1e300", 2, "'1e300' is not a number from 0 to 1000000"),
    ("--start 3 --end 3", 2, "--end 3 is not after --start 3"),
    ("--delay 1", 2, "--delay 1 is for --smoothing hmm"),
    ("--smoothing hmm -s 9", 2, "--size 9 is for --smoothing mean"),
    ("-o \udcff.avi", 2, r"'\udcff.avi' is not the name of a file"),
    ("--ask 10001 new", 2, "'10001' is not a whole number from 1 to 10000"),
    ("--ask 5", 2, "argument --ask: expected 2 arguments"),
    ("-i http://127.0.0.1:9/none", 1, "http://127.0.0.1:9/none gives no frame"),
    ("-i missing.mp4", 1, "missing.mp4 does not exist; name a video file"),
    ("-i missing.mp4 --fps 5", 1, "missing.mp4 does not exist; name a video file"),
    ("-i frames/one.png", 1, "frames/one.png is empty"),
    ("-i two.pickle", 1, "two.pickle holds no frame that can be decoded; is it a video?"),
    ("--start 2", 1, "clip.avi has no frame at 2 s; begin earlier"),
    ("--csv kept.csv", 1, "--csv kept.csv exists; add --overwrite, or choose another name"),
    ("--table kept.csv", 1, "kept.csv is not a table"),
    ("-i clip.avi clip.avi -o o.avi", 1, "--output o.avi is one file for several"),
    ("-o out.mkv", 1, "out.mkv ends in '.mkv'; choose a name ending in .mp4 or .avi"),
    ("-o out.jpg", 1, "out.jpg ends in '.jpg'; choose a name ending in .mp4 or .avi"),
    ("-i photo.png -o out.mp4", 1, "'.mp4'; choose a name ending in .jpg, .jpeg or .png"),
    ("-i photo.png clip.avi -o out.mp4", 1, "--output out.mp4 is one file for several clips"),
    ("-i photo.png --start 1", 1, "--start is for videos, and photo.png is a photo; leave one of"),
    ("-i photo.png --end 1", 1, "--end is for videos, and photo.png is a photo; leave one of"),
    ("-i photo.png --fps 5", 1, "--fps is for videos, and photo.png is a photo; leave one of"),
    ("-i photo.png --track 1", 1, "--track is for videos, and photo.png is a photo; leave one of"),
    ("-i photo.png --timeline t.png", 1, "--timeline is for videos, and photo.png is a ph"),
    ("-i float.tif", 1, "float.tif has values of type float32, of which none is known to be white"),
    ("-o clip.avi --overwrite", 1, "--input and --output are the same file, clip.avi; name diff"),
    ("--csv folder.csv", 1, "--csv folder.csv is a folder; name a file in it"),
    ("--timeline t.gif", 1, "t.gif ends in '.gif'; choose a name ending in .png, .pdf or .svg"),
    ("--csv file/t.csv", 1, "--csv file/t.csv cannot be written: file is a file"),
    ("--table new.csv --json kept.json", 1, "kept.json exists; add --overwrite, or choose"),
    ("--csv a", 1, "--csv a ends in 'nothing'; choose a name ending in .csv"),
    ("--csv t.csv --table t.csv", 1, "--csv and --table are the same file"),
    ("--table t.txt", 1, "t.txt ends in '.txt'; choose a name ending in .csv or .parquet"),
    ("--table t.csv --ray --ask 5 new -i 0", 1, "0 gives each frame only once"),
    ("--ask 5 full", 1, "--ask full holds files already; name another folder"),
    ("--ask 5 file", 1, "cannot be written: file is a file"),
    ("-m none", 1, "--model none is not a file; train one with train.py, or name another"),
    ("-m clip.avi", 1, "clip.avi was not written by this version of train.py"),
    ("-m xml.xml", 1, "xml.xml was not written by this version of train.py (it has no metadata)"),
    ("-m lost.xml", 1, "lost.xml cannot be loaded (lost.bin is missing); train it again"),
    ("-l none", 1, "--label-bin none is not a file; name the one that train.py wrote"),
    ("-l clip.avi", 1, "clip.avi is not a pickled LabelBinarizer"),
    ("-l two.pickle", 1, "two.pickle holds the classes a, b, and the model football, tennis"),
]
# Arguments behind `-d data --base tiny`.
TRAIN = [
    ("--seed -1", 2, "'-1' is not a whole number from 0 to 4294967295"),
    ("--resize stretch", 2, "invalid choice: 'stretch'"),
    ("-m ''", 2, "'' is not the name of a file"),
    ("-d missing", 1, "--dataset missing is not a folder; name one that holds pictures"),
    ("--labels tennis golf", 1, "'golf' is no folder with files below data; name"),
    ("--labels tennis", 1, "tennis makes 1 class of data, but a classifier needs at least two"),
    ("-d single --labels all", 1, "all makes 1 class of single, but a classifier needs at least"),
    ("-d broken", 1, "'tennis' holds nothing that decodes (broken/tennis/0.png is no image of at"),
    ("-d twins --labels all", 1, "'Tennis' and 'tennis' differ in case, blanks or the form of"),
    ("-d twins --labels golf TENNIS", 1, "and 'TENNIS' differ in case, blanks or the form of"),
    ("-d untested --labels all", 1, "untested/test has nothing of the classes to test on; add"),
    ("-d undone --labels all", 1, "undone has test and val, but nothing to train on; add a folder"),
    ("--segments missing.csv", 1, "--segments missing.csv is not a file; name a table in CSV"),
    ("--segments kept.csv", 1, "kept.csv has no column 'file'; it needs"),
    ("--segments two.pickle", 1, "two.pickle is no text; name a table in CSV"),
    ("--segments gone.csv", 1, "gone.csv names no file of the test part that is there, such as go"),
    ("-m data/tennis", 1, "--model data/tennis is a folder; name a file in it"),
    ("-m data/tennis/1.png/m", 1, "m cannot be written: data/tennis/1.png is a file"),
    ("-p model/lb.pickle", 1, "--label-bin and --plot are the same file, model/lb.pickle; name"),
    ("-m activity.xml", 1, "are the same file, activity.xml; name different ones"),
    ("--weights none.h5", 1, "--weights none.h5 is not a file; name one, or 'imagenet'"),
    ("--weights clip.avi --base resnet50", 1, "clip.avi does not hold ResNet50 weights without t"),
    ("--cache two.pickle", 1, "two.pickle cannot be used (file is not a database); delete it or"),
]
# What may not be read or written: an option, its value, and the reason.
DENIED, NAME_TOO_LONG = "Permission denied", "File name too long"
FORBIDDEN = [
    *[("predict_video.py", *each) for each in (
        ("-i", "secret.avi", DENIED), ("-i", "locked/clip.avi", DENIED), ("-i", "locked", DENIED),
        ("-i", "locked/*.avi", "matches no file"), ("-i", TOO_LONG, NAME_TOO_LONG),
        ("-m", "secret.xml", DENIED), ("-m", "secret.keras", DENIED), ("-m", "half.xml", DENIED),
        ("-m", "locked/activity.xml", DENIED), ("-m", TOO_LONG, NAME_TOO_LONG),
        ("-l", "secret.pickle", DENIED), ("-l", TOO_LONG, NAME_TOO_LONG),
        ("-o", "fixed/out.avi", DENIED), ("-o", "fixed/new/out.avi", DENIED),
        ("-o", "locked/out.avi", DENIED), ("-o", f"{LONG}.avi", NAME_TOO_LONG),
        ("--csv", "fixed/t.csv", DENIED), ("--json", "fixed/t.json", DENIED),
        ("--table", "fixed/t.csv", DENIED), ("--table", "locked/t.csv", DENIED),
        ("--ask 5", "fixed", DENIED), ("--ask 5", "locked", DENIED),
    )],
    *[("train.py", *each) for each in (
        ("-d", "locked/data", DENIED), ("-d", TOO_LONG, NAME_TOO_LONG),
        ("--weights", "secret.keras", DENIED), ("--weights", "locked/weights.h5", DENIED),
        ("-m", "fixed/activity.keras", DENIED), ("-l", "fixed/lb.pickle", DENIED),
        ("-p", "fixed/plot.png", DENIED), ("--errors", "fixed/errors.png", DENIED),
        ("--cache", "fixed/features.sqlite", DENIED),
        ("--cache", "secret.keras", "unable to open database file"),
        ("-m", TOO_LONG, NAME_TOO_LONG), ("-p", f"{LONG}.png", NAME_TOO_LONG),
    )],
]  # fmt: skip
DEFAULTS = {"predict_video.py": ["-i", "clip.avi"], "train.py": ["-d", "data", "--base", "tiny"]}
CASES = [("predict_video.py", *case) for case in PREDICT]
CASES += [("train.py", *case) for case in TRAIN]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path) -> Iterator[Path]:
    """Make a folder with a model, a clip and pictures, all that can be wrong, and what is closed.

    `secret.*`, `half.bin`, and all in `locked` cannot be read, nothing can be written to `fixed`.
    """
    place = tmp_path_factory.mktemp("place")
    model = Path(shutil.copytree(ROOT / "model", place / "model"))
    clip = write_clip(place / "clip.avi", frames=5)
    shutil.copytree(dataset_folder, place / "data")
    for name in ("locked", "fixed", "folder.csv", "frames", "full/football"):
        (place / name).mkdir(parents=True)
    for label in COLOURS:
        (place / "broken" / label).mkdir(parents=True)
        cv2.imwrite(str(place / "broken" / label / "0.png"), picture(label, 0))
    (place / "broken/tennis/0.png").write_text("broken")
    (place / "single/pictures").mkdir(parents=True)
    for name in (
        "twins/Tennis", "twins/tennis", "twins/golf", "untested/train/golf", "untested/test/tennis",
        "undone/test/golf", "undone/val/tennis",
    ):  # fmt: skip
        (place / name).mkdir(parents=True)
        if name != "untested/test/tennis":
            (place / name / "1.png").touch()
    shutil.copy(place / "data/tennis/0.png", place / "single/pictures")
    shutil.copy(place / "data/tennis/0.png", place / "photo.png")
    cv2.imwrite(str(place / "float.tif"), np.ones((9, 9), np.float32))
    for name in ("kept.csv", "kept.json", "frames/one.png", "full/football/1.jpg", "file"):
        (place / name).touch()
    (place / "gone.csv").write_text("file,label,set\nclip.avi,a,train\ngone.avi,b,test\n")
    (place / "xml.xml").write_text("<net></net>")
    (place / "two.pickle").write_bytes(pickle.dumps(LabelBinarizer().fit(["a", "b"])))
    for source, name in [
        (clip, "secret.avi"), (clip, "locked/clip.avi"),
        (model / "activity.xml", "secret.xml"), (model / "activity.bin", "secret.keras"),
        (model / "activity.xml", "half.xml"), (model / "activity.bin", "half.bin"),
        (model / "lb.pickle", "secret.pickle"), (model / "lb.pickle", "locked/lb.pickle"),
        (model / "activity.xml", "lost.xml"),
    ]:  # fmt: skip
        shutil.copyfile(source, place / name)
    closed = [place / "half.bin", place / "locked", *place.glob("secret.*")]
    for path in closed:
        path.chmod(0)
    (place / "fixed").chmod(0o500)
    yield place
    for path in [*closed, place / "fixed"]:
        path.chmod(0o700)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Let permissions count for root as well, by giving up what overrides them, in this thread."""
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # the version of the interface, this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable
    libc.capget(header, sets)
    effective = sets[0]
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = effective
        libc.capset(header, sets)


def files(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def refusal(place: Path, code: int, script: str, *arguments: str) -> str:
    """Return the one line on stderr of a run without privileges, which writes nothing."""
    before = files(place)
    with unprivileged():
        done = run_script(script, *DEFAULTS[script], *arguments, cwd=place)
    assert files(place) == before
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(f"{script}: error: " if code == 2 else "error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(("script", "arguments", "code", "message"), CASES)
def test_a_mistake_prints_one_line_and_changes_no_file(
    place: Path, script: str, arguments: str, code: int, message: str
) -> None:
    assert message in refusal(place, code, script, *shlex.split(arguments))


@pytest.mark.parametrize(("script", "option", "value", "reason"), FORBIDDEN)
def test_what_may_not_be_used_is_one_line_with_a_remedy(
    place: Path, script: str, option: str, value: str, reason: str
) -> None:
    line = refusal(place, 1, script, *option.split(), value)
    assert ("half.bin" if value == "half.xml" else value) in line
    assert reason in line
    remedies = "one that can be", "choose another place", "name another pattern", "name another"
    assert line.strip().endswith(remedies)


def test_pictures_and_folders_that_may_not_be_read_are_named(folder: Path) -> None:
    (folder / "tennis" / "0.png").chmod(0)
    closed = [folder / name for name in ("hockey", ".hidden", "tennis/old")]
    for path in closed:
        path.mkdir(mode=0)
    with unprivileged():
        options = ("-d", folder, "--labels", "all", "--strict")
        done = run_script("train.py", *options, cwd=folder.parent)
    for path in closed:
        path.chmod(0o700)
    [skipped] = [line for line in done.stdout.splitlines() if line.startswith("skipped")]
    assert f"{folder}/tennis/0.png" in skipped
    assert DENIED in skipped
    *warnings, error = done.stderr.splitlines()
    left_out = [
        f"warning: {folder}/{name} is left out: {DENIED}" for name in ("hockey", "tennis/old")
    ]
    assert sorted(warnings) == left_out
    assert error.startswith("error: 1 file cannot be decoded (--strict)")


@pytest.mark.parametrize(
    ("script", "arguments", "code", "line"),
    [
        ("train.py", ["-d", "."], 1, "error: OpenCV cannot be loaded (libGL.so.1: cannot open"),
        ("predict_video.py", ["--help"], 1, "error: OpenCV cannot be loaded (libGL.so.1: cannot"),
        ("predict_video.py", ["-i", "x", "-s", "0"], 2, "predict_video.py: error: argument -s/--"),
    ],
)
def test_a_process_ends_with_the_line_and_the_code(
    tmp_path: Path, script: str, arguments: list[str], code: int, line: str
) -> None:
    """Two of them on a machine without what OpenCV needs."""
    if code == 1:
        reason = "libGL.so.1: cannot open shared object file"
        (tmp_path / "cv2.py").write_text(f"raise ImportError({reason!r})")
    done = run_process(script, *arguments, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
