import numpy as np
import pytest
from conftest import frame
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from activity.prediction.settings import UNCERTAIN, Settings
from activity.prediction.smoothing import RollingAverage, smooth

vectors = st.integers(1, 5).flatmap(
    lambda classes: st.lists(
        arrays(np.float32, classes, elements=st.floats(0, 1, width=32)), min_size=1, max_size=60
    )
)


@given(vectors, st.integers(1, 70))
def test_equals_the_mean_of_the_last_k(vectors: list[np.ndarray], size: int) -> None:
    average = RollingAverage(size)
    for index, vector in enumerate(vectors):
        expected = np.mean(np.array(vectors[max(0, index + 1 - size) : index + 1], float), axis=0)
        np.testing.assert_allclose(average.update(vector), expected, rtol=0, atol=1e-12)


def test_size_one_returns_each_vector_itself() -> None:
    average = RollingAverage(1)
    for vector in np.random.default_rng(0).random((50, 3), np.float32):
        assert (average.update(vector) == vector).all()


def test_does_not_drift_over_an_hour_of_video() -> None:
    average = RollingAverage(128)
    rows = np.random.default_rng(0).random((108_000, 3), np.float32)
    for row in rows:
        last = average.update(row)
    np.testing.assert_allclose(last, rows[-128:].astype(float).mean(axis=0), rtol=0, atol=1e-14)


def test_a_later_update_does_not_change_an_earlier_result() -> None:
    average = RollingAverage(4)
    first = average.update(np.array([1.0, 0.0]))
    average.update(np.array([0.0, 1.0]))
    assert first.tolist() == [1.0, 0.0]


def test_labels_of_frames_that_were_classified_and_of_those_between() -> None:
    """Three looks at two classes, averaged over two, each held for a second frame."""
    raw = [np.array(row, np.float32) for row in ([0.9, 0.1], [0.5, 0.5], [0.0, 1.0])]
    looks = [raw[0], None, raw[1], None, raw[2], None]
    items = [(frame(number), look) for number, look in enumerate(looks)]
    found = list(smooth(items, ["a", "b"], Settings(size=2, min_probability=0.72)))
    assert [one.number for one, _ in found] == list(range(6))
    assert [prediction.label for _, prediction in found] == [
        "a", "a", UNCERTAIN, UNCERTAIN, "b", "b",
    ]  # fmt: skip
    assert [prediction.raw_label for _, prediction in found] == ["a", "a", "a", "a", "b", "b"]
    assert found[3][1].averaged.tolist() == pytest.approx([0.7, 0.3])
