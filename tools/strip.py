"""Make the picture at the top of the README from two runs on an example clip.

python predict_video.py -i example_clips/tennis.mp4 -o output/tennis_1frame.avi --size 1
python predict_video.py -i example_clips/tennis.mp4 -o output/tennis_128avg.avi \\
    --timeline output/tennis_128avg.png
python tools/strip.py
"""

from pathlib import Path

import cv2
import numpy as np

FRAMES = (30, 47, 97, 115)  # the cuts to another sport begin at 45 and 95
GAP = 6
ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "output"


def main() -> None:
    """Put raw labels above averaged ones, frame by frame, and the timeline under them."""
    timeline = cv2.imread(str(OUTPUT / "tennis_128avg.png"))
    if timeline is None:
        raise SystemExit("run the two commands first that this script's docstring names")
    width = (timeline.shape[1] - (len(FRAMES) - 1) * GAP) // len(FRAMES)
    rows: list[np.ndarray] = []
    for name in ("tennis_1frame.avi", "tennis_128avg.avi"):
        capture = cv2.VideoCapture(str(OUTPUT / name))
        frames = []
        while (frame := capture.read()[1]) is not None:
            frames.append(frame)
        height = width * frames[0].shape[0] // frames[0].shape[1]
        gap = np.full((height, GAP, 3), 255, np.uint8)
        row = []
        for index in FRAMES:
            row += [cv2.resize(frames[index], (width, height), interpolation=cv2.INTER_AREA), gap]
        strip = np.hstack(row[:-1])
        rows.append(cv2.copyMakeBorder(
            strip, 0, GAP, 0, timeline.shape[1] - strip.shape[1],
            cv2.BORDER_CONSTANT, value=(255, 255, 255),
        ))  # fmt: skip
    cv2.imwrite(str(ROOT / "docs" / "strip.png"), np.vstack([*rows, timeline]))


if __name__ == "__main__":
    main()
