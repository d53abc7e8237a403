from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.label_file import NONE_OF_THESE
from activity.training.calibration import (
    Calibration,
    best_temperature,
    calibrate,
    calibration_error,
    tempered,
)  # fmt: skip
from activity.training.dataset import Picture
from activity.training.settings import Settings

RANDOM = np.random.default_rng(0)


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def pictures(counts: dict[str, int]) -> list[Picture]:
    names = [label for label, count in counts.items() for _ in range(count)]
    return [Picture(Path(f"{n}.png"), label, "", n) for n, label in enumerate(names)]


@given(st.floats(0.2, 5), st.integers(2, 4), st.integers(0, 99))
def test_a_temperature_divides_the_logits(temperature: float, classes: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, (9, classes))
    expected = softmax(logits / temperature)
    assert tempered(softmax(logits), temperature) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_of_a_distorted_model_is_found(temperature: float) -> None:
    logits = RANDOM.normal(0, 2, (20_000, 3))
    # A class is drawn for each row, so that the probabilities are true.
    truth = np.array([RANDOM.choice(3, p=row) for row in softmax(logits)])
    distorted = softmax(logits * temperature)
    assert best_temperature(distorted, truth) == pytest.approx(temperature, rel=0.05)
    assert calibration_error(tempered(distorted, temperature), truth) < 0.015
    if temperature != 1:
        assert calibration_error(distorted, truth) > 0.05


@pytest.mark.parametrize("pictures", [10, 100, 1000])
def test_few_right_pictures_are_no_certainty(pictures: int) -> None:
    probabilities = np.tile([0.9, 0.1], (pictures, 1))
    temperature = best_temperature(probabilities, np.zeros(pictures, int))
    confidence = tempered(probabilities, temperature)[0, 0]
    assert confidence == pytest.approx(1 - 1 / (pictures + 2), abs=1e-4)


def test_certain_and_wrong_is_no_infinite_loss() -> None:
    assert best_temperature(np.eye(2)[[0, 0, 1]], np.array([0, 1, 1])) > 1


@given(st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1, max_size=60))
def test_the_error_is_that_of_its_definition(cases: list[tuple[float, bool]]) -> None:
    """Bin by bin, with plain loops; of bins there are 15, as in most publications."""
    probabilities = np.array([[largest, 1 - largest] for largest, _ in cases])
    truth = np.array([int(not right) for _, right in cases])
    right = probabilities.argmax(axis=1) == truth  # a half is the first class
    total = 0.0
    for number in range(15):
        bins = [min(int(largest * 15), 15 - 1) for largest, _ in cases]
        members = [index for index, each in enumerate(bins) if each == number]
        if members:
            accuracy = sum(right[index] for index in members) / len(members)
            confidence = sum(cases[index][0] for index in members) / len(members)
            total += len(members) / len(cases) * abs(accuracy - confidence)
    assert calibration_error(probabilities, truth) == pytest.approx(total)


def test_no_picture_is_predicted_by_a_head_that_saw_its_group() -> None:
    data = pictures({"a": 9, "b": 9, "c": 12})
    data += [Picture(Path("copy.png"), picture.label, "", picture.group) for picture in data[::4]]
    predicted: list[Picture] = []

    def predict(train: Sequence[Picture], others: Sequence[Picture]) -> np.ndarray:
        assert not {one.group for one in train} & {one.group for one in others}
        predicted.extend(others)
        return RANDOM.dirichlet([1.0] * 3, len(others))

    found, held_out = calibrate(data, Settings(), predict)
    assert sorted(map(id, predicted)) == sorted(map(id, data))
    assert held_out.sum(axis=1) == pytest.approx(1)
    assert found.other_things_noticed == {}


def other_things(counts: dict[str, int]) -> list[Picture]:
    """Return so many pictures in each folder of other things, each a scene of its own."""
    paths = [Path(folder, f"{n}.png") for folder, count in counts.items() for n in range(count)]
    return [Picture(path, NONE_OF_THESE, "", n) for n, path in enumerate(paths, 100)]


def take_birds_for_a(train: Sequence[Picture], others: Sequence[Picture]) -> np.ndarray:
    """Be right about every picture but those of folders called bird, and taught none of theirs."""
    assert not {one.group for one in train} & {one.group for one in others}
    classes = sorted({one.label for one in train})
    labels = ["a" if one.path.parent.name == "bird" else one.label for one in others]
    return np.array([[0.8 if each == label else 0.1 for each in classes] for label in labels])


def test_other_things_are_left_out_by_folder_and_what_is_noticed_is_counted() -> None:
    """A picture in no folder may show a bird, too: none of that scene is taught."""
    data = pictures({"a": 20, "b": 20})
    data += other_things({"x/bird": 6, "x/yoga/bird": 4, "x/yoga": 4, "x": 5})
    data.append(Picture(Path("x/frame.png"), NONE_OF_THESE, "", 100))
    found, _ = calibrate(data, Settings(), take_birds_for_a)
    assert found.other_things_noticed == {".": 1.0, "bird": 0.0, "yoga": 0.5}


def test_one_folder_of_other_things_is_not_left_out_and_of_many_eight_are() -> None:
    data = pictures({"a": 20, "b": 20})
    for folders, count in ((1, 0), (12, 8)):
        others = other_things({f"x/{n}": 4 for n in range(folders)})
        found, _ = calibrate(data + others, Settings(), take_birds_for_a)
        assert len(found.other_things_noticed) == count


def test_too_few_pictures_are_left_as_they_are() -> None:
    found, held_out = calibrate(pictures({"a": 1, "b": 9}), Settings(), lambda *_: np.empty(0))
    assert (found, held_out.shape) == (Calibration(1.0, None, None, {}), (0, 2))
