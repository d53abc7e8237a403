"""Draw the table of `benchmarks.prediction` as the picture in docs/measurements.md.

python -m benchmarks.prediction … > table.md && python -m benchmarks.speed_picture table.md PNG
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

COLOURS = ("#bbbbbb", "#5fa8d3", "#2a7f62")  # the tutorial's loop, and the models in their order


def main() -> None:
    """Draw a bar for each way to label a clip, a panel for each clip."""
    table, picture = map(Path, sys.argv[1:])
    rows = [
        line.strip("| \n").split(" | ") for line in table.read_text().splitlines() if "|" in line
    ]
    clips: dict[str, list[tuple[str, float]]] = {}
    for clip, way, rate, *_ in rows[2:]:
        if "times as long" not in way:
            clips.setdefault(clip, []).append((way, float(rate)))
    figure = Figure(figsize=(11, 4), layout="constrained")
    for panel, (clip, bars) in zip(
        figure.subplots(1, len(clips), sharey=True), clips.items(), strict=True
    ):
        names, rates = zip(*reversed(bars), strict=True)
        models = [name.split(", ")[0] for name in names]
        colours = dict(zip(dict.fromkeys(reversed(models)), COLOURS, strict=False))
        drawn = panel.barh(names, rates, color=[colours[model] for model in models])
        panel.bar_label(drawn, fmt="%.0f", padding=3)
        panel.axvline(30, color="black", linewidth=0.8, linestyle=":")
        panel.set(title=f"{clip}, frames/s (dotted: 30, real time)", xlim=(0, 1.12 * max(rates)))
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=120)


if __name__ == "__main__":
    main()
