"""Weight lifting on a platform: a barbell goes from the floor to above the head, and down."""

import numpy as np

from activity.quiet.opencv import cv2
from tools.example_clips.scene import WHITE, Camera, blank, draw_figure, facing_camera, fill, line

# Seconds of one lift, and at each the height of the bar in metres and how deep the squat is.
LIFT = (
    (0.0, 0.23, 0.85), (0.8, 0.23, 0.85), (1.3, 0.8, 0.1), (1.6, 1.05, 0.75), (2.4, 1.45, 0.0),
    (3.0, 1.4, 0.15), (3.3, 2.02, 0.1), (5.2, 2.05, 0.0), (5.6, 0.23, 0.3), (6.4, 0.23, 0.85),
)  # fmt: skip
# Each disc, from the inside out: radius in metres, colour.
DISCS = (
    (0.30, (40, 40, 215)),
    (0.30, (40, 40, 215)),
    (0.28, (200, 90, 30)),
    (0.22, (40, 200, 230)),
)


def draw(time: float) -> np.ndarray:
    """Draw the scene at a time in seconds, (height, width, 3) uint8 BGR."""
    frame = blank()
    camera = Camera(0.25 * np.sin(0.5 * time), -6.5, 1.5, 0.06, 580 + 20 * np.sin(0.7 * time))
    draw_hall(frame, camera)
    moments, heights, squats = zip(*LIFT, strict=True)
    now = time % moments[-1]
    bar, squat = np.interp(now, moments, heights), np.interp(now, moments, squats)
    hands = [(-0.5, bar), (0.5, bar)]
    draw_figure(frame, camera, (0, 0), facing_camera(hands, squat), (40, 40, 200), (40, 40, 200))
    draw_barbell(frame, camera, bar)
    return frame


def draw_hall(frame: np.ndarray, camera: Camera) -> None:
    """Draw the back wall with its banner, the floor and the platform."""
    frame[:] = (60, 34, 22)
    fill(frame, camera, [(-9, 3, 0), (9, 3, 0), (9, 3, 5), (-9, 3, 5)], (30, 26, 24))
    fill(frame, camera, [(-9, 3, 0), (9, 3, 0), (9, 3, 0.5), (-9, 3, 0.5)], (225, 225, 225))
    for number, x in enumerate(np.arange(-6.0, 6.1, 2.0)):
        colour = ((40, 40, 200), (60, 160, 60), (30, 170, 220))[number % 3]
        cv2.circle(
            frame, camera.pixel(x, 3, 2.9), camera.pixels(0.45, 3), colour,
            camera.pixels(0.1, 3), cv2.LINE_AA,
        )  # fmt: skip
    fill(frame, camera, [(-9, -6, 0), (9, -6, 0), (9, 3, 0), (-9, 3, 0)], (70, 60, 60))
    fill(frame, camera, [(-2.6, -2, 0), (2.6, -2, 0), (2.6, 2, 0), (-2.6, 2, 0)], (110, 160, 200))
    fill(frame, camera, [(-2.6, -2, 0), (-1, -2, 0), (-1, 2, 0), (-2.6, 2, 0)], (45, 45, 45))
    fill(frame, camera, [(2.6, -2, 0), (1, -2, 0), (1, 2, 0), (2.6, 2, 0)], (45, 45, 45))


def draw_barbell(frame: np.ndarray, camera: Camera, height: float) -> None:
    """Draw the bar, and on both ends discs seen a little from the side."""
    line(frame, camera, (-1.1, 0, height), (1.1, 0, height), 0.045, (190, 190, 190))
    for side in (-1, 1):
        for number, (radius, colour) in enumerate(DISCS):
            centre = camera.pixel(side * (0.66 + 0.08 * number), 0, height)
            axes = (camera.pixels(0.35 * radius, 0), camera.pixels(radius, 0))
            cv2.ellipse(frame, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
            cv2.ellipse(frame, centre, axes, 0, 0, 360, (30, 30, 30), 1, cv2.LINE_AA)
        hub = (camera.pixels(0.03, 0), camera.pixels(0.06, 0))
        cv2.ellipse(frame, centre, hub, 0, 0, 360, WHITE, -1, cv2.LINE_AA)
