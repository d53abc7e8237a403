"""The scores of a model, and what a training prints of them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from activity.model_file import ModelMetadata
from activity.quiet.opencv import cv2
from activity.training import evaluation, report
from activity.training.calibration import Calibration
from activity.training.dataset import Picture
from activity.training.evaluation import compare_copy, evaluate, save_plot
from activity.training.mistakes import Mistake

HISTORY = {name: [0.5, 0.4] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}


def named(labels: str) -> list[Picture]:
    return [Picture(Path(f"{number}.png"), label, "", 0) for number, label in enumerate(labels)]


def test_scores_of_a_small_case_counted_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    scores = evaluate(named("aaabbc"), np.eye(3)[[0, 0, 1, 1, 1, 0]], ["a", "b", "c"])
    assert (scores["images"], scores["accuracy"]) == (6, pytest.approx(4 / 6))
    assert scores["calibration_error"] == pytest.approx(2 / 6)
    assert scores["confusion_matrix"] == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert scores["report"]["b"]["precision"] == pytest.approx(2 / 3)
    assert scores["report"]["b"]["recall"] == 1
    assert scores["report"]["c"]["f1-score"] == 0
    report.print_scores(scores, ["a", "b", "c"])
    text = capsys.readouterr().out.strip()
    assert "6 images, accuracy 66.7%, calibration error 0.333" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["a", "0.667", "0.667", "0.667", "3"] in lines
    assert ["b", "0.667", "1.000", "0.800", "2"] in lines
    assert lines[-3:] == [["a", "2", "1", "0"], ["b", "0", "2", "0"], ["c", "1", "0", "0"]]
    never_right = evaluate(named("aab"), np.eye(3)[[0, 0, 0]], ["a", "b", "c"])
    assert never_right["confusion_matrix"] == [[2, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_a_video_counts_once_by_the_mean_of_its_frames(capsys: pytest.CaptureFixture[str]) -> None:
    """One frame in three of a.mp4 gets a wrong label, and one in two of b.mp4, with more weight."""
    pictures = [Picture(Path("single.png"), "a", "", 9)]
    pictures += [Picture(Path("1.jpg"), "a", "", 0, Path("a.mp4"), time) for time in range(3)]
    pictures += [Picture(Path("2.jpg"), "b", "", 1, Path("b.mp4"), time) for time in range(2)]
    # A video of both classes counts for each.
    pictures += [Picture(Path("3.jpg"), label, "", 2, Path("c.mp4")) for label in "ab"]
    of_a = np.array([1.0, 0.9, 0.9, 0.4, 0.9, 0.4, 0.9, 0.1])
    scores = evaluate(pictures, np.stack([of_a, 1 - of_a], axis=1), ["a", "b"])
    assert scores["clips"] == {
        "clips": 4, "accuracy": 0.75, "frames": 7, "frame_accuracy": pytest.approx(5 / 7),
        "wrong": [{"file": Path("b.mp4"), "label": "b", "predicted": "a"}],
    }  # fmt: skip
    report.print_scores(scores, ["a", "b"])
    printed = capsys.readouterr().out
    assert "of these 7 frames of 4 clips: accuracy by clip 75.0%, by frame 71.4%\n" in printed
    assert "'b.mp4' is b, and taken for a\n" in printed
    assert evaluate(pictures[:1], np.eye(2)[:1], ["a", "b"])["clips"] is None


def test_of_many_classes_the_most_confused_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    labels = [f"class {number:03d}" for number in range(300)]
    truth = [*range(300), 5, 5, 5, 7, 7]
    pictures = [Picture(Path("x.png"), labels[index], "", 0) for index in truth]
    scores = evaluate(pictures, np.eye(300)[[*range(300), 6, 6, 6, 299, 299]], labels)
    report.print_scores(scores, labels)
    printed = capsys.readouterr().out
    assert printed.endswith(
        "most often confused:\n"
        "     3 class 005, taken for class 006\n"
        "     2 class 007, taken for class 299\n\n"
    )
    assert len(printed) < 30_000


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
    metadata = ModelMetadata(("a", "b"), "crop", 8)
    scores = compare_copy(Path("m.xml"), named("abba"), model, metadata)
    assert scores == {
        "accuracy": 0.75, "same_label": 0.75,
        "mean_absolute_difference": pytest.approx((0.1 + 0.2) * 2 / 8),
        # Two are right at 0.8, one is right at 0.6, and one wrong at 0.7.
        "calibration_error": pytest.approx((2 * 0.2 + 0.4 + 0.7) / 4),
    }  # fmt: skip
    report.print_copy_scores(scores, 4, "int8")
    line = "int8 copy on the same 4 images: accuracy 75.0%, same label on 75.0%"
    assert line in capsys.readouterr().out


@pytest.mark.parametrize("sheet", [None, Path("errors.png")])
def test_mistakes_are_summed_up_with_where_to_look(
    sheet: Path | None, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = Mistake(Picture(Path("a.jpg"), "a", "", 0), "b", 0.9, tested=True)
    scores = {"images": 10, "accuracy": 0.9}
    report.print_mistakes([mistake] * 9, scores, Path("activity.json"), sheet)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("9 of 10 have a wrong label, and of all pictures 9, each from a model ")
    assert f"activity.json lists them, {sheet or '--errors FILE.png'} shows them" in first
    assert lines == ["  'a.jpg' is a, and taken for b (90%)"] * report.MOST_NAMES
    report.print_mistakes([], scores, Path("activity.json"), sheet)
    assert capsys.readouterr().out == ""
    report.print_mistakes([], scores | {"accuracy": 0.79}, Path("activity.json"), sheet)
    assert capsys.readouterr().out == f"{report.LOW_ACCURACY_HINT}\n"


def test_calibration_is_told_with_what_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_calibration(Calibration(0.5, 0.1, 0.01, {"yoga": 0.5, "bird\x1b": 1.0}))
    report.print_calibration(Calibration(0.5, 0.1, 0.01))
    report.print_calibration(Calibration())
    line = "calibration: temperature 0.50, which takes the error of held-out pictures from 0.100 "
    assert capsys.readouterr().out.splitlines() == [
        f"{line}to 0.010",
        "other things never taught: with one folder of them left out at a time, 75% of its "
        r"pictures are noticed (yoga 50%, bird\x1b 100%)",
        f"{line}to 0.010",
        "too few different pictures to calibrate the model's confidence",
    ]


@pytest.mark.parametrize("name", ["plot.png", "plot.PDF", "plot.svg"])
def test_the_plot_is_written_whole(tmp_path: Path, name: str) -> None:
    for epochs in (1, 2):
        history = {key: values[:epochs] for key, values in HISTORY.items()}
        save_plot(history, np.eye(2), np.arange(2), tmp_path / name)
        assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.endswith("png"):
        plot = cv2.imread(str(tmp_path / name))
        assert plot is not None
        assert len(np.unique(plot.reshape(-1, 3), axis=0)) > 50
