"""What the drawn scenes share: the size of the picture, a camera, figures and spectators."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from activity.quiet.opencv import cv2

WIDTH, HEIGHT, FPS = 480, 270, 25.0
# Scenes are drawn larger and shrunk, which gives fine lines and smooth edges.
OVERSAMPLING = 2

Point = tuple[float, float, float]  # metres: to the right, away from the camera, up
Colour = tuple[int, int, int]  # blue, green, red, 0..255
SKIN: Colour = (118, 148, 200)
WHITE: Colour = (240, 240, 240)


class Camera:
    """A pinhole camera at (x, y, z) that looks along y, tilted down by `tilt` radians.

    `focal` is the size in pixels of what is as large as it is far away.
    """

    def __init__(self, x: float, y: float, z: float, tilt: float, focal: float) -> None:
        self._position = np.array([x, y, z])
        self._cos, self._sin = np.cos(tilt), np.sin(tilt)
        self._focal = focal * OVERSAMPLING

    def pixel(self, x: float, y: float, z: float = 0.0) -> tuple[int, int]:
        """Project a point in metres to a pixel."""
        right, forward, up = np.array([x, y, z]) - self._position
        depth = forward * self._cos - up * self._sin
        rise = forward * self._sin + up * self._cos
        return (
            round(OVERSAMPLING * WIDTH / 2 + self._focal * right / depth),
            round(OVERSAMPLING * HEIGHT / 2 - self._focal * rise / depth),
        )

    def pixels(self, length: float, y: float) -> int:
        """Return how many pixels a length in metres has at the distance of y, at least 1."""
        return max(1, round(self._focal * length / float(y - self._position[1])))


def blank() -> np.ndarray:
    """Return a black frame to draw a scene on."""
    return np.zeros((OVERSAMPLING * HEIGHT, OVERSAMPLING * WIDTH, 3), np.uint8)


def fill(frame: np.ndarray, camera: Camera, points: Iterable[Point], colour: Colour) -> None:
    """Fill a polygon."""
    corners = np.array([camera.pixel(*point) for point in points], np.int32)
    cv2.fillPoly(frame, [corners], colour, cv2.LINE_AA)


def line(
    frame: np.ndarray, camera: Camera, start: Point, end: Point, width: float, colour: Colour
) -> None:
    """Draw a line whose width is in metres."""
    thickness = camera.pixels(width, (start[1] + end[1]) / 2)
    cv2.line(frame, camera.pixel(*start), camera.pixel(*end), colour, thickness, cv2.LINE_AA)


def ball(frame: np.ndarray, camera: Camera, centre: Point, radius: float, colour: Colour) -> None:
    """Draw a ball and its shadow."""
    x, y, _ = centre
    pixels = camera.pixels(radius, y)
    shade(frame, camera, x, y, 1.5 * radius)
    cv2.circle(frame, camera.pixel(*centre), pixels, colour, -1, cv2.LINE_AA)


def shade(frame: np.ndarray, camera: Camera, x: float, y: float, radius: float) -> None:
    """Darken the ground around a point, as a shadow does."""
    column, row = camera.pixel(x, y)
    width, height = camera.pixels(radius, y), camera.pixels(0.25 * radius, y)
    area = frame[max(0, row - height) : row + height, max(0, column - width) : column + width]
    if area.size == 0:  # outside the frame
        return
    shadow = area.copy()
    centre = (column - max(0, column - width), row - max(0, row - height))
    cv2.ellipse(shadow, centre, (width, height), 0, 0, 360, (0, 0, 0), -1, cv2.LINE_AA)
    area[:] = area // 3 * 2 + shadow // 3


def crowd(
    frame: np.ndarray, camera: Camera, y: float, heights: tuple[float, float], number: int
) -> None:
    """Draw rows of spectators, always the same ones, on stands at the distance y.

    They come first: all that is in the frame gets out of focus with them.
    """
    random = np.random.default_rng(0)
    radius = camera.pixels(0.25, y)
    for _ in range(number):
        x, z = random.uniform(-30, 30), random.uniform(*heights)
        shirt = tuple(int(value) for value in random.integers(30, 170, 3))
        column, row = camera.pixel(x, y, z)
        cv2.circle(frame, (column, row), radius, shirt, -1, cv2.LINE_AA)
        cv2.circle(frame, (column, row - radius), radius // 2, SKIN, -1, cv2.LINE_AA)
    frame[:] = cv2.GaussianBlur(frame, (0, 0), 2 * OVERSAMPLING)  # out of focus


# Name of a joint -> metres to the right of the figure's place, and up.
Pose = Mapping[str, tuple[float, float]]

# From joint to joint, width in metres, and which of a figure's colours.
LIMBS = [
    ("left hip", "left knee", 0.19, "shorts"),
    ("right hip", "right knee", 0.19, "shorts"),
    ("left knee", "left foot", 0.13, "socks"),
    ("right knee", "right foot", 0.13, "socks"),
    ("left hip", "right hip", 0.24, "shorts"),
    ("left hip", "left shoulder", 0.22, "shirt"),
    ("right hip", "right shoulder", 0.22, "shirt"),
    ("left hip", "right shoulder", 0.22, "shirt"),
    ("right hip", "left shoulder", 0.22, "shirt"),
    ("left shoulder", "right shoulder", 0.20, "shirt"),
    ("left shoulder", "left elbow", 0.12, "shirt"),
    ("right shoulder", "right elbow", 0.12, "shirt"),
    ("left elbow", "left hand", 0.09, "skin"),
    ("right elbow", "right hand", 0.09, "skin"),
]


def running(phase: float, facing: int) -> dict[str, tuple[float, float]]:
    """Return the pose of a runner from the side; `facing` is 1 to the right, -1 to the left."""
    pose = {"neck": (0.08, 1.52), "head": (0.12, 1.72)}
    for side, turn in (("left", 0.0), ("right", np.pi)):
        thigh = 0.7 * np.sin(phase + turn)
        shin = thigh - 0.5 - 0.6 * np.cos(phase + turn)
        knee = (0.45 * np.sin(thigh), 0.92 - 0.45 * np.cos(thigh))
        foot = (knee[0] + 0.45 * np.sin(shin), knee[1] - 0.45 * np.cos(shin))
        arm = -0.8 * np.sin(phase + turn)
        elbow = (0.08 + 0.3 * np.sin(arm), 1.46 - 0.3 * np.cos(arm))
        hand = (elbow[0] + 0.28 * np.sin(arm + 1.2), elbow[1] - 0.28 * np.cos(arm + 1.2))
        shoulder = (0.08 + (0.06 if side == "left" else -0.06), 1.46)
        hip = (0.04 if side == "left" else -0.04, 0.92)
        pose |= {
            f"{side} {name}": place
            for name, place in (
                ("hip", hip), ("knee", knee), ("foot", foot),
                ("shoulder", shoulder), ("elbow", elbow), ("hand", hand),
            )
        }  # fmt: skip
    return {name: (facing * x, z) for name, (x, z) in pose.items()}


def facing_camera(
    hands: Sequence[tuple[float, float]], squat: float = 0.0, stride: float = 0.0
) -> dict[str, tuple[float, float]]:
    """Return the pose of someone seen from the front or from behind.

    `hands` are the places of both hands, `squat` is 0 for standing and 1 for a deep squat, `stride`
    shifts the feet.
    """
    hip = 0.95 - 0.55 * squat
    shoulder = hip + 0.55 - 0.05 * squat
    pose = {"neck": (0.0, shoulder + 0.05), "head": (0.0, shoulder + 0.25)}
    for side, sign, hand in (("left", -1, hands[0]), ("right", 1, hands[1])):
        pose[f"{side} hip"] = (0.12 * sign, hip)
        pose[f"{side} knee"] = (sign * (0.17 + 0.28 * squat) + stride / 2, 0.5)
        pose[f"{side} foot"] = (sign * (0.22 + 0.1 * squat) - stride / 2, 0.06)
        pose[f"{side} shoulder"] = (0.2 * sign, shoulder)
        middle = (0.2 * sign + hand[0]) / 2 + 0.08 * sign, (shoulder + hand[1]) / 2 - 0.06
        pose[f"{side} elbow"] = middle
        pose[f"{side} hand"] = hand
    return pose


def draw_figure(
    frame: np.ndarray,
    camera: Camera,
    place: tuple[float, float],
    pose: Pose,
    shirt: Colour,
    shorts: Colour,
    socks: Colour = SKIN,
) -> None:
    """Draw a person of 1.85 m at (x, y)."""
    x, y = place
    colours = {"shirt": shirt, "shorts": shorts, "socks": socks, "skin": SKIN}
    shade(frame, camera, x, y, 0.45)
    neck = pose["neck"]
    head = (x + pose["head"][0], y, pose["head"][1])
    line(frame, camera, (x + neck[0], y, neck[1]), head, 0.11, SKIN)
    for start, end, width, part in LIMBS:
        (from_x, from_z), (to_x, to_z) = pose[start], pose[end]
        ends = (x + from_x, y, from_z), (x + to_x, y, to_z)
        line(frame, camera, *ends, width, colours[part])
    for side in ("left", "right"):
        foot_x, foot_z = pose[f"{side} foot"]
        toe = (x + foot_x + 0.08, y, foot_z - 0.03)
        line(frame, camera, (x + foot_x - 0.05, y, foot_z - 0.03), toe, 0.09, (40, 40, 40))
    radius = camera.pixels(0.12, y)
    column, row = camera.pixel(*head)
    cv2.circle(frame, (column, row), radius, SKIN, -1, cv2.LINE_AA)
    hair = (column, row - radius // 3)
    cv2.ellipse(frame, hair, (radius, radius), 0, 180, 360, (30, 40, 50), -1, cv2.LINE_AA)
