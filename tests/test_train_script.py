"""`train.py` run as a user runs it; one real training for all, and a tiny base for the rest."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import COLOURS, TINY, picture, run_script, shared, write_video
from PIL import Image

import train
from activity import __version__
from activity.label_file import load_labels
from activity.model_file import load_model, read_metadata
from activity.quiet.keras import keras
from activity.quiet.opencv import cv2


def record_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "model/activity.json").read_text()))


def test_writes_everything_it_promises(trained: Path) -> None:
    written = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    assert written - {"stdout", "stderr"} == {
        "model/activity.model", "model/activity.json", "model/activity.xml", "model/activity.bin",
        "model/lb.pickle", "plot.png", ".cache/features.sqlite",
    }  # fmt: skip
    binarizer = pickle.loads((trained / "model/lb.pickle").read_bytes())
    assert binarizer.classes_.tolist() == sorted(COLOURS) == train.LABELS
    metadata = read_metadata(trained / "model/activity.model")
    assert read_metadata(trained / "model/activity.xml") == metadata
    assert (metadata.labels, metadata.resize, metadata.input_size, metadata.version) == (
        tuple(sorted(COLOURS)), "crop", 224, __version__,
    )  # fmt: skip
    assert Image.open(trained / "plot.png").size == (1800, 540)


def test_the_record_agrees_with_what_was_printed(trained: Path) -> None:
    record, printed = record_of(trained), (trained / "stdout").read_text()
    assert (trained / "stderr").read_text() == ""
    assert "football            16        16      16" in printed
    assert printed.count("\nepoch ") == 50
    test, calibration, copy = record["test"], record["calibration"], record["copy_test"]
    matrix = np.array(test["confusion_matrix"])
    assert matrix.sum() == test["images"] == 12
    assert test["accuracy"] == pytest.approx(matrix.trace() / 12)
    assert test["accuracy"] >= 0.8  # even random weights tell colours apart
    tested = [mistake for mistake in record["mistakes"] if mistake["part"] == "test"]
    assert len(tested) == 12 - matrix.trace()
    for line in (
        f"test part: 12 images, accuracy {test['accuracy']:.1%}, calibration error ",
        f"calibration: temperature {calibration['temperature']:.2f}, which takes the error of "
        f"held-out pictures from {calibration['held_out_error_before']:.3f} to ",
        "int8 copy on the same 12 images: accuracy",
    ):
        assert line in printed
    assert "other things" not in printed
    assert (record["split"]["training_images"], record["split"]["test_images"]) == (36, 12)
    assert record["data"]["classes"]["tennis"] == {"files": 16, "pictures": 16, "scenes": 16}
    assert record["arguments"]["epochs"] == 50
    assert record["versions"]["activity"] == __version__
    assert {len(values) for values in record["history"].values()} == {50}
    assert record["history"]["val_accuracy"][-1] == pytest.approx(test["accuracy"])
    assert copy["same_label"] == 1
    assert 0 < copy["mean_absolute_difference"] < 0.1


@pytest.mark.slow
def test_the_tutorials_other_command_line(
    trained: Path, tmp_path: Path, dataset_folder: Path, random_weights: Path
) -> None:
    """Word for word, with a copy in float, weights from a file, and the features of the first run.

    Stored in float16 the copy is less than twice as large: some of the int8 one is float, too.
    """
    files = "-m model/activity.keras -l model/lb.pickle -e 25 -p plot.png"
    command = f"-d Sports-Type-Classifier/data {files}"
    (tmp_path / "Sports-Type-Classifier").mkdir()
    (tmp_path / "Sports-Type-Classifier/data").symlink_to(dataset_folder)
    done = run_script(
        "train.py", *command.split(), "--weights", random_weights, "--precision", "float",
        "--views", 0, "--cache", trained / ".cache/features.sqlite", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert load_model(tmp_path / "model/activity.keras").output_shape == (None, 3)
    assert ", 0 to compute" in done.stdout
    assert "float copy on the same 12 images: accuracy" in done.stdout
    differences, sizes = [], []
    for folder in (tmp_path, trained):
        differences.append(record_of(folder)["copy_test"]["mean_absolute_difference"])
        sizes.append((folder / "model/activity.bin").stat().st_size)
    assert differences[0] < differences[1]
    assert 1.6 < sizes[0] / sizes[1] < 2.2


def checkerboard(seed: int) -> np.ndarray:
    """Draw a (96, 128, 3) uint8 picture of squares in two colours."""
    random = np.random.default_rng(seed)
    odd = (np.indices((96, 128)) // random.integers(6, 20)).sum(axis=0) % 2
    return np.asarray(random.integers(0, 256, (2, 3), np.uint8)[odd])


@pytest.fixture(scope="module")
def confused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on all folders, squashed: two classes of the same pictures, and other things.

    The classes cannot be told apart, so about half of their labels are wrong. A checkerboard is
    neither.
    """
    folder = tmp_path_factory.mktemp("confused")
    for number in range(40):
        path = folder / "data" / ("left" if number % 2 else "right") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture("tennis", number))
    for seed in range(24):
        path = folder / "others" / ("odd/deep" if seed % 2 else "even") / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), checkerboard(seed))
    options = ("--none", "others", "--labels", "all", "--resize", "squash", "--errors", "e.png")
    done = run_script("train.py", "-d", "data", *options, *TINY, cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    return folder


def test_other_things_are_a_class_and_what_is_noticed_of_them_is_measured(confused: Path) -> None:
    said = (confused / "stdout").read_text()
    assert "none of these 24 24 " in " ".join(said.split())
    noticed = record_of(confused)["calibration"]["other_things_noticed"]
    assert list(noticed) == ["even", "odd"]
    assert min(noticed.values()) > 0.3
    assert "with one folder of them left out at a time, " in said
    assert f"(even {noticed['even']:.0%}, odd {noticed['odd']:.0%})\n" in said
    write_video(confused / "other.avi", map(checkerboard, range(100, 110)))
    trained = ("-m", "model/activity.xml", "-l", "model/lb.pickle")
    done = run_script("predict_video.py", *trained, "-i", "other.avi", "--no-preview", cwd=confused)
    assert done.returncode == 0, done.stderr
    assert "label: none of these" in done.stdout


def test_wrong_labels_are_listed_and_drawn(confused: Path) -> None:
    assert read_metadata(confused / "model/activity.keras").resize == "squash"
    assert load_labels(confused / "model/lb.pickle") == ["left", "none of these", "right"]
    record = record_of(confused)
    matrix = np.array(record["test"]["confusion_matrix"])
    wrong = [mistake for mistake in record["mistakes"] if mistake["part"] == "test"]
    assert len(record["mistakes"]) > len(wrong) == matrix.sum() - matrix.trace() >= 2
    for mistake in wrong:
        assert mistake["predicted"] in {"left", "right", "none of these"} - set(
            mistake["file"].split("/")
        )
    said, count = (confused / "stdout").read_text(), len(record["mistakes"])
    assert f"{len(wrong)} of 16 have a wrong label, and of all pictures {count}, " in said
    assert "e.png shows them" in said
    assert Image.open(confused / "e.png").width == 1320


def test_skipped_files_are_named_or_with_strict_an_error(folder: Path) -> None:
    (folder / "tennis/two\nlines \udcff.jpg").write_text("no image")
    shutil.copyfile(folder / "tennis/1.png", folder / "football/same.png")
    done = run_script("train.py", "-d", "data", "--strict", *TINY, cwd=folder.parent)
    assert done.returncode == 1
    assert done.stderr == "error: 1 file cannot be decoded (--strict); remove what is named above\n"
    assert (
        r"skipped 'data/tennis/two\nlines \udcff.jpg': is no image of at most 65,000,000 pixels"
    ) in done.stdout
    assert "the same picture in two classes: 'data/football/same.png', 'data/ten" in done.stdout


def test_a_failed_download_names_the_base_that_needs_none(
    tmp_path: Path, dataset_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Exception("URL fetch failure on https://example.org: None -- unreachable")

    monkeypatch.setattr(keras.applications, "ResNet50", refuse)
    done = run_script("train.py", "-d", dataset_folder, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: the weights of ResNet50 could not be downloaded (URL fetch failure on "
        "https://example.org: None -- unreachable); take --base efficientnet_lite2, which needs "
        "none, or name a file of them with --weights\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "weights", "accuracy"),
    [("resnet50", "resnet50_sscd_notop.weights.h5", 0.88), ("efficientnet_lite2", None, 0.97)],
)
def test_real_images_real_weights_and_real_clips(
    base: str, weights: str | None, accuracy: float, tmp_path: Path
) -> None:
    """The tutorial's whole task, without augmentation, which is a tenth of the work."""
    options = ["--base", base] + (["--weights", shared(f"weights/{weights}")] if weights else [])
    data = shared("data/sports3")
    done = run_script("train.py", "-d", data, "--views", 0, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = record_of(tmp_path)
    assert (record["split"]["training_images"], record["test"]["images"]) == (1567, 526)
    assert record["test"]["accuracy"] >= accuracy
    assert record["copy_test"]["same_label"] >= 0.98
    clips = {"tennis": "tutorial_tennis", "weight_lifting": "lifting_portrait"}
    for (label, clip), model in zip(clips.items(), ("activity.keras", "activity.xml"), strict=True):
        done = run_script(
            "predict_video.py", "-m", f"model/{model}", "-o", f"{label}.mp4",
            "-i", shared(f"clips/{label}/{clip}.mp4"), cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert f"whole clip: {label}" in done.stdout
        assert f"frames per label: {label} 100.0%" in done.stdout
