"""What all pictures drawn with Matplotlib share."""

import io
import warnings
from pathlib import Path

from matplotlib.figure import Figure

from activity.files import written_whole
from activity.text import printable


def plain(name: str) -> str:
    """Return a file's or class's name as Matplotlib is to draw it, not as a formula."""
    return printable(name).replace("$", r"\$")


def save_picture(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure as .png, .pdf or .svg."""
    # Where the disk is full, Matplotlib's writers fail in ways of their own.
    picture = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # about letters that its font lacks
        figure.savefig(picture, format=path.suffix.lower().lstrip("."), dpi=dpi)
    with written_whole(path) as partial:
        partial.write_bytes(picture.getvalue())
