import numpy as np
import pytest

from activity.overlay import draw_label

SIZES = [(120, 160), (160, 284), (240, 320), (1280, 544), (402, 638), (1080, 1920), (2160, 3840)]


def changed(size: tuple[int, int], text: str, background: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the drawn frame and the box (top, left, bottom, right) of what drawing changed."""
    frame = np.full((*size, 3), background, np.uint8)
    draw_label(frame, text)
    rows, columns = np.nonzero((frame != background).any(axis=2))
    return frame, np.array([rows.min(), columns.min(), rows.max(), columns.max()])


@pytest.mark.parametrize("size", SIZES)
def test_stands_in_the_top_left_and_scales(size: tuple[int, int]) -> None:
    _, (top, left, bottom, right) = changed(size, "activity: tennis", 255)
    assert bottom < size[0] / 3
    assert right < size[1]
    assert top < size[0] / 10
    assert left < size[1] / 10
    assert bottom - top >= max(14, 0.05 * min(size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("background", [0, 128, 255])
def test_is_legible_on_any_background(size: tuple[int, int], background: int) -> None:
    frame, (top, left, bottom, right) = changed(size, "activity: tennis", background)
    text = frame[top : bottom + 1, left : right + 1].min(axis=2)
    bright, dark = np.mean(text > 200), np.mean(text < 70)
    assert 0.05 < bright < 0.6
    assert dark > 0.3


@pytest.mark.parametrize("size", SIZES)
def test_long_and_foreign_names_fit(size: tuple[int, int]) -> None:
    _, (_, _, _, right) = changed(size, "activity: " + "gewichtheben_für_fortgeschrittene" * 2, 255)
    assert right < size[1]


def test_letters_beyond_ascii_are_not_question_marks() -> None:
    drawn = {changed((400, 600), f"activity: {c}", 0)[0].tobytes() for c in "?ßéžЖ"}
    assert len(drawn) == 5


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (16, 16), (8, 300), (300, 8)])
def test_tiny_frames_do_no_harm(size: tuple[int, int]) -> None:
    draw_label(np.zeros((*size, 3), np.uint8), "activity: weight_lifting")
