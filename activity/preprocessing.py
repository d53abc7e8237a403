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
    """Resize to `width` x `height`: halve each side while that is possible, then interpolate.

    So mipmaps do it (Williams 1983, "Pyramidal parametrics"). The mean of two pixels is many times
    faster than that of other areas, and where less than two pixels fall on one, little aliases.
    """
    rows, columns = image.shape[:2]
    while rows >= 2 * height or columns >= 2 * width:
        rows = rows // 2 if rows >= 2 * height else rows
        columns = columns // 2 if columns >= 2 * width else columns
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
