from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.label_file import NONE_OF_THESE
from activity.training.calibration import (
    BINS,
    best_temperature,
    calibrate,
    calibration_error,
    reliability,
    tempered,
)
from activity.training.dataset import Picture
from activity.training.settings import Settings

RANDOM = np.random.default_rng(0)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def drawn(probabilities: np.ndarray) -> np.ndarray:
    """Draw a class for each row, so that the probabilities are true."""
    return np.array([RANDOM.choice(len(row), p=row) for row in probabilities])


def pictures(counts: dict[str, int]) -> list[Picture]:
    names = [label for label, count in counts.items() for _ in range(count)]
    return [Picture(Path(f"{n}.png"), label, "", n) for n, label in enumerate(names)]


@given(st.floats(0.2, 5), st.integers(2, 4), st.integers(0, 99))
def test_a_temperature_divides_the_logits(temperature: float, classes: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, (9, classes))
    expected = softmax(logits / temperature)
    assert tempered(softmax(logits), temperature) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_of_a_model_that_is_not_sure_enough_is_found(temperature: float) -> None:
    logits = RANDOM.normal(0, 2, (20_000, 3))
    truth = drawn(softmax(logits))
    distorted = softmax(logits * temperature)
    assert best_temperature(distorted, truth) == pytest.approx(temperature, rel=0.05)
    assert calibration_error(tempered(distorted, temperature), truth) < 0.015
    if temperature != 1:
        assert calibration_error(distorted, truth) > 0.05


@pytest.mark.parametrize("pictures", [10, 100, 1000])
def test_few_right_pictures_are_no_certainty(pictures: int) -> None:
    probabilities = np.tile([0.9, 0.1], (pictures, 1))
    temperature = best_temperature(probabilities, np.zeros(pictures, int))
    sure = tempered(probabilities, temperature)[0, 0]
    assert sure == pytest.approx(1 - 1 / (pictures + 2), abs=1e-4)


def test_certain_and_wrong_is_no_infinite_surprise() -> None:
    assert best_temperature(np.eye(2)[[0, 0, 1]], np.array([0, 1, 1])) > 1


@given(st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1, max_size=60))
def test_the_error_is_that_of_its_definition(cases: list[tuple[float, bool]]) -> None:
    """Bin by bin, with plain loops."""
    probabilities = np.array([[sure, 1 - sure] for sure, _ in cases])
    truth = np.array([int(not right) for _, right in cases])
    right = probabilities.argmax(axis=1) == truth  # a half is the first class
    total = 0.0
    for number in range(BINS):
        members = [
            index for index, (sure, _) in enumerate(cases)
            if min(int(sure * BINS), BINS - 1) == number
        ]  # fmt: skip
        if members:
            accuracy = sum(right[index] for index in members) / len(members)
            sureness = sum(cases[index][0] for index in members) / len(members)
            total += len(members) / len(cases) * abs(accuracy - sureness)
    assert calibration_error(probabilities, truth) == pytest.approx(total)
    assert reliability(probabilities, truth)[0].sum() == pytest.approx(1)


def test_no_picture_is_asked_about_by_a_head_that_saw_it_or_its_copy() -> None:
    data = pictures({"a": 9, "b": 9, "c": 12})
    data += [Picture(Path("copy.png"), picture.label, "", picture.group) for picture in data[::4]]
    asked_about: list[Picture] = []

    def predict(train: Sequence[Picture], asked: Sequence[Picture]) -> np.ndarray:
        assert not {one.group for one in train} & {one.group for one in asked}
        classes = sorted({one.label for one in train})
        if len(classes) == 3:
            asked_about.extend(asked)
        return RANDOM.dirichlet([1.0] * len(classes), len(asked))

    calibrate(data, Settings(), predict)
    assert sorted(map(id, asked_about)) == sorted(map(id, data))


def test_a_twentieth_of_known_pictures_is_refused_and_what_was_left_out_is_counted() -> None:
    """The head is sure of what it was taught, a little less of some, and not of the rest."""
    data = pictures({"a": 100, "b": 100, "c": 100})

    def predict(train: Sequence[Picture], asked: Sequence[Picture]) -> np.ndarray:
        classes = sorted({one.label for one in train})
        rows = []
        for number, one in enumerate(asked):
            if one.label in classes:
                sure = 0.8 + 0.001 * number
                row = [sure if each == one.label else (1 - sure) / 2 for each in classes]
            else:  # of b alone half are as sure as can be
                sure = 0.999 if one.label == "b" and number % 2 else 0.6
                row = [sure] + [(1 - sure) / 2] * (len(classes) - 1)
            rows.append(np.array(row) / sum(row))
        return np.array(rows)

    found = calibrate(data, Settings(), predict)
    assert found.noticed == {"a": 1.0, "b": 0.5, "c": 1.0}
    assert found.unknown_below is not None
    assert "83% of its pictures would be noticed (a 100%, b 50%, c 100%)" in found.text()
    assert not found.worth_little


def test_a_class_of_other_things_notices_by_its_own_probability() -> None:
    data = pictures({"a": 20, "b": 20, NONE_OF_THESE: 20})

    def predict(train: Sequence[Picture], asked: Sequence[Picture]) -> np.ndarray:
        classes = sorted({one.label for one in train})
        best = [one.label if one.label in classes else NONE_OF_THESE for one in asked]
        return np.array([[0.8 if each == it else 0.1 for each in classes] for it in best])

    found = calibrate(data, Settings(), predict)
    assert found.noticed == {"a": 1.0, "b": 1.0}
    assert found.unknown_below is None


def test_too_few_pictures_are_left_as_they_are() -> None:
    found = calibrate(pictures({"a": 1, "b": 9}), Settings(), lambda *_: np.empty(0))
    assert (found.temperature, found.unknown_below, found.noticed) == (1.0, None, {})
    assert "too few" in found.text()


def test_of_many_classes_a_few_are_left_out() -> None:
    data = pictures({str(number): 4 for number in range(20)})
    heads = []

    def predict(train: Sequence[Picture], asked: Sequence[Picture]) -> np.ndarray:
        heads.append({one.label for one in train})
        return RANDOM.dirichlet([1.0] * len(heads[-1]), len(asked))

    found = calibrate(data, Settings(most_left_out=5), predict)
    assert [len(labels) for labels in heads] == [20] * 4 + [19] * 5
    assert [{str(number) for number in range(20)} - labels for labels in heads[4:]] == [
        {label} for label in found.noticed
    ]
    assert "with each of 5 classes left out" in found.text()
    assert found.worth_little


def test_of_two_classes_none_can_be_left_out() -> None:
    data = pictures({"a": 9, "b": 9})
    found = calibrate(data, Settings(), lambda _, asked: RANDOM.dirichlet([1.0, 1.0], len(asked)))
    assert found.noticed == {}
    assert found.mean_noticed is None
    assert "never taught" not in found.text()
