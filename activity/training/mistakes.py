"""Pictures that get a wrong label from a model that did not see them, and a contact sheet of them.

Those whose own label is least probable tell most: often they are in the wrong folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from activity.figures import plain, save_picture
from activity.model_file import ModelMetadata
from activity.training.annotations import TEST, TRAIN
from activity.training.calibration import class_indices
from activity.training.dataset import Picture, plain_images
from activity.training.split import Parts

COLUMNS = 6
LARGEST_SHEET = 48  # pictures; more would be too small to see, or too many to look at


@dataclass(frozen=True)
class Mistake:
    """A picture and the wrong label that it got."""

    picture: Picture
    predicted: str
    probability: float  # of the wrong label
    tested: bool  # whether the picture is one of the test part

    def __str__(self) -> str:
        own, found = self.picture.label, self.predicted
        return f"{str(self.picture)!r} is {own}, and taken for {found} ({self.probability:.0%})"

    def record(self) -> dict[str, Any]:
        """Return it as it stands in the record of a run."""
        picture = self.picture
        return {
            "file": picture.source, **({"time": picture.time} if picture.video else {}),
            "label": picture.label, "predicted": self.predicted,
            "probability": round(self.probability, 4), "part": TEST if self.tested else TRAIN,
        }  # fmt: skip


def find_mistakes(
    parts: Parts, tested: np.ndarray, held_out: np.ndarray, labels: Sequence[str]
) -> list[Mistake]:
    """Return the pictures of both parts with a wrong label, the least probable own label first.

    `tested` and `held_out` are (N, classes) probabilities of test and training part; the latter
    come from heads that did not see the pictures, or have no rows. The probability of a picture's
    own label is also cleanlab's measure of its quality; with the rest of cleanlab the first ones
    were no more often mislabelled (benchmarks/README.md).
    """
    probabilities = np.concatenate([tested, held_out])
    pictures = [*parts.test, *parts.train][: len(probabilities)]
    given = class_indices(pictures, labels)
    predicted, best = probabilities.argmax(axis=1), probabilities.max(axis=1)
    order = np.argsort(probabilities[np.arange(len(given)), given], kind="stable")
    return [
        Mistake(pictures[i], labels[predicted[i]], float(best[i]), bool(i < len(parts.test)))
        for i in order
        if predicted[i] != given[i]
    ]


def save_contact_sheet(mistakes: Sequence[Mistake], metadata: ModelMetadata, path: Path) -> None:
    """Draw the pictures of the first mistakes as the model sees them."""
    shown = mistakes[:LARGEST_SHEET]
    pictures = [mistake.picture for mistake in shown]
    images = plain_images(pictures, metadata.resize, metadata.input_size)
    rows = max(1, -(-len(shown) // COLUMNS))
    figure = Figure(figsize=(2.2 * COLUMNS, 2.65 * rows + 0.6), layout="constrained")
    title = f"{len(mistakes)} pictures get a wrong label from models that did not see them"
    if len(shown) < len(mistakes):
        title += f"; these are the first {len(shown)}"
    figure.suptitle(title)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for panel, mistake, image in zip(panels, shown, images, strict=False):
        panel.imshow(image)
        name = Path(str(mistake.picture)).name
        own, wrong, name = map(plain, (mistake.picture.label, mistake.predicted, name))
        caption = f"{own}, taken for\n{wrong} ({mistake.probability:.0%})\n{name}"
        panel.set_title(caption, fontsize=8)
    save_picture(figure, path, dpi=100)
