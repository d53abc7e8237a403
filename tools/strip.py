"""Make the picture at the top of the README: an edited video, labelled in two ways.

python -m tools.strip
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[1]
CLIPS = ("football", "tennis", "weight_lifting")  # of 125 frames each, one after the other
FRAMES = (50, 135, 175, 260)  # in a cutaway, after a cut, in a cutaway, after a cut
WAYS = ("mean", "hmm")  # of smoothing, from top to bottom
GAP = 6
WHITE = (255, 255, 255)


def main() -> None:
    """Cut the video, label it, and put frames and timelines one below the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = folder / "edited.mp4"
        write_video(video)
        rows, timelines = [], []
        for way in WAYS:
            output, timeline = folder / f"{way}.mp4", folder / f"{way}.png"
            subprocess.run(
                [
                    sys.executable, ROOT / "predict_video.py", "--input", video, "--smoothing", way,
                    "--output", output, "--timeline", timeline, "--no-preview", "--quiet",
                    "--model", ROOT / "model/activity.xml", "--label-bin", ROOT / "model/lb.pickle",
                ],
                check=True,
            )  # fmt: skip
            drawn = frames_of(output)
            timelines.append(np.asarray(cv2.imread(str(timeline))))
            rows.append(side_by_side([drawn[index] for index in FRAMES], timelines[0].shape[1]))
        strip = np.vstack([*rows, *timelines])
        cv2.imwrite(str(ROOT / "docs/strip.png"), strip, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def frames_of(path: Path) -> list[np.ndarray]:
    """Return all frames of a clip."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (frame := capture.read()[1]) is not None:
        frames.append(frame)
    return frames


def write_video(path: Path) -> None:
    """Write the example clips as one video, one after the other."""
    pictures = [one for clip in CLIPS for one in frames_of(ROOT / f"example_clips/{clip}.mp4")]
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()


def side_by_side(pictures: list[np.ndarray], width: int) -> np.ndarray:
    """Return a row of pictures, together as wide as asked for, with gaps."""
    each = (width - (len(pictures) - 1) * GAP) // len(pictures)
    height = each * pictures[0].shape[0] // pictures[0].shape[1]
    row = np.full((height + GAP, width, 3), WHITE, np.uint8)
    for index, picture in enumerate(pictures):
        left = index * (each + GAP)
        resized = cv2.resize(picture, (each, height), interpolation=cv2.INTER_AREA)
        row[:height, left : left + each] = resized
    return row


if __name__ == "__main__":
    main()
