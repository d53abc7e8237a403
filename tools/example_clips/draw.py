"""Draw the example clips, one for each of the three sports.

    python -m tools.example_clips.draw

Each shows its scene with cuts to another sport, as a broadcast has them, so that the label of
single frames flickers and the average over many frames does not.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from activity.quiet.opencv import cv2
from tools.example_clips import football, tennis, weight_lifting
from tools.example_clips.scene import FPS, HEIGHT, WIDTH

FOLDER = Path(__file__).parents[2] / "example_clips"
FRAMES = 125
CUTS = [*range(45, 55), *range(95, 101)]

Scene = Callable[[float], np.ndarray]
CLIPS: dict[str, tuple[Scene, Scene]] = {  # the scene, and what the cuts show
    "football": (football.draw, tennis.draw),
    "tennis": (tennis.draw, football.draw),
    "weight_lifting": (weight_lifting.draw, football.draw),
}


def filmed(drawing: np.ndarray, number: int) -> np.ndarray:
    """Return a drawing as a camera sees it, blurred and noisy, (HEIGHT, WIDTH, 3) uint8."""
    frame = cv2.resize(drawing, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(number).normal(0, 0.7, frame.shape)
    seen: np.ndarray = np.clip(cv2.GaussianBlur(frame, (3, 3), 0.6) + noise, 0, 255)
    return seen.astype(np.uint8)


def main() -> None:
    """Write the clips."""
    for name, (scene, elsewhere) in CLIPS.items():
        path = FOLDER / f"{name}.mp4"
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, FPS, (WIDTH, HEIGHT))
        for number in range(FRAMES):
            draw = elsewhere if number in CUTS else scene
            writer.write(filmed(draw(number / FPS), number))
        writer.release()
        print(f"{path}: {FRAMES} frames, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
