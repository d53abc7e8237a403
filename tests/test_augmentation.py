import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activity.model_file import RESIZE_RULES
from activity.preprocessing import resize
from activity.training.augmentation import random_affine, random_resized_crop, view


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8)


class Fixed(np.random.Generator):
    """Draws the same point of every range: 0 its start, 0.5 its middle."""

    def __init__(self, point: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.point = point

    def uniform(self, low=0.0, high=1.0, size=None):  # type: ignore[no-untyped-def]
        value = low + self.point * (high - low)
        return value if size is None else np.full(size, value)

    def integers(self, low, high=None, **_):  # type: ignore[no-untyped-def,override]
        low, high = (0, low) if high is None else (low, high)
        return low + int(self.point * (high - low))


@pytest.mark.parametrize("rule", RESIZE_RULES)
def test_views_are_the_same_again_and_all_different(image: np.ndarray, rule: str) -> None:
    """And view 0 is what prediction sees."""
    views = [view(image, index, rule, 32, [7, 8]) for index in range(13)]
    assert (views[0] == resize(image, rule, 32)).all()
    again = [view(image, index, rule, 32, [7, 8]) for index in reversed(range(13))][::-1]
    assert all((one == other).all() for one, other in zip(views, again, strict=True))
    assert len({one.tobytes() for one in views}) == 13
    assert (view(image, 1, rule, 32, [7, 9]) != views[1]).any()


@settings(max_examples=60)
@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(0, 12), st.sampled_from(RESIZE_RULES),
    st.integers(0, 2**130),
)  # fmt: skip
def test_any_size_gives_a_square_of_colours_from_the_image(
    height: int, width: int, index: int, rule: str, seed: int
) -> None:
    colour = np.array([10, 200, 60], np.uint8)
    distorted = view(np.tile(colour, (height, width, 1)), index, rule, 24, [seed])
    assert distorted.dtype == np.uint8
    assert np.array_equal(distorted, np.tile(colour, (24, 24, 1)))


def test_the_middle_of_all_ranges_is_the_identity(image: np.ndarray) -> None:
    assert (random_affine(image, Fixed(0.5)) == image).all()


def test_the_ends_of_the_ranges_are_the_tutorials() -> None:
    """A dot right of the centre lands where the matrices, multiplied by hand, put it."""
    image = np.zeros((201, 201, 3), np.uint8)
    image[100 - 2 : 100 + 3, 140 - 2 : 140 + 3] = 255
    rows, columns, _ = np.nonzero(random_affine(image, Fixed(0.0)))
    # Zoomed by 0.85 to 34 pixels from the centre, turned by -30 degrees, shifted by -20 %.
    assert columns.mean() == pytest.approx(100 + 34 * np.cos(np.pi / 6) - 0.2 * 201, abs=0.6)
    assert rows.mean() == pytest.approx(100 - 34 * np.sin(np.pi / 6) - 0.2 * 201, abs=0.6)


def test_the_smallest_crop_has_35_percent_at_three_to_four() -> None:
    """Each pixel knows its place, so the corners of the crop can be read off."""
    rows, columns = np.mgrid[0:200, 0:200]
    image = np.stack([columns, rows, rows], axis=-1).astype(np.uint8)
    crop = random_resized_crop(image, "crop", 64, Fixed(0.0)).astype(int)
    width, height = crop[0, -1, 0] - crop[0, 0, 0] + 1, crop[-1, 0, 1] - crop[0, 0, 1] + 1
    assert width * height == pytest.approx(0.35 * 200 * 200, rel=0.05)
    assert width / height == pytest.approx(3 / 4, rel=0.05)


def test_half_of_the_views_are_mirrored() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = 255
    mirrored = [view(image, 1, "crop", 32, [seed])[16, 0, 0] > 127 for seed in range(200)]
    assert 70 <= sum(mirrored) <= 130
