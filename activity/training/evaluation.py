"""How good the trained model is: the scores on the test part and the curves of the training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import classification_report, confusion_matrix

from activity.engine import load_engine
from activity.figures import save_picture
from activity.model_file import ModelCard
from activity.training.calibration import calibration_error, reliability
from activity.training.dataset import Picture, plain_images
from activity.training.settings import Settings

# A confusion matrix of more classes fits no terminal: then the pairs that are most often confused.
MOST_COLUMNS, MOST_PAIRS = 12, 10


def evaluate(
    pictures: Sequence[Picture], probabilities: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    """Compare the (N, classes) probabilities of pictures with their classes; print and return it.

    Rows of the confusion matrix are true classes, columns predicted ones, in the order of `labels`.
    """
    truth, predicted = _class_indices(pictures, labels), probabilities.argmax(axis=1)
    indices = range(len(labels))
    report = {"labels": indices, "target_names": labels, "zero_division": 0}
    matrix = confusion_matrix(truth, predicted, labels=indices)
    error = calibration_error(probabilities, truth)
    record = {
        "images": len(truth),
        "accuracy": float(np.mean(truth == predicted)),
        "calibration_error": error,
        "clips": by_clip(pictures, probabilities, labels),
        "report": classification_report(truth, predicted, output_dict=True, **report),
        "confusion_matrix": matrix.tolist(),
    }
    text = [
        f"\ntest part: {len(truth)} images, accuracy {record['accuracy']:.1%}, "
        f"calibration error {error:.3f}",
        *_clip_lines(record["clips"]),
        "",
        classification_report(truth, predicted, digits=3, **report),
        *(_matrix_lines if len(labels) <= MOST_COLUMNS else _confusion_lines)(matrix, labels),
    ]
    print("\n".join(text), end="\n\n")
    return record


def by_clip(
    pictures: Sequence[Picture], probabilities: np.ndarray, labels: Sequence[str]
) -> dict[str, Any] | None:
    """Compare the mean probabilities of each clip's frames with its class; None without a clip.

    A clip is what a video shows of one class.
    """
    clips: dict[tuple[Path, str], list[np.ndarray]] = {}
    right = []
    for picture, row in zip(pictures, probabilities, strict=True):
        if picture.video:
            clips.setdefault((picture.video, picture.label), []).append(row)
            right.append(labels[int(row.argmax())] == picture.label)
    if not clips:
        return None
    means = {clip: np.mean(rows, axis=0) for clip, rows in clips.items()}
    wrong = [
        {"file": video, "label": label, "predicted": labels[int(mean.argmax())]}
        for (video, label), mean in means.items()
        if labels[int(mean.argmax())] != label
    ]
    return {
        "clips": len(clips),
        "accuracy": 1 - len(wrong) / len(clips),
        "frames": len(right),
        "frame_accuracy": float(np.mean(right)),
        "wrong": wrong,
    }


def _clip_lines(clips: dict[str, Any] | None) -> list[str]:
    if clips is None:
        return []
    count = "1 clip" if clips["clips"] == 1 else f"{clips['clips']} clips"
    lines = [
        f"of these {clips['frames']} frames of {count}: accuracy by clip {clips['accuracy']:.1%}, "
        f"by frame {clips['frame_accuracy']:.1%}"
    ]
    return lines + [
        f"{str(wrong['file'])!r} is {wrong['label']}, and taken for {wrong['predicted']}"
        for wrong in clips["wrong"]
    ]


def _matrix_lines(matrix: np.ndarray, labels: Sequence[str]) -> list[str]:
    column = max(6, *(len(label) for label in labels)) + 2
    return [
        "confusion matrix: a row for each true class, a column for each predicted one",
        " " * column + "".join(f"{label:>{column}}" for label in labels),
    ] + [
        f"{label:>{column}}" + "".join(f"{count:{column}d}" for count in row)
        for label, row in zip(labels, matrix, strict=True)
    ]


def _confusion_lines(matrix: np.ndarray, labels: Sequence[str]) -> list[str]:
    """Name the classes that are most often taken for others."""
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [
        (row, column) for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
    ]
    return ["most often confused:"] + [
        f"{wrong[row, column]:6d} {labels[row]}, taken for {labels[column]}"
        for row, column in pairs
        if wrong[row, column]
    ]


def compare_copy(
    path: Path,
    pictures: Sequence[Picture],
    probabilities: np.ndarray,
    card: ModelCard,
    settings: Settings,
) -> dict[str, float]:
    """Compare the (N, classes) probabilities of a model with its copy's; print and return it."""
    images = plain_images(pictures, card.resize, card.input_size)
    copied = np.stack([row for _, row in load_engine(path).stream(enumerate(images))])
    truth = _class_indices(pictures, card.labels)
    predicted, by_copy = probabilities.argmax(axis=1), copied.argmax(axis=1)
    record = {
        "accuracy": float(np.mean(by_copy == truth)),
        "calibration_error": calibration_error(copied, truth),
        "same_label": float(np.mean(by_copy == predicted)),
        "mean_absolute_difference": float(np.abs(copied - probabilities).mean()),
    }
    print(
        f"{settings.precision} copy on the same {len(truth)} images: "
        f"accuracy {record['accuracy']:.1%}, same label on {record['same_label']:.1%}, "
        f"calibration error {record['calibration_error']:.3f}, "
        f"probabilities differ by {record['mean_absolute_difference']:.4f} on average\n"
    )
    return record


def _class_indices(pictures: Sequence[Picture], labels: Sequence[str]) -> np.ndarray:
    return np.array([labels.index(picture.label) for picture in pictures])


def save_plot(
    history: Mapping[str, Sequence[float]],
    pictures: Sequence[Picture],
    probabilities: np.ndarray,
    labels: Sequence[str],
    path: Path,
) -> None:
    """Plot loss and accuracy of training and test part, one value an epoch, and a reliability.

    The last is how often the labels of the test `pictures` are right, over the (N, classes)
    probabilities that they are.
    """
    epochs = range(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    *panels, diagram = figure.subplots(1, 3)
    shares, sure, right = reliability(probabilities, _class_indices(pictures, labels))
    diagram.plot([0, 1], [0, 1], color="grey", linewidth=1, label="as sure as right")
    diagram.scatter(sure, right, 20 + 500 * shares, alpha=0.6, label="test, area: share of images")
    diagram.set(xlabel="mean probability of the label", ylabel="share of right labels")
    diagram.set(title="Reliability", xlim=(0, 1.03), ylim=(-0.03, 1.06))
    diagram.grid(alpha=0.3)
    diagram.legend(loc="upper left", markerscale=0.5)
    for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
        panel.plot(epochs, history[name], ".-", label="training (augmented, with dropout)")
        panel.plot(epochs, history[f"val_{name}"], ".-", label="test")
        panel.set(xlabel="epoch", ylabel=name, title=name.capitalize())
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    save_picture(figure, path, dpi=120)
