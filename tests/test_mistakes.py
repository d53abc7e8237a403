from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS

from activity.model_file import ModelMetadata
from activity.quiet.opencv import cv2
from activity.training.dataset import Picture
from activity.training.mistakes import LARGEST_SHEET, Mistake, find_mistakes, save_contact_sheet
from activity.training.split import Parts

LABELS = ["football", "tennis"]


def named(name: str, label: str) -> Picture:
    return Picture(Path("data", label, name), label, "", 0)


def test_whose_own_label_is_least_probable_comes_first() -> None:
    test = [named(f"{i}.jpg", "tennis") for i in range(4)]
    train = [named("4.jpg", "football"), named("5.jpg", "football"), named("6.jpg", "tennis")]
    tested = np.array([[0.62, 0.38], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    held_out = np.array([[0.4, 0.6], [0.9, 0.1], [0.68, 0.32]])
    wrong = find_mistakes(Parts(train, test, []), tested, held_out, LABELS)
    assert [mistake.record() for mistake in wrong] == [
        {"file": Path("data/tennis/2.jpg"), "label": "tennis", "predicted": "football",
         "probability": 0.8, "part": "test"},
        {"file": Path("data/tennis/6.jpg"), "label": "tennis", "predicted": "football",
         "probability": 0.68, "part": "train"},
        {"file": Path("data/tennis/0.jpg"), "label": "tennis", "predicted": "football",
         "probability": 0.62, "part": "test"},
        {"file": Path("data/football/4.jpg"), "label": "football", "predicted": "tennis",
         "probability": 0.6, "part": "train"},
    ]  # fmt: skip
    alone = find_mistakes(Parts(train, test, []), tested, held_out[:0], LABELS)
    assert [mistake.picture.path.name for mistake in alone] == ["2.jpg", "0.jpg"]


def test_a_frame_is_named_with_its_time() -> None:
    frame = Picture(Path("kept.jpg"), "tennis", "", 0, Path("clips/a.mp4"), 3.24)
    mistake = Mistake(frame, "football", 0.9, tested=True)
    assert str(mistake) == "'clips/a.mp4 3.24 s' is tennis, and taken for football (90%)"
    assert mistake.record() == {
        "file": Path("clips/a.mp4"), "time": 3.24, "label": "tennis", "predicted": "football",
        "probability": 0.9, "part": "test",
    }  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 7, LARGEST_SHEET + 5])
def test_the_sheet_shows_each_picture(tmp_path: Path, count: int) -> None:
    """Each picture has a colour of its own class, which is found in as many places."""
    names = ["a $formula$.png", "two\nlines \udcff.png", "x" * 200]
    image = cv2.imencode(".png", np.full((50, 80, 3), COLOURS["tennis"][::-1], np.uint8))[1]
    for name in names:
        (tmp_path / name).write_bytes(image.tobytes())
    pictures = [Picture(tmp_path / name, "tennis", "", 0) for name in names]
    wrong = [Mistake(pictures[i % 3], "football", 0.9, tested=True) for i in range(count)]
    metadata = ModelMetadata(("football", "tennis"), "crop", 224)
    save_contact_sheet(wrong, metadata, tmp_path / "sheet.png")
    assert {path.name for path in tmp_path.iterdir()} == {*names, "sheet.png"}
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_COLOR_RGB)
    assert sheet is not None
    found = (np.abs(sheet.astype(int) - COLOURS["tennis"]).max(axis=2) < 3).astype(np.uint8)
    regions, _, stats, _ = cv2.connectedComponentsWithStats(found)
    large = stats[1:regions, cv2.CC_STAT_AREA] > 150 * 150
    assert large.sum() == min(count, LARGEST_SHEET)
