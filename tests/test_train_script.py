"""`train.py` run as a user runs it."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, picture, run_script, shared

import train
from activity import __version__
from activity.label_file import load_labels
from activity.model_file import load_model, read_card
from activity.quiet.keras import keras
from activity.quiet.opencv import cv2
from activity.training.calibration import Calibration
from activity.training.dataset import Picture
from activity.training.mistakes import Mistake


def test_writes_everything_it_promises(trained: Path) -> None:
    written = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    assert written - {"stdout", "stderr"} == {
        "model/activity.model",
        "model/activity.json",
        "model/activity.xml",
        "model/activity.bin",
        "model/lb.pickle",
        "plot.png",
        ".cache/features.sqlite",
    }
    binarizer = pickle.loads((trained / "model/lb.pickle").read_bytes())
    assert binarizer.classes_.tolist() == ["football", "tennis", "weight_lifting"]
    card = read_card(trained / "model/activity.model")
    assert read_card(trained / "model/activity.xml") == card
    assert (card.labels, card.resize, card.input_size, card.version) == (
        ("football", "tennis", "weight_lifting"),
        "crop",
        224,
        __version__,
    )
    plot = cv2.imread(str(trained / "plot.png"))
    assert plot is not None
    assert plot.shape == (540, 1800, 3)
    assert len(np.unique(plot.reshape(-1, 3), axis=0)) > 50  # curves were drawn


def test_says_what_it_found_and_how_good_it_got(trained: Path) -> None:
    said = (trained / "stdout").read_text()
    assert "football            16        16      16" in said
    assert said.count("\nepoch ") == 50
    for heading in ("precision    recall  f1-score   support", "confusion matrix", "12 images"):
        assert heading in said
    assert (trained / "stderr").read_text() == ""


def test_the_record_agrees_with_what_was_said(trained: Path) -> None:
    record = json.loads((trained / "model/activity.json").read_text())
    said = (trained / "stdout").read_text()
    test = record["test"]
    matrix = np.array(test["confusion_matrix"])
    assert matrix.sum() == test["images"] == 12
    assert test["accuracy"] == pytest.approx(matrix.trace() / 12)
    tested = [mistake for mistake in record["mistakes"] if mistake["part"] == "test"]
    assert len(tested) == 12 - matrix.trace()
    assert f"test part: 12 images, accuracy {test['accuracy']:.1%}" in said
    assert (record["split"]["training_images"], record["split"]["test_images"]) == (36, 12)
    assert record["data"]["classes"]["tennis"] == {"files": 16, "pictures": 16, "scenes": 16}
    assert record["arguments"]["epochs"] == 50
    assert record["versions"]["activity"] == __version__
    assert set(record["versions"]) >= {"python", "tensorflow", "keras", "cv2"}
    assert {len(values) for values in record["history"].values()} == {50}
    assert record["history"]["val_accuracy"][-1] == pytest.approx(test["accuracy"])


def test_it_says_how_sure_the_model_may_be(trained: Path) -> None:
    record = json.loads((trained / "model/activity.json").read_text())
    said = (trained / "stdout").read_text()
    calibration, test = record["calibration"], record["test"]
    assert f"calibration: temperature {calibration['temperature']:.2f}, which takes" in said
    assert f"from {calibration['held_out_error_before']:.3f} to " in said
    assert f"calibration error {test['calibration_error']:.3f}\n" in said
    noticed = calibration["noticed_if_left_out"]
    assert set(noticed) == {"football", "tennis", "weight_lifting"}
    assert f"tennis {noticed['tennis']:.0%}" in said
    card = read_card(trained / "model/activity.xml")
    assert card.unknown_below == calibration["unknown_below"]
    assert card.unknown_noticed == pytest.approx(np.mean(list(noticed.values())))


def checkerboard(seed: int) -> np.ndarray:
    """Draw a (96, 128, 3) uint8 picture of squares in two colours."""
    random = np.random.default_rng(seed)
    side = int(random.integers(6, 20))
    odd = (np.indices((96, 128)) // side).sum(axis=0) % 2
    colours = random.integers(0, 256, (2, 3), np.uint8)
    return np.asarray(colours[odd])


@pytest.mark.slow
def test_other_pictures_become_a_class_that_is_trained_and_drawn(
    tmp_path: Path, dataset_folder: Path
) -> None:
    """A checkerboard is none of the three colours, whichever of them is nearest."""
    for seed in range(16):
        path = tmp_path / "others" / ("deep" if seed % 2 else "") / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), checkerboard(seed))
    done = run_script(
        "train.py", "-d", dataset_folder, "--none", "others", "--base", "efficientnet_lite2",
        "--views", 1, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "none of these       16        16      16\n" in done.stdout
    assert train.NONE_HINT not in done.stdout
    record = json.loads((tmp_path / "model/activity.json").read_text())
    assert record["calibration"]["unknown_below"] is None
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(tmp_path / "other.avi"), code, 25, (128, 96))
    for seed in range(100, 110):
        writer.write(checkerboard(seed))
    writer.release()
    done = run_script("predict_video.py", "-i", "other.avi", "--no-preview", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "label: none of these" in done.stdout
    unknown = run_script("predict_video.py", "-i", "other.avi", "--unknown", cwd=tmp_path)
    assert unknown.returncode == 1
    assert "knows 'none of these' as a class; leave it out" in unknown.stderr


def test_wrong_labels_are_listed_and_drawn(tmp_path: Path, random_weights: Path) -> None:
    """Of all folders, which are two classes, squashed.

    Two classes of the same pictures cannot be told apart: about half of the labels are wrong.
    """
    for number, label in enumerate(("left", "right")):
        (tmp_path / "data" / label).mkdir(parents=True)
        for seed in range(20):
            image = picture("tennis", 20 * number + seed)
            cv2.imwrite(str(tmp_path / "data" / label / f"{seed}.png"), image)
    done = run_script(
        "train.py", "-d", "data", "--labels", "all", "--weights", random_weights, "--views", 0,
        "-e", 1, "--precision", "float", "--resize", "squash", "--errors", "errors.png",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_card(tmp_path / "model/activity.keras").resize == "squash"
    assert load_labels(tmp_path / "model/lb.pickle") == ["left", "right"]
    record = json.loads((tmp_path / "model/activity.json").read_text())
    matrix = np.array(record["test"]["confusion_matrix"])
    wrong = [mistake for mistake in record["mistakes"] if mistake["part"] == "test"]
    assert len(wrong) == matrix.sum() - matrix.trace() >= 2
    assert len(record["mistakes"]) > len(wrong)
    assert {(mistake["file"].split("/")[1], mistake["predicted"]) for mistake in wrong} <= {
        ("left", "right"), ("right", "left"),
    }  # fmt: skip
    count = len(record["mistakes"])
    assert f"{len(wrong)} of 10 have a wrong label, and of all pictures {count}, " in done.stdout
    assert "that is low: look for pictures in the wrong folder" in done.stdout
    sheet = cv2.imread(str(tmp_path / "errors.png"))
    assert sheet is not None
    assert sheet.shape[1] == 1320


@pytest.mark.parametrize("errors", [None, Path("errors.png")])
def test_the_verdict_says_where_to_look(
    errors: Path | None, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = Mistake(Picture(Path("a.jpg"), "a", "", 0), "b", 0.9, tested=True)
    train.print_verdict(0.9, [mistake], 10, train.TrainingFiles(errors=errors))
    look = "" if errors else ", --errors FILE.png shows them"
    assert capsys.readouterr().out.splitlines() == [
        "1 of 10 have a wrong label, and of all pictures 1, each from a model that did not see it: "
        f"model/activity.json lists them{look}; perhaps some are in the wrong folder, such as",
        "  'a.jpg' is a, and taken for b (90%)",
    ]
    train.print_verdict(1.0, [], 10, train.TrainingFiles(errors=errors))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("noticed", "unknown_below", "helps"), [(0.7, 0.8, True), (0.9, 0.8, False), (0.7, None, False)]
)
def test_an_unknown_that_is_noticed_seldom_is_no_secret(
    noticed: float, unknown_below: float | None, helps: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless other pictures are a class already, and there is no such threshold."""
    shares = {"a": noticed - 0.1, "b": noticed + 0.1}
    train.print_sureness(Calibration(0.5, 0.1, 0.01, unknown_below, shares))
    said = capsys.readouterr().out
    assert f"{noticed:.0%} of its pictures would be noticed" in said
    assert ("--none FOLDER" in said) == helps


