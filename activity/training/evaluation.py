"""How good the trained model is: the scores on the test part and the curves of the training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import classification_report, confusion_matrix

from activity.figures import save_picture
from activity.training.dataset import Picture


def class_indices(pictures: Sequence[Picture], labels: Sequence[str]) -> np.ndarray:
    """Return the (N,) places of the pictures' classes among `labels`."""
    return np.array([labels.index(picture.label) for picture in pictures])


def evaluate(
    truth: np.ndarray, predicted: np.ndarray, labels: Sequence[str]
) -> tuple[dict[str, Any], str]:
    """Compare (N,) class indices; return the scores as a record and as text.

    Rows of the confusion matrix are true classes, columns predicted ones, in the order of `labels`.
    """
    indices = range(len(labels))
    report = {"labels": indices, "target_names": labels, "zero_division": 0}
    matrix = confusion_matrix(truth, predicted, labels=indices)
    record = {
        "images": len(truth),
        "accuracy": float(np.mean(truth == predicted)),
        "report": classification_report(truth, predicted, output_dict=True, **report),
        "confusion_matrix": matrix.tolist(),
    }
    column = max(6, *(len(label) for label in labels)) + 2
    text = [
        f"test part: {len(truth)} images, accuracy {record['accuracy']:.1%}\n",
        classification_report(truth, predicted, digits=3, **report),
        "confusion matrix: a row for each true class, a column for each predicted one",
        " " * column + "".join(f"{label:>{column}}" for label in labels),
    ]
    for label, row in zip(labels, matrix, strict=True):
        text.append(f"{label:>{column}}" + "".join(f"{count:{column}d}" for count in row))
    return record, "\n".join(text)


def compare(
    name: str, truth: np.ndarray, probabilities: np.ndarray, copied: np.ndarray
) -> tuple[dict[str, float], str]:
    """Compare the (N, classes) probabilities of a model and of its copy, as a record and as text.

    `truth` holds the (N,) class indices, `name` what the copy is called in the text.
    """
    predicted, by_copy = probabilities.argmax(axis=1), copied.argmax(axis=1)
    record = {
        "accuracy": float(np.mean(by_copy == truth)),
        "same_label": float(np.mean(by_copy == predicted)),
        "mean_absolute_difference": float(np.abs(copied - probabilities).mean()),
    }
    text = (
        f"{name} copy on the same {len(truth)} images: accuracy {record['accuracy']:.1%}, "
        f"same label on {record['same_label']:.1%}, "
        f"probabilities differ by {record['mean_absolute_difference']:.4f} on average"
    )
    return record, text


def save_plot(history: Mapping[str, Sequence[float]], path: Path) -> None:
    """Plot loss and accuracy of training and test part, one value an epoch, as a picture."""
    epochs = range(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, 2)
    for panel, name in zip(panels, ("loss", "accuracy"), strict=True):
        panel.plot(epochs, history[name], ".-", label="training (augmented, with dropout)")
        panel.plot(epochs, history[f"val_{name}"], ".-", label="test")
        panel.set(xlabel="epoch", ylabel=name, title=name.capitalize())
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    save_picture(figure, path, dpi=120)
