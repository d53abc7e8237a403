"""How an image of any size becomes the square that the model sees.

The rule is chosen in training, travels with the model and is followed in prediction.
Channel order and mean subtraction are not here: they are part of the model's own graph.
"""

import numpy as np

from activity.quiet.opencv import cv2


def resize(image: np.ndarray, rule: str, size: int) -> np.ndarray:
    """Resize an (H, W, 3) uint8 image to (size, size, 3).

    `crop` keeps the aspect ratio, as ImageNet models are evaluated: the short side becomes
    `size` and the centre is kept. `squash` scales both sides independently, as the tutorial does.
    """
    if rule == "crop":
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = image[top : top + side, left : left + side]
    return shrink_or_grow(image, size, size)


def shrink_or_grow(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize to `width` x `height`, with the interpolation that suits the direction."""
    # Halving is many times faster than other ratios, and the mean over an area hardly changes.
    while image.shape[0] >= 4 * height and image.shape[1] >= 4 * width:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
    # Averaging over areas avoids aliasing when shrinking; when growing it would give blocks.
    shrinks = width * height < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=method)
