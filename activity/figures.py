"""What all pictures drawn with Matplotlib share."""

import io
import warnings
from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font

from activity.files import atomic_write
from activity.text import printable
from activity.video.sources import OWN_MARK


def plain(name: str, longest: int = 28) -> str:
    """Return a file's or class's name as Matplotlib is to draw it, not as a formula.

    Of a name of more than `longest` letters both ends are left.
    """
    name = printable(name)
    if len(name) > longest:
        name = f"{name[: longest - 10]}…{name[-9:]}"
    return name.replace("$", r"\$")


def fonts_for(text: str) -> list[str]:
    """Return the usual font, and if it lacks letters of a text, one that has most of these."""
    usual = rcParams["font.sans-serif"][0]
    lacking = set(map(ord, text)) - get_font(findfont(usual)).get_charmap().keys()
    if not lacking:
        return [usual]
    fonts = {font.name: font.fname for font in fontManager.ttflist}
    fonts.pop("Last Resort High-Efficiency", None)  # it has a box for every letter

    def found(name: str) -> int:
        return len(lacking & get_font(fonts[name]).get_charmap().keys())

    return [usual, max(fonts, key=found)]


def save_picture(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure as .png, .pdf or .svg."""
    # Where the disk is full, Matplotlib's writers fail in ways of their own.
    picture = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # about letters that its fonts lack
        figure.savefig(picture, format=path.suffix.lower().lstrip("."), dpi=dpi)
    # Or a folder with it would have it labelled.
    mark = OWN_MARK if path.suffix.lower() == ".png" else b""
    with atomic_write(path) as partial:
        partial.write_bytes(picture.getvalue() + mark)
