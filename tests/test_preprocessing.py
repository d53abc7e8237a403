import numpy as np
import pytest

from activity.model_file import RESIZE_RULES
from activity.preprocessing import resize
from activity.quiet.opencv import cv2


def stripes(height: int, width: int) -> np.ndarray:
    """Draw an image whose red is the column and whose green is the row, in percent."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [columns * 100 / (width - 1), rows * 100 / (height - 1), np.zeros((height, width))]
    return np.stack(channels, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("rule", RESIZE_RULES)
@pytest.mark.parametrize(("height", "width"), [(400, 800), (800, 400), (300, 300), (90, 160)])
def test_crop_keeps_the_centre_and_squash_everything(height: int, width: int, rule: str) -> None:
    resized = resize(stripes(height, width), rule, 224).astype(int)
    assert resized.shape == (224, 224, 3)
    # The visible share of each axis, symmetric about its middle.
    for axis, length in ((1, height), (0, width)):
        half = 50 * min(height, width) / length if rule == "crop" else 50
        assert resized[..., axis].min() == pytest.approx(50 - half, abs=2)
        assert resized[..., axis].max() == pytest.approx(50 + half, abs=2)


@pytest.mark.parametrize("rule", RESIZE_RULES)
def test_an_image_of_the_right_size_is_left_alone(rule: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    assert (resize(image, rule, 224) == image).all()


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    board = np.indices((448, 448)).sum(axis=0) % 2 * 255
    image = cv2.merge([board.astype(np.uint8)] * 3)
    assert np.ptp(resize(image, "crop", 224)) == 0


@pytest.mark.parametrize("rule", RESIZE_RULES)
@pytest.mark.parametrize(
    ("height", "width"), [(300, 300), (402, 638), (447, 447), (1081, 1920), (300, 5000)]
)
def test_noise_is_averaged_at_any_ratio(height: int, width: int, rule: str) -> None:
    """The mean over an area has the deviation of the noise divided by the root of the area."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    side = min(height, width)
    area = (side * side if rule == "crop" else height * width) / 224**2
    # Interpolation alone would have three times as much at 1081 pixels.
    assert 0.7 < resize(noise, rule, 224).std() / (noise.std() / area**0.5) < 1.4
