"""How good the trained model is: the scores on the test part and the curves of the training."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import classification_report, confusion_matrix

from activity.engine import load_engine
from activity.figures import save_picture
from activity.model_file import ModelMetadata
from activity.training.calibration import calibration_error, class_indices, reliability
from activity.training.dataset import Picture, plain_images


def evaluate(
    pictures: Sequence[Picture], probabilities: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    """Compare the (N, classes) probabilities of pictures with their classes, and return the scores.

    Rows of the confusion matrix are true classes, columns predicted ones, in the order of `labels`.
    """
    truth, predicted = class_indices(pictures, labels), probabilities.argmax(axis=1)
    indices = range(len(labels))
    return {
        "images": len(truth),
        "accuracy": float(np.mean(truth == predicted)),
        "calibration_error": calibration_error(probabilities, truth),
        "clips": by_clip(pictures, probabilities, labels),
        "report": classification_report(
            truth, predicted, labels=indices, target_names=labels, output_dict=True, zero_division=0
        ),
        "confusion_matrix": confusion_matrix(truth, predicted, labels=indices).tolist(),
    }


def by_clip(
    pictures: Sequence[Picture], probabilities: np.ndarray, labels: Sequence[str]
) -> dict[str, Any] | None:
    """Compare the mean probabilities of each clip's frames with its class; None without a clip.

    A clip is what a video shows of one class.
    """
    clips = defaultdict[tuple[Path, str], list[np.ndarray]](list)
    for picture, row in zip(pictures, probabilities, strict=True):
        if picture.clip:
            clips[picture.clip, picture.label].append(row)
    if not clips:
        return None
    right, wrong = [], []
    for (video, label), rows in clips.items():
        right += [labels[int(row.argmax())] == label for row in rows]
        predicted = labels[int(np.mean(rows, axis=0).argmax())]
        if predicted != label:
            wrong.append({"file": video, "label": label, "predicted": predicted})
    return {
        "clips": len(clips), "accuracy": 1 - len(wrong) / len(clips),
        "frames": len(right), "frame_accuracy": float(np.mean(right)), "wrong": wrong,
    }  # fmt: skip


def compare_copy(
    path: Path, pictures: Sequence[Picture], probabilities: np.ndarray, metadata: ModelMetadata
) -> dict[str, float]:
    """Compare the (N, classes) probabilities of a model with those of its copy in a file."""
    images = plain_images(pictures, metadata.resize, metadata.input_size)
    copied = np.stack([row for _, row in load_engine(path).stream(enumerate(images))])
    truth, by_copy = class_indices(pictures, metadata.labels), copied.argmax(axis=1)
    return {
        "accuracy": float(np.mean(by_copy == truth)),
        "calibration_error": calibration_error(copied, truth),
        "same_label": float(np.mean(by_copy == probabilities.argmax(axis=1))),
        "mean_absolute_difference": float(np.abs(copied - probabilities).mean()),
    }


def save_plot(
    history: Mapping[str, Sequence[float]], probabilities: np.ndarray, truth: np.ndarray, path: Path
) -> None:
    """Plot loss and accuracy of training and test part, one value per epoch, and the reliability.

    That is the accuracy over the confidence, by the (N, classes) probabilities of the test part and
    its (N,) class indices.
    """
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    *panels, diagram = figure.subplots(1, 3)
    for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
        epochs = range(1, len(history[name]) + 1)
        panel.plot(epochs, history[name], ".-", label="training (augmented, with dropout)")
        panel.plot(epochs, history[f"val_{name}"], ".-", label="test")
        panel.set(xlabel="epoch", ylabel=name, title=name.capitalize())
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    shares, confidence, accuracy = reliability(probabilities, truth)
    diagram.plot([0, 1], [0, 1], color="grey", linewidth=1, label="perfect calibration")
    diagram.scatter(
        confidence, accuracy, 20 + 500 * shares, alpha=0.6, label="test, area: share of images"
    )
    diagram.set(xlabel="confidence", ylabel="accuracy", title="Reliability")
    diagram.set(xlim=(0, 1.03), ylim=(-0.03, 1.06))
    diagram.grid(alpha=0.3)
    diagram.legend(loc="upper left", markerscale=0.5)
    save_picture(figure, path, dpi=120)
