"""Draw the example clip: a rally on a tennis court, filmed from behind, with cuts to a park.

python -m example_clips.draw
"""

from pathlib import Path

import cv2
import numpy as np

from activity.video import video_writer

WIDTH, HEIGHT, FPS, FRAMES = 480, 270, 25.0, 160
# Frames of two cuts away from the court, which look like another sport.
PARK = [*range(60, 70), *range(115, 121)]

# Metres; the origin is the middle of the net, y points away from the camera.
SIDE, SINGLES, SERVICE, BASE = 5.49, 4.12, 6.40, 11.89
LINES = [
    ((-SIDE, -BASE), (SIDE, -BASE)),
    ((-SIDE, BASE), (SIDE, BASE)),
    *(((x, -BASE), (x, BASE)) for x in (-SIDE, -SINGLES, SINGLES, SIDE)),
    ((-SINGLES, -SERVICE), (SINGLES, -SERVICE)),
    ((-SINGLES, SERVICE), (SINGLES, SERVICE)),
    ((0, -SERVICE), (0, SERVICE)),
]


class Camera:
    """A camera high behind the court, which pans a little."""

    def __init__(self, pan: float) -> None:
        self._pan = pan

    def pixel(self, x: float, y: float, z: float = 0.0) -> tuple[int, int]:
        """Project a point in metres to a pixel."""
        distance, height, tilt, focal = 27.0, 9.5, 0.33, 540.0
        forward, up = y + distance, z - height
        depth = forward * np.cos(tilt) - up * np.sin(tilt)
        rise = forward * np.sin(tilt) + up * np.cos(tilt)
        return (
            round(WIDTH / 2 + focal * (x - self._pan) / depth),
            round(HEIGHT / 2 - focal * rise / depth),
        )

    def polygon(self, points: list[tuple[float, ...]]) -> np.ndarray:
        """Project a list of points."""
        return np.array([self.pixel(*point) for point in points], np.int32)


def draw_court(frame: np.ndarray, camera: Camera, random: np.random.Generator) -> None:
    """Draw stands, surroundings, court, lines and net."""
    frame[:] = (70, 45, 35)
    for _ in range(900):  # the crowd behind the court
        x, z = random.uniform(-30, 30), random.uniform(1.5, 9)
        colour = tuple(int(value) for value in random.integers(30, 170, 3))
        cv2.circle(frame, camera.pixel(x, 24, z), 3, colour, -1, cv2.LINE_AA)
    cv2.fillPoly(
        frame, [camera.polygon([(-30, -20), (30, -20), (30, 22), (-30, 22)])], (96, 120, 50)
    )
    cv2.fillPoly(
        frame, [camera.polygon([(-30, 22, 0), (30, 22, 0), (30, 22, 1.5), (-30, 22, 1.5)])],
        (110, 60, 20),
    )  # fmt: skip
    inside = [(-SIDE, -BASE), (SIDE, -BASE), (SIDE, BASE), (-SIDE, BASE)]
    cv2.fillPoly(frame, [camera.polygon(inside)], (150, 90, 40))
    for start, end in LINES:
        cv2.line(frame, camera.pixel(*start), camera.pixel(*end), (245, 245, 245), 2, cv2.LINE_AA)


def draw_net(frame: np.ndarray, camera: Camera) -> None:
    """Draw the net with its white band."""
    for x in np.arange(-6.4, 6.41, 0.2):
        cv2.line(frame, camera.pixel(x, 0, 0), camera.pixel(x, 0, 1), (60, 60, 60), 1)
    for z in np.arange(0.15, 1, 0.15):
        cv2.line(frame, camera.pixel(-6.4, 0, z), camera.pixel(6.4, 0, z), (60, 60, 60), 1)
    cv2.line(frame, camera.pixel(-6.4, 0, 1), camera.pixel(6.4, 0, 1), (250, 250, 250), 3)


