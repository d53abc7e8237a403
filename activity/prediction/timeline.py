"""A picture of a clip: every class's probability over time, and the label under it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activity.label_file import UNCERTAIN
from activity.prediction.curves import OTHERS, Curves
from activity.prediction.summary import Segment

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

# Seconds between two marks on the axis, as on a clock.
TICKS = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 36000)


def save_timeline(
    path: Path, title: str, curves: Curves, segments: Sequence[Segment], smoother: str
) -> None:
    """Draw the picture of at least one frame; `smoother` names who made the labels."""
    # Matplotlib takes a second to import, which only who wants the picture has to wait.
    from matplotlib.figure import Figure

    from activity.figures import save_picture

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    panel, strip = figure.subplots(2, 1, sharex=True, height_ratios=(8, 1))
    colours = curves.colours(segments)
    _draw_curves(panel, curves, colours)
    _draw_names(panel, title, colours, len(curves.labels) - len(colours))
    _draw_strip(strip, segments, colours, smoother)
    save_picture(figure, path, dpi=100)


def _draw_curves(panel: "Axes", curves: Curves, colours: Mapping[str, str]) -> None:
    seconds, lowest, highest, smoothed = curves.columns()
    for index, label in enumerate(curves.labels):
        if label not in colours:
            panel.plot(seconds, smoothed[:, index], color=OTHERS, linewidth=0.8, zorder=1.5)
            continue
        panel.fill_between(
            seconds, lowest[:, index], highest[:, index],
            step="mid", color=colours[label], alpha=0.25, linewidth=0.5,
        )  # fmt: skip
        panel.plot(seconds, smoothed[:, index], color=colours[label], linewidth=2)
    panel.set(ylabel="probability", ylim=(-0.02, 1.02))
    panel.grid(alpha=0.3)


def _draw_names(panel: "Axes", title: str, colours: Mapping[str, str], others: int) -> None:
    """Put the title above a panel, and the legend beside it; not all fonts have all letters."""
    from matplotlib.lines import Line2D
    from matplotlib.offsetbox import AnchoredOffsetbox, DrawingArea, HPacker, VPacker

    from activity.figures import name_box

    def row(name: str, **style: Any) -> HPacker:
        sample = DrawingArea(20, 7)
        sample.add_artist(Line2D([0, 20], [3.5, 3.5], **style))
        return HPacker(children=[sample, name_box(name, size=10, longest=170)], pad=0, sep=8)

    rows: list[Artist] = [row(name, color=colour, linewidth=2) for name, colour in colours.items()]
    if others:
        rows.append(row(f"and {others} more", color=OTHERS, linewidth=0.8))
    legend, above = VPacker(children=rows, pad=0, sep=5), name_box(title, size=12, longest=500)
    for side, anchor, box, pad in (
        ("center left", (1, 0.5), legend, 0.4), ("lower center", (0.5, 1), above, 0.0),
    ):  # fmt: skip
        panel.add_artist(
            AnchoredOffsetbox(
                side, child=box, pad=pad, frameon=False, bbox_to_anchor=anchor,
                bbox_transform=panel.transAxes,
            )
        )  # fmt: skip


def _draw_strip(
    panel: "Axes", segments: Sequence[Segment], colours: Mapping[str, str], smoother: str
) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    for segment in segments:
        colour = colours.get(segment.label, "lightgrey" if segment.label == UNCERTAIN else OTHERS)
        panel.barh(0, segment.end - segment.start, left=segment.start, color=colour)
    panel.set(yticks=[], ylim=(-0.4, 0.4), xlabel=f"time (thin: single frames, bold: {smoother})")
    start, end = segments[0].start, segments[-1].end
    step = next((step for step in TICKS if (end - start) / step <= 12), TICKS[-1])
    panel.xaxis.set_major_locator(MultipleLocator(step))
    panel.xaxis.set_major_formatter(FuncFormatter(_clock))
    panel.set_xlim(start, end)


def _clock(seconds: float, _position: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02.0f}"
    return f"{minutes}:{rest:02.0f}" if rest.is_integer() else f"{minutes}:{rest:04.1f}"