def test_the_int8_copy_agrees_with_the_model(trained: Path) -> None:
    record = json.loads((trained / "model/activity.json").read_text())
    assert record["copy_test"]["same_label"] == 1
    assert 0 < record["copy_test"]["mean_absolute_difference"] < 0.1
    assert "int8 copy on the same 12 images: accuracy" in (trained / "stdout").read_text()


@pytest.mark.slow
def test_a_second_run_with_a_float_copy_is_faster_and_closer_to_the_model(
    trained: Path, dataset_folder: Path, random_weights: Path, tmp_path: Path
) -> None:
    done = run_script(
        "train.py", "-d", dataset_folder, "--weights", random_weights, "--views", 1, "-e", 50,
        "--precision", "float", "--cache", trained / ".cache/features.sqlite",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "float copy on the same 12 images: accuracy" in done.stdout
    # With the features of the first run at hand nothing is computed again, and comes out the same.
    assert ", 0 to compute" in done.stdout
    folders = (tmp_path, trained)
    second, first = (json.loads((folder / "model/activity.json").read_text()) for folder in folders)
    assert first["history"] == second["history"]
    close, coarse = second["copy_test"], first["copy_test"]
    assert close["mean_absolute_difference"] < coarse["mean_absolute_difference"]
    # Stored in float16 it is less than twice as large: some of the int8 one is float, too.
    float_size, int8_size = ((folder / "model/activity.bin").stat().st_size for folder in folders)
    assert 1.6 < float_size / int8_size < 2.2


def test_learns_colours_even_with_random_weights(trained: Path) -> None:
    record = json.loads((trained / "model/activity.json").read_text())
    assert record["test"]["accuracy"] >= 0.8


@pytest.mark.slow
def test_the_tutorials_other_command_line(
    trained: Path, tmp_path: Path, dataset_folder: Path, random_weights: Path
) -> None:
    """Word for word; the weights come from a file, as nothing can be downloaded here."""
    command = (
        "-d Sports-Type-Classifier/data -m model/activity.keras -l model/lb.pickle -e 25 "
        "-p plot.png"
    )
    (tmp_path / "Sports-Type-Classifier").mkdir()
    (tmp_path / "Sports-Type-Classifier" / "data").symlink_to(dataset_folder)
    done = run_script(
        "train.py", *command.split(), "--weights", random_weights, "--precision", "float",
        "--views", 1, "--cache", trained / ".cache/features.sqlite", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert load_model(tmp_path / "model/activity.keras").output_shape == (None, 3)
    assert (tmp_path / "plot.png").is_file()


def test_skipped_files_are_named_or_with_strict_an_error(
    tmp_path: Path, dataset_folder: Path
) -> None:
    folder = Path(shutil.copytree(dataset_folder, tmp_path / "data"))
    (folder / "tennis" / "two\nlines \udcff.jpg").write_text("no image")
    shutil.copyfile(folder / "tennis" / "1.png", folder / "football" / "same.png")
    done = run_script("train.py", "-d", "data", "--strict", "--weights", __file__, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: 1 file cannot be decoded (--strict); remove what is named above\n"
    assert (
        r"skipped 'data/tennis/two\nlines \udcff.jpg': is no image of at most 65,000,000 pixels "
        "that OpenCV can decode\n"
    ) in done.stdout
    assert "the same picture in two classes: 'data/football/same.png', 'data/ten" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "the following arguments are required: -d/--dataset"),
        (["-d", "data", "-e", "0"], 2, "'0' is not a whole number from 1 to 1000000"),
        (["-d", "data", "--views", "-1"], 2, "'-1' is not a whole number from 0 to 1000"),
        (["-d", "data", "--seed", "-1"], 2, "'-1' is not a whole number from 0 to 4294967295"),
        (["-d", "data", "--resize", "stretch"], 2, "invalid choice: 'stretch'"),
        (["-d", "data", "-m", ""], 2, "'' is not the name of a file"),
        (["-d", "missing"], 1, "--dataset missing is not a folder"),
        (["-d", "data", "--none", "others"], 1, "--none others is not a folder; name one with"),
        (["-d", "labels"], 1, "--dataset labels is not a folder"),
        (
            ["-d", "data", "--labels", "tennis", "golf"],
            1,
            "--labels 'golf' is no folder with files",
        ),
        (
            ["-d", "data", "--labels", "tennis"],
            1,
            "--labels tennis makes 1 class of data, but a classifier needs at least two",
        ),
        (["-d", "data", "-m", "data/tennis"], 1, "--model data/tennis is a folder"),
        (
            ["-d", "data", "-m", "data/tennis/1.png/m"],
            1,
            "cannot be written: data/tennis/1.png is a file",
        ),
        (["-d", "data", "-p", "model/lb.pickle"], 1, "--label-bin and --plot are the same file"),
        (["-d", "data", "-m", "activity.xml"], 1, "are the same file"),
        (["-d", "data", "-p", "plot.gif"], 1, "choose a name ending in .png, .pdf or .svg"),
        (["-d", "data", "--errors", "e.gif"], 1, "choose a name ending in .png, .pdf or .svg"),
        (["-d", "data", "--errors", "plot.png"], 1, "--plot and --errors are the same file"),
        (["-d", "data", "--weights", "none.h5"], 1, "--weights none.h5 is not a file"),
    ],
)
def test_a_mistake_prints_one_line(
    arguments: list[str], code: int, message: str,
    tmp_path: Path, dataset_folder: Path
) -> None:  # fmt: skip
    (tmp_path / "data").symlink_to(dataset_folder)
    done = run_script("train.py", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "data" not in path.parts]


