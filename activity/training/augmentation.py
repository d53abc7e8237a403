"""Random views of a training image, the same ones again for the same seed."""

import math

import numpy as np

from activity.preprocessing import resize, shrink_or_grow
from activity.quiet.opencv import cv2

PLAIN = 0  # the view that test images and video frames get


def view(image: np.ndarray, index: int, rule: str, size: int, seed: list[int]) -> np.ndarray:
    """Return view `index` of an (H, W, 3) uint8 image as (size, size, 3) uint8.

    View 0 is the plain one. Odd views are random resized crops, even ones the tutorial's affine
    distortions: crops show other framings at full detail, distortions other camera poses, and
    mixed they measured best (benchmarks/README.md). `seed` names the image and the run, so a view
    can be made again at any time, in any order.
    """
    if index == PLAIN:
        return resize(image, rule, size)
    random = np.random.default_rng([*seed, index])
    if index % 2:
        distorted = random_resized_crop(image, rule, size, random)
    else:
        distorted = random_affine(resize(image, rule, size), random)
    return distorted[:, ::-1] if random.random() < 0.5 else distorted


def random_resized_crop(
    image: np.ndarray, rule: str, size: int, random: np.random.Generator
) -> np.ndarray:
    """Cut 35-100 % of the area at an aspect ratio of 3:4 to 4:3, resized to (size, size, 3).

    The usual augmentation of ImageNet training (Szegedy et al. 2014, arXiv:1409.4842), from a
    larger minimum area because a head learns from few views.
    """
    if rule == "squash":
        side = max(size, min(image.shape[:2]))
        image = resize(image, rule, side)
    height, width = image.shape[:2]
    area = random.uniform(0.35, 1.0) * height * width
    ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
    crop_width = min(width, max(1, round(math.sqrt(area * ratio))))
    crop_height = min(height, max(1, round(math.sqrt(area / ratio))))
    left = int(random.integers(width - crop_width + 1))
    top = int(random.integers(height - crop_height + 1))
    return shrink_or_grow(image[top : top + crop_height, left : left + crop_width], size, size)


def random_affine(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Rotate by 30 degrees, zoom by 0.15, shift by 0.2 and shear by 0.15 degrees at most.

    These are the tutorial's `ImageDataGenerator` ranges (its shear is in degrees, too). Pixels
    from outside repeat the nearest edge. The shape does not change.
    """
    height, width = image.shape[:2]
    angle = math.radians(random.uniform(-30, 30))
    shear = math.radians(random.uniform(-0.15, 0.15))
    zoom_x, zoom_y = random.uniform(0.85, 1.15, 2)
    shift_x, shift_y = random.uniform(-0.2, 0.2, 2) * (width, height)

    def matrix(a: float, b: float, x: float, c: float, d: float, y: float) -> np.ndarray:
        return np.array([[a, b, x], [c, d, y], [0, 0, 1]])

    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    sin, cos = math.sin(angle), math.cos(angle)
    transform = (
        matrix(1, 0, centre_x + shift_x, 0, 1, centre_y + shift_y)
        @ matrix(cos, -sin, 0, sin, cos, 0)
        @ matrix(1, -math.sin(shear), 0, 0, math.cos(shear), 0)
        @ matrix(zoom_x, 0, 0, 0, zoom_y, 0)
        @ matrix(1, 0, -centre_x, 0, 1, -centre_y)
    )
    return cv2.warpAffine(
        image,
        transform[:2],
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
