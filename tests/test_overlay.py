import numpy as np
import pytest
from labelled import prediction

from activity.prediction.overlay import draw, draw_rows
from activity.prediction.settings import Settings
from activity.prediction.smoothers.hmm import HiddenMarkov

SIZES = [(120, 160), (160, 284), (240, 320), (1280, 544), (402, 638), (1080, 1920), (2160, 3840)]
LABEL = [("activity: tennis", 0.87)]
FIVE = [("activity: weight_lifting", 0.6)] + [(f"class {i}", 0.1) for i in range(4)]


def changed(
    size: tuple[int, int], rows: list[tuple[str, float]], background: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the drawn frame and the box (top, left, bottom, right) of what drawing changed."""
    frame = np.full((*size, 3), background, np.uint8)
    draw_rows(frame, rows)
    found, columns = np.nonzero((frame != background).any(axis=2))
    return frame, np.array([found.min(), columns.min(), found.max(), columns.max()])


@pytest.mark.parametrize("size", SIZES)
def test_stands_in_the_top_left_and_scales(size: tuple[int, int]) -> None:
    _, (top, left, bottom, right) = changed(size, LABEL, 255)
    assert bottom < size[0] / 3
    assert right < size[1]
    assert top < size[0] / 10
    assert left < size[1] / 10
    assert bottom - top >= 0.1 * min(size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("background", [0, 128, 255])
def test_is_legible_on_any_background(size: tuple[int, int], background: int) -> None:
    frame, (top, left, bottom, right) = changed(size, LABEL, background)
    text = frame[top : bottom + 1, left : right + 1].min(axis=2)
    bright, dark = np.mean(text > 200), np.mean(text < 70)
    assert 0.05 < bright < 0.6
    assert dark > 0.3


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rows", [LABEL, FIVE, [("activity: " + "gewichtheben_für_" * 4, 0.5)]])
def test_covers_at_most_a_tenth_of_the_frame(
    size: tuple[int, int], rows: list[tuple[str, float]]
) -> None:
    frame, (top, left, bottom, right) = changed(size, rows, 255)
    assert (bottom + 1 - top) * (right + 1 - left) <= 0.1 * size[0] * size[1]
    assert (frame[bottom, left] < 255).all()  # the plate is inside the frame on all sides


@pytest.mark.parametrize("size", SIZES)
def test_bars_are_as_long_as_the_probabilities(size: tuple[int, int]) -> None:
    """On black, only a bar and its track fill a row of pixels from end to end."""
    probabilities = [1.0, 0.5, 0.25, 0.0]
    frame, (top, left, bottom, right) = changed(size, [("tennis", p) for p in probabilities], 0)
    drawn = frame[top : bottom + 1, left : right + 1, 0]
    bars = np.flatnonzero((drawn >= 64).all(axis=1))
    first_rows = bars[np.diff(bars, prepend=-2) > 1]
    shares = (drawn[first_rows] == 255).mean(axis=1)
    assert shares == pytest.approx(probabilities, abs=0.51 / drawn.shape[1])


def test_the_plate_does_not_breathe_with_the_digits() -> None:
    boxes = [changed((402, 638), [("activity: tennis", p)], 255)[1] for p in (0.01, 0.5, 1.0)]
    assert (np.array(boxes) == boxes[0]).all()


def test_letters_beyond_ascii_are_not_question_marks() -> None:
    drawn = {changed((400, 600), [(f"activity: {c}", 0.5)], 0)[0].tobytes() for c in "?ßéžЖ"}
    assert len(drawn) == 5


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (16, 16), (8, 300), (300, 8)])
def test_tiny_frames_do_no_harm(size: tuple[int, int]) -> None:
    draw_rows(np.zeros((*size, 3), np.uint8), [("activity: weight_lifting", 0.5)])


def test_the_most_probable_classes_and_the_smoother_are_named() -> None:
    def right_and_bottom(settings: Settings) -> tuple[int, int]:
        picture = np.full((402, 638, 3), 255, np.uint8)
        draw(picture, prediction("abc", [0.2, 0.7, 0.1]), "abc", settings)
        rows, columns = np.nonzero((picture != 255).any(axis=2))
        return columns.max(), rows.max()

    right, bottom = right_and_bottom(Settings())
    assert right_and_bottom(Settings(HiddenMarkov()))[0] > 1.3 * right
    bottoms = [right_and_bottom(Settings(top=top))[1] for top in (1, 2, 3, 9)]
    assert bottom == bottoms[0] < bottoms[1] < bottoms[2] == bottoms[3]
