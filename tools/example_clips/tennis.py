"""A rally on a tennis court, seen by a camera high behind it."""

import numpy as np

from activity.quiet.opencv import cv2
from tools.example_clips.scene import (
    SKIN,
    WHITE,
    Camera,
    Colour,
    ball,
    blank,
    crowd,
    draw_figure,
    facing_camera,
    fill,
    line,
)

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


def draw(time: float) -> np.ndarray:
    """Draw the scene at a time in seconds, (height, width, 3) uint8 BGR."""
    frame = blank()
    camera = Camera(0.8 * np.sin(0.5 * time), -27, 9.5, 0.33, 540)
    draw_court(frame, camera)
    rally = np.sin(2.1 * time)  # -1 at the near player, 1 at the far one
    far, near = 3 * np.sin(0.9 * time), -3 * np.cos(0.7 * time)
    draw_player(frame, camera, (far, 11.5), np.sin(4.2 * time), WHITE)
    draw_net(frame, camera)
    x, y = near + (far - near) * (rally + 1) / 2, 11 * rally
    ball(frame, camera, (x, y, 1.2 + 1.5 * (1 - rally**2)), 0.1, (60, 240, 230))
    draw_player(frame, camera, (near, -11.0), np.cos(4.2 * time), (40, 40, 210))
    return frame


def draw_court(frame: np.ndarray, camera: Camera) -> None:
    """Draw stands, surroundings, court and lines."""
    frame[:] = (70, 45, 35)
    crowd(frame, camera, 24, (1.5, 9), 900)
    fill(frame, camera, [(-30, -20, 0), (30, -20, 0), (30, 22, 0), (-30, 22, 0)], (96, 120, 50))
    fill(frame, camera, [(-30, 22, 0), (30, 22, 0), (30, 22, 1.5), (-30, 22, 1.5)], (110, 60, 20))
    corners = [(-SIDE, -BASE, 0.0), (SIDE, -BASE, 0.0), (SIDE, BASE, 0.0), (-SIDE, BASE, 0.0)]
    fill(frame, camera, corners, (150, 90, 40))
    for start, end in LINES:
        line(frame, camera, (*start, 0), (*end, 0), 0.09, WHITE)


def draw_net(frame: np.ndarray, camera: Camera) -> None:
    """Draw the net with its white band."""
    for x in np.arange(-6.4, 6.41, 0.2):
        line(frame, camera, (x, 0, 0), (x, 0, 1), 0.02, (60, 60, 60))
    for z in np.arange(0.15, 1, 0.15):
        line(frame, camera, (-6.4, 0, z), (6.4, 0, z), 0.02, (60, 60, 60))
    line(frame, camera, (-6.4, 0, 1), (6.4, 0, 1), 0.12, (250, 250, 250))


def draw_player(
    frame: np.ndarray, camera: Camera, place: tuple[float, float], swing: float, shirt: Colour
) -> None:
    """Draw a player whose racket follows `swing`, -1 to 1."""
    x, y = place
    hand = (0.5 * np.cos(swing), 1.25 + 0.45 * np.sin(2 * swing))
    head = (0.95 * np.cos(swing), 1.35 + 0.8 * np.sin(2 * swing))
    pose = facing_camera([(-0.4, 1.0), hand], squat=0.15, stride=0.25 * swing)
    draw_figure(frame, camera, place, pose, shirt, WHITE, SKIN)
    line(frame, camera, (x + hand[0], y, hand[1]), (x + head[0], y, head[1]), 0.04, (30, 30, 30))
    axes = (camera.pixels(0.14, y), camera.pixels(0.2, y))
    centre = camera.pixel(x + head[0], y, head[1])
    cv2.ellipse(frame, centre, axes, 30 * swing, 0, 360, (40, 40, 200), 2, cv2.LINE_AA)
