"""A picture of a clip: every class's probability over time, and the label under it."""

from activity.files import PICTURES
from activity.label_file import UNCERTAIN
from activity.prediction.curves import OTHERS, Curves
from activity.prediction.result import Result
from activity.video.sources import source_title

# Seconds between two marks on the axis, as on a clock.
TICKS = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 36000)


class Timeline(Curves):
    """The picture of a clip."""

    name = "timeline"
    help = "picture of all probabilities over time, .png, .pdf or .svg"
    endings = PICTURES
    needs_time = True

    def finish(self, result: Result) -> None:
        """Draw the picture."""
        # Matplotlib takes a second to import, which only who wants the picture has to wait.
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, MultipleLocator

        from activity.figures import fonts_for, plain, save_picture

        colours = self.colours(result.segments)
        title = source_title(self.clip.source)
        fonts = fonts_for(title + "".join(colours))
        figure = Figure(figsize=(12, 4.2), layout="constrained")
        panel, strip = figure.subplots(2, 1, sharex=True, height_ratios=(8, 1))
        seconds, lowest, highest, smoothed = self.columns()
        others = [label for label in self.labels if label not in colours]
        lines = []
        for label in [*colours, *others]:
            index, colour = self.labels.index(label), colours.get(label, OTHERS)
            style = {"linewidth": 0.8, "zorder": 1.5}
            if label in colours:
                style = {"linewidth": 2.0, "zorder": 2.0}
                band = {"step": "mid", "alpha": 0.25, "linewidth": 0.5}
                limits = (lowest[:, index], highest[:, index])
                panel.fill_between(seconds, *limits, color=colour, **band)
            lines += panel.plot(seconds, smoothed[:, index], color=colour, **style)
        names = [*map(plain, colours), *[f"and {len(others)} more"] * bool(others)]
        panel.set(ylabel="probability", ylim=(-0.02, 1.02))
        panel.grid(alpha=0.3)
        legend = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
        panel.legend(lines[: len(names)], names, prop={"family": fonts}, **legend)
        figure.suptitle(plain(title, longest=60), family=fonts)
        shades = {UNCERTAIN: "lightgrey"} | colours
        for segment in result.segments:
            colour, length = shades.get(segment.label, OTHERS), segment.end - segment.start
            strip.barh(0, length, left=segment.start, color=colour)
        axis = f"time (thin: single frames, bold: {result.smoothing})"
        strip.set(yticks=[], ylim=(-0.4, 0.4), xlabel=axis, xlim=(result.start, result.end))
        shortest = (result.end - result.start) / 12
        step = next((step for step in TICKS if step >= shortest), TICKS[-1])
        strip.xaxis.set_major_locator(MultipleLocator(step))
        strip.xaxis.set_major_formatter(FuncFormatter(_clock))
        save_picture(figure, self.path, dpi=100)


def _clock(seconds: float, _position: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02.0f}"
    return f"{minutes}:{rest:02.0f}" if rest.is_integer() else f"{minutes}:{rest:04.1f}"
