"""Make the picture at the top of the README from two runs on the example clip.

python predict_video.py -i example_clips/tennis.mp4 -o output/tennis_1frame.avi --size 1
python predict_video.py -i example_clips/tennis.mp4 -o output/tennis_128avg.avi
python docs/strip.py
"""

from pathlib import Path

import cv2
import numpy as np

FRAMES = (30, 47, 70, 97, 115)  # the cuts to another sport begin at 45 and 95
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Put the chosen frames of the two videos side by side, raw labels above averaged ones."""
    rows = []
    for name in ("tennis_1frame.avi", "tennis_128avg.avi"):
        capture = cv2.VideoCapture(str(ROOT / "output" / name))
        frames = []
        while (frame := capture.read()[1]) is not None:
            frames.append(frame)
        tiles = [cv2.resize(frames[index], None, fx=0.6, fy=0.6) for index in FRAMES]
        gap = np.full((tiles[0].shape[0], 6, 3), 255, np.uint8)
        rows.append(np.hstack([part for tile in tiles for part in (tile, gap)][:-1]))
    gap = np.full((6, rows[0].shape[1], 3), 255, np.uint8)
    cv2.imwrite(str(ROOT / "docs" / "strip.png"), np.vstack([rows[0], gap, rows[1]]))


if __name__ == "__main__":
    main()
