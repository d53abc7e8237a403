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