def draw_player(
    frame: np.ndarray, camera: Camera, x: float, y: float, swing: float, shirt: tuple[int, ...]
) -> None:
    """Draw a figure of 1.8 m with a racket; `swing` from -1 to 1 moves legs and arm."""
    skin, shoe = (120, 150, 200), (240, 240, 240)
    scale = camera.pixel(x, y, 0)[1] - camera.pixel(x, y, 1)[1]
    thick = max(2, round(0.14 * scale))
    hip, neck = (x, y, 0.9), (x, y, 1.5)
    for side in (-1, 1):
        knee = (x + side * 0.18 + 0.15 * swing, y, 0.45)
        foot = (x + side * 0.32 - 0.1 * swing, y, 0.0)
        cv2.line(frame, camera.pixel(*hip), camera.pixel(*knee), skin, thick, cv2.LINE_AA)
        cv2.line(frame, camera.pixel(*knee), camera.pixel(*foot), skin, thick, cv2.LINE_AA)
        cv2.circle(frame, camera.pixel(*foot), max(1, thick // 2), shoe, -1, cv2.LINE_AA)
    cv2.line(frame, camera.pixel(*hip), camera.pixel(*neck), shirt, 2 * thick, cv2.LINE_AA)
    cv2.circle(frame, camera.pixel(x, y, 1.72), max(2, round(0.13 * scale)), skin, -1, cv2.LINE_AA)
    hand = (x + 0.5 * np.cos(swing), y, 1.25 + 0.45 * np.sin(2 * swing))
    head = (x + 0.95 * np.cos(swing), y, 1.35 + 0.8 * np.sin(2 * swing))
    cv2.line(frame, camera.pixel(*neck), camera.pixel(*hand), skin, max(1, thick // 2), cv2.LINE_AA)
    cv2.line(frame, camera.pixel(*hand), camera.pixel(*head), (30, 30, 30), 2, cv2.LINE_AA)
    axes = (max(2, round(0.14 * scale)), max(3, round(0.2 * scale)))
    cv2.ellipse(frame, camera.pixel(*head), axes, 30 * swing, 0, 360, (40, 40, 200), 2, cv2.LINE_AA)


def draw_park(frame: np.ndarray, index: int) -> None:
    """Draw mown grass with a white line and people strolling, as an advertisement might show."""
    for stripe in range(8):
        green = (50, 140, 60) if stripe % 2 else (45, 120, 50)
        cv2.rectangle(frame, (60 * stripe, 0), (60 * stripe + 59, HEIGHT), green, -1)
    cv2.line(frame, (0, 200), (WIDTH, 170), (240, 240, 240), 4, cv2.LINE_AA)
    cv2.ellipse(frame, (240, 180), (90, 40), 0, 0, 360, (240, 240, 240), 3, cv2.LINE_AA)
    random = np.random.default_rng(1)
    for _ in range(9):
        x, y = random.integers(20, WIDTH - 20) + index % 25, random.integers(60, HEIGHT - 20)
        shirt = tuple(int(value) for value in random.integers(40, 230, 3))
        cv2.line(frame, (int(x), int(y)), (int(x), int(y) + 14), (60, 50, 40), 5, cv2.LINE_AA)
        cv2.line(frame, (int(x), int(y) - 12), (int(x), int(y)), shirt, 8, cv2.LINE_AA)
        cv2.circle(frame, (int(x), int(y) - 18), 4, (120, 150, 200), -1, cv2.LINE_AA)


def draw_frame(index: int) -> np.ndarray:
    """Draw one frame, (HEIGHT, WIDTH, 3) uint8 BGR, as a camera with noise would see it."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    time = index / FPS
    if index in PARK:
        draw_park(frame, index)
    else:
        camera = Camera(0.8 * np.sin(0.5 * time))
        draw_court(frame, camera, np.random.default_rng(0))
        rally = np.sin(2.1 * time)  # -1 at the near player, 1 at the far one
        far, near = 3 * np.sin(0.9 * time), -3 * np.cos(0.7 * time)
        draw_player(frame, camera, far, 11.5, np.sin(4.2 * time), (240, 240, 240))
        draw_net(frame, camera)
        x, y = near + (far - near) * (rally + 1) / 2, 11 * rally
        cv2.circle(frame, camera.pixel(x, y, 1.2 + 1.5 * (1 - rally**2)), 3, (60, 240, 230), -1)
        draw_player(frame, camera, near, -11.0, np.cos(4.2 * time), (40, 40, 210))
    noise = np.random.default_rng(index).normal(0, 1.5, frame.shape)
    return np.clip(cv2.GaussianBlur(frame, (3, 3), 0.7) + noise, 0, 255).astype(np.uint8)


def main() -> None:
    """Write the clip beside this script."""
    path = Path(__file__).with_name("tennis.mp4")
    with video_writer(path, FPS) as writer:
        for index in range(FRAMES):
            writer.write(draw_frame(index))
    print(f"{path}: {FRAMES} frames, {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
