from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from activity.errors import UserError
from activity.model_file import ModelCard
from activity.quiet.opencv import cv2
from activity.training import evaluation
from activity.training.dataset import Picture
from activity.training.evaluation import compare_copy, evaluate, save_plot
from activity.training.settings import Settings


def named(labels: str) -> list[Picture]:
    return [Picture(Path(f"{number}.png"), label, "", 0) for number, label in enumerate(labels)]


def test_scores_of_a_small_case_counted_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    probabilities = np.eye(3)[[0, 0, 1, 1, 1, 0]]
    record = evaluate(named("aaabbc"), probabilities, ["a", "b", "c"])
    assert record["calibration_error"] == pytest.approx(2 / 6)
    assert record["images"] == 6
    assert record["accuracy"] == pytest.approx(4 / 6)
    assert record["confusion_matrix"] == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert record["report"]["b"]["precision"] == pytest.approx(2 / 3)
    assert record["report"]["b"]["recall"] == 1
    assert record["report"]["c"]["f1-score"] == 0
    text = capsys.readouterr().out.strip()
    assert "6 images, accuracy 66.7%, calibration error 0.333" in text
    assert [line.split() for line in text.splitlines()[-3:]] == [
        ["a", "2", "1", "0"],
        ["b", "0", "2", "0"],
        ["c", "1", "0", "0"],
    ]


def test_a_class_that_is_never_right_still_has_its_row_and_column() -> None:
    record = evaluate(named("aab"), np.eye(3)[[0, 0, 0]], ["a", "b", "c"])
    assert record["confusion_matrix"] == [[2, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_a_copy_is_compared_with_its_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    copy = np.array([[0.8, 0.2], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])

    class Engine:
        def stream(self, items: Iterable[tuple[int, int]]) -> Iterator[tuple[int, np.ndarray]]:
            return ((number, copy[number]) for number, _ in items)

    monkeypatch.setattr(evaluation, "load_engine", lambda _: Engine())
    monkeypatch.setattr(evaluation, "plain_images", lambda pictures, _rule, _size: pictures)
    card = ModelCard(("a", "b"), "crop", 8)
    record = compare_copy(Path("m.xml"), named("abba"), model, card, Settings())
    assert record["accuracy"] == 0.75
    assert record["same_label"] == 0.75
    assert record["mean_absolute_difference"] == pytest.approx((0.1 + 0.2) * 2 / 8)
    said = capsys.readouterr().out
    # Two are right at 0.8, one is right at 0.6, and one wrong at 0.7.
    assert record["calibration_error"] == pytest.approx((2 * 0.2 + 0.4 + 0.7) / 4)
    assert "int8 copy on the same 4 images: accuracy 75.0%, same label on 75.0%" in said


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("name", ["plot.png", "plot.PDF", "plot.svg"])
def test_the_plot_is_written_whole(tmp_path: Path, epochs: int, name: str) -> None:
    history = {key: [0.5] * epochs for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
    save_plot(history, named("ab"), np.eye(2), ["a", "b"], tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.endswith("png"):
        plot = cv2.imread(str(tmp_path / name))
        assert plot is not None
        assert len(np.unique(plot.reshape(-1, 3), axis=0)) > 50


def test_a_plot_that_cannot_be_written_names_its_path(tmp_path: Path) -> None:
    history = {key: [0.5] for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
    with pytest.raises(UserError, match=r"none/plot\.png could not be written"):
        save_plot(history, named("a"), np.eye(1), ["a"], tmp_path / "none" / "plot.png")


def test_a_video_counts_once_and_by_the_mean_of_its_frames(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One frame in three of a.mp4 gets a wrong label, and one in two of b.mp4, a surer one."""
    pictures = [Picture(Path("single.png"), "a", "", 9)]
    pictures += [Picture(Path("1.jpg"), "a", "", 0, Path("a.mp4"), time) for time in range(3)]
    pictures += [Picture(Path("2.jpg"), "b", "", 1, Path("b.mp4"), time) for time in range(2)]
    # A video of both classes counts for each.
    pictures += [Picture(Path("3.jpg"), label, "", 2, Path("c.mp4")) for label in "ab"]
    of_a = np.array([1.0, 0.9, 0.9, 0.4, 0.9, 0.4, 0.9, 0.1])
    record = evaluate(pictures, np.stack([of_a, 1 - of_a], axis=1), ["a", "b"])
    assert record["clips"] == {
        "clips": 4,
        "accuracy": 0.75,
        "frames": 7,
        "frame_accuracy": pytest.approx(5 / 7),
        "wrong": [{"file": Path("b.mp4"), "label": "b", "predicted": "a"}],
    }
    said = capsys.readouterr().out
    assert "of these 7 frames of 4 clips: accuracy by clip 75.0%, by frame 71.4%\n" in said
    assert "'b.mp4' is b, and taken for a\n" in said
    assert evaluate(pictures[:1], np.eye(2)[:1], ["a", "b"])["clips"] is None


def test_of_many_classes_the_most_confused_pairs_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = [f"class {number:03d}" for number in range(300)]
    truth = [*range(300), 5, 5, 5, 7, 7]
    found = [*range(300), 6, 6, 6, 299, 299]
    pictures = [Picture(Path("x.png"), labels[index], "", 0) for index in truth]
    record = evaluate(pictures, np.eye(300)[found], labels)
    said = capsys.readouterr().out
    assert said.endswith(
        "most often confused:\n"
        "     3 class 005, taken for class 006\n"
        "     2 class 007, taken for class 299\n\n"
    )
    assert len(said) < 30_000
    assert record["confusion_matrix"][5][6] == 3
