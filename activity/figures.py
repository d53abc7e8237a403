"""What all pictures drawn with Matplotlib share."""

import io
import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.offsetbox import DrawingArea, OffsetBox, TextArea
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from activity.files import written_whole
from activity.quiet.opencv import cv2
from activity.text import printable

# OpenCV brings Chinese, Japanese and Korean letters, which the machine may not have.
FONT = cv2.FontFace("sans")
PIXELS = 128  # height of the letters whose outlines are taken
ROW, DESCENT = 1.05, 0.2  # heights of a row, and of what is below the line that letters stand on


def plain(name: str) -> str:
    """Return a file's or class's name as Matplotlib is to draw it, not as a formula."""
    return printable(name).replace("$", r"\$")


def name_box(name: str, size: float, longest: float) -> OffsetBox:
    """Return a file's or class's name as a box to be placed, in letters of `size` points.

    It holds text, or the outlines of letters where Matplotlib's font lacks one of them. Of a name
    longer than about `longest` points it holds both ends.
    """
    name = _shortened(printable(name), longest / size)
    known = get_font(findfont(FontProperties())).get_charmap()
    if all(ord(letter) in known for letter in name):
        return TextArea(plain(name), textprops={"size": size})
    return _outlined(name, size)


def _shortened(name: str, longest: float) -> str:
    if _width(name) <= longest:
        return name
    shorter = "…"
    for tail in range(1, len(name)):
        longer = f"{name[: 2 * tail]}…{name[-tail:]}"
        if _width(longer) > longest:
            break
        shorter = longer
    return shorter


def _width(text: str) -> float:
    """Return the width of a text in heights of a letter, by the font that has most letters."""
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), FONT, PIXELS)
    return width / PIXELS


def _outlined(text: str, size: float) -> DrawingArea:
    width, baseline = _width(text), round(1.4 * PIXELS)
    # More room than it takes, for any accents.
    ink = np.zeros((2 * PIXELS, round(width * PIXELS) + PIXELS), np.uint8)
    cv2.putText(ink, text, (0, baseline), (255, 255, 255), FONT, PIXELS)
    # Holes turn the other way round than what they are in, so they stay open when it is filled.
    contours, _ = cv2.findContours(ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    scale = size / PIXELS
    outlines = [Outline((each[:, 0] - (0, baseline)) * (scale, -scale)) for each in contours]
    box = DrawingArea(width * size, ROW * size, 0, DESCENT * size)
    letters = Outline.make_compound_path(*outlines)
    box.add_artist(PathPatch(letters, facecolor="black", linewidth=0))
    return box


def save_picture(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure as .png, .pdf or .svg."""
    # Where the disk is full, Matplotlib's writers fail in ways of their own.
    picture = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # about letters that its font lacks
        figure.savefig(picture, format=path.suffix.lower().lstrip("."), dpi=dpi)
    with written_whole(path) as partial:
        partial.write_bytes(picture.getvalue())
