import numpy as np
from activity.smoothing import RollingAverage
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

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