def test_wrong_weights_print_one_line(tmp_path: Path, dataset_folder: Path) -> None:
    done = run_script("train.py", "-d", dataset_folder, "--weights", __file__, cwd=tmp_path)
    assert done.returncode == 1
    assert "does not hold ResNet50 weights without top" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_failed_download_names_the_base_that_needs_none(
    tmp_path: Path, dataset_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Exception("URL fetch failure on https://example.org: None -- unreachable")

    monkeypatch.setattr(keras.applications, "ResNet50", refuse)
    done = run_script("train.py", "-d", dataset_folder, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: --weights imagenet could not be downloaded (URL fetch failure on "
        "https://example.org: None -- unreachable); take --base efficientnet_lite2, whose weights "
        "come along, or give the path of a file of ResNet50 weights without top\n"
    )


def test_a_class_whose_images_are_all_broken_is_an_error(
    tmp_path: Path, dataset_folder: Path
) -> None:
    folder = Path(shutil.copytree(dataset_folder, tmp_path / "data"))
    for path in (folder / "tennis").iterdir():
        path.write_text("broken")
    done = run_script("train.py", "-d", "data", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: --labels 'tennis' holds nothing that decodes (data/tennis/0.png is no image of at "
        "most 65,000,000 pixels that OpenCV can decode); add pictures or videos\n"
    )


def test_classes_are_the_defaults_of_the_tutorial() -> None:
    assert sorted(COLOURS) == train.LABELS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "weights", "accuracy"),
    [
        ("resnet50", "weights/resnet50_sscd_notop.weights.h5", 0.88),
        ("efficientnet_lite2", None, 0.97),
    ],
)
def test_real_images_real_weights_and_real_clips(
    base: str, weights: str | None, accuracy: float, tmp_path: Path
) -> None:
    """The tutorial's whole task, without augmentation, which is a tenth of the work."""
    named = ["--weights", shared(weights)] if weights else []
    done = run_script(
        "train.py", "-d", shared("data/sports3"), "--views", 0, "--base", base, *named, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "model/activity.json").read_text())
    assert record["split"]["training_images"] == 1567
    assert record["test"]["images"] == 526
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
