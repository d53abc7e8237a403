"""A football match, seen by a camera that follows an attack on the goal."""

import numpy as np

from activity.quiet.opencv import cv2
from tools.example_clips.scene import (
    WHITE,
    Camera,
    ball,
    blank,
    crowd,
    draw_figure,
    facing_camera,
    fill,
    line,
    running,
)

# Metres; the origin is the middle of the goal, y points away from the camera.
GOAL, CROSSBAR = 3.66, 2.44
RED_SHIRT, BLUE_SHIRT, NAVY, NET = (40, 40, 205), (190, 110, 40), (60, 30, 20), (190, 195, 190)


def draw(time: float) -> np.ndarray:
    """Draw the scene at a time in seconds, (height, width, 3) uint8 BGR."""
    frame = blank()
    camera = Camera(1.5 * np.sin(0.4 * time), -24, 4.4, 0.17, 600 + 25 * np.sin(0.6 * time))
    draw_pitch(frame, camera)
    keeper = [(-0.6, 1.2 + 0.2 * np.sin(3 * time)), (0.6, 1.2 + 0.2 * np.cos(3 * time))]
    draw_figure(
        frame, camera, (1.2 * np.sin(1.3 * time), -0.5), facing_camera(keeper, 0.25),
        (60, 210, 220), (30, 30, 30),
    )  # fmt: skip
    for number, (x, y, speed) in enumerate(
        [(-6, -4, 1.1), (4, -6, -1.0), (-2, -8, 1.4), (6, -9.5, -1.2), (-4.5, -11, 1.6)]
    ):
        facing = 1 if speed > 0 else -1
        red = number % 2 == 0
        draw_figure(
            frame, camera, (x + speed * time, y), running(9 * time + number, facing),
            RED_SHIRT if red else BLUE_SHIRT, WHITE if red else NAVY,
            RED_SHIRT if red else WHITE,
        )  # fmt: skip
    striker = -3 + 1.2 * time
    draw_figure(frame, camera, (striker, -12.6), running(9 * time, 1), BLUE_SHIRT, NAVY, WHITE)
    ball_place = (striker + 0.7 + 0.2 * np.sin(4 * time), -12.8, 0.13)
    ball(frame, camera, ball_place, 0.16, (250, 250, 250))
    column, row = camera.pixel(*ball_place)
    patch = camera.pixels(0.06, -12.8)
    cv2.circle(frame, (column, row), patch, (30, 30, 30), -1, cv2.LINE_AA)
    return frame


def draw_pitch(frame: np.ndarray, camera: Camera) -> None:
    """Draw stands, boards, mown grass, lines and the goal."""
    frame[:] = (52, 40, 36)
    crowd(frame, camera, 14, (1.5, 12), 1600)
    for number, left in enumerate(range(-30, 30, 6)):
        right = left + 6
        board = ((150, 60, 30), (40, 150, 190), (60, 60, 60), (50, 50, 170))[number % 4]
        fill(frame, camera, [(left, 8, 0), (right, 8, 0), (right, 8, 1), (left, 8, 1)], board)
    for number, near in enumerate(range(-22, 8, 3)):
        far = near + 3
        green = (48, 128, 62) if number % 2 else (40, 112, 52)
        fill(frame, camera, [(-40, near, 0), (40, near, 0), (40, far, 0), (-40, far, 0)], green)
    line(frame, camera, (-40, 0, 0), (40, 0, 0), 0.12, WHITE)
    for half, depth in ((9.16, 5.5), (20.16, 16.5)):  # the goal area and the penalty area
        for start, end in (
            ((-half, 0, 0), (-half, -depth, 0)),
            ((half, 0, 0), (half, -depth, 0)),
            ((-half, -depth, 0), (half, -depth, 0)),
        ):
            line(frame, camera, start, end, 0.12, WHITE)
    for x in np.arange(-GOAL, GOAL + 0.1, 0.3):
        line(frame, camera, (x, 2, 0), (x, 2, CROSSBAR - 0.4), 0.02, NET)
        line(frame, camera, (x, 2, CROSSBAR - 0.4), (x, 0, CROSSBAR), 0.02, NET)
    for z in np.arange(0.0, CROSSBAR - 0.3, 0.3):
        line(frame, camera, (-GOAL, 2, z), (GOAL, 2, z), 0.02, NET)
    for post in (-GOAL, GOAL):
        line(frame, camera, (post, 0, 0), (post, 0, CROSSBAR), 0.16, WHITE)
    line(frame, camera, (-GOAL, 0, CROSSBAR), (GOAL, 0, CROSSBAR), 0.16, WHITE)
