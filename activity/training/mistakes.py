"""The test images that a model gets wrong, as a record and as a contact sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from activity.figures import plain, save_picture
from activity.model_file import ModelCard
from activity.training.dataset import Picture, plain_images

COLUMNS = 6
LARGEST_SHEET = 48  # pictures; more would be too small to see, or too many to look at


@dataclass(frozen=True)
class Mistake:
    """A picture and the wrong label that it got."""

    picture: Picture
    predicted: str
    probability: float  # of the wrong label

    def record(self) -> dict[str, Any]:
        """Return it as it stands in the record of a run."""
        return {
            "file": self.picture.path,
            "label": self.picture.label,
            "predicted": self.predicted,
            "probability": round(self.probability, 4),
        }


def find_mistakes(
    pictures: Sequence[Picture], probabilities: np.ndarray, labels: Sequence[str]
) -> list[Mistake]:
    """Return the pictures whose (N, classes) probabilities point elsewhere, the surest ones first.

    The surest mistakes tell most: often they are pictures in a wrong folder.
    """
    mistakes = [
        Mistake(picture, labels[int(row.argmax())], float(row.max()))
        for picture, row in zip(pictures, probabilities, strict=True)
        if labels[int(row.argmax())] != picture.label
    ]
    return sorted(mistakes, key=lambda mistake: -mistake.probability)


def save_contact_sheet(
    mistakes: Sequence[Mistake], total: int, card: ModelCard, path: Path
) -> None:
    """Draw the surest mistakes, of `total` test pictures, as the model sees them."""
    shown = mistakes[:LARGEST_SHEET]
    images = plain_images([mistake.picture for mistake in shown], card.resize, card.input_size)
    rows = max(1, -(-len(shown) // COLUMNS))
    figure = Figure(figsize=(2.2 * COLUMNS, 2.65 * rows + 0.6), layout="constrained")
    title = f"{len(mistakes)} of {total} test images have a wrong label"
    if len(shown) < len(mistakes):
        title += f"; these are the {len(shown)} surest"
    figure.suptitle(title)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for panel, mistake, image in zip(panels, shown, images, strict=False):
        panel.imshow(image)
        panel.set_title(
            f"{plain(_shortened(mistake.picture.label))}, taken for\n"
            f"{plain(_shortened(mistake.predicted))} ({mistake.probability:.0%})\n"
            f"{plain(_shortened(mistake.picture.path.name))}",
            fontsize=8,
        )
    save_picture(figure, path, dpi=100)


def _shortened(name: str, longest: int = 28) -> str:
    """Return a name that fits over its picture."""
    return name if len(name) <= longest else f"{name[: longest - 10]}…{name[-9:]}"
