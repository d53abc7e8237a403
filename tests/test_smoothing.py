"""The smoothers, against their definitions; `test_label_video.py` has them in a run."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from conftest import frame
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from activity.prediction.observation import Observation
from activity.prediction.smoothers import Smoother
from activity.prediction.smoothers.hmm import (
    ACTIVITY_SECONDS,
    DOUBT,
    EVIDENCE_PER_SECOND,
    ForwardBackward,
    HiddenMarkov,
)
from activity.prediction.smoothers.mean import Mean, RollingMean

Rows = Sequence[np.ndarray | None]  # (classes,) probabilities of frames; None between samples
vectors = st.integers(1, 5).flatmap(
    lambda classes: st.lists(
        arrays(np.float32, classes, elements=st.floats(0, 1, width=32)), min_size=1, max_size=60
    )
)


@given(vectors, st.integers(1, 70))
def test_equals_the_mean_of_the_last_k(vectors: list[np.ndarray], size: int) -> None:
    mean = RollingMean(size)
    for index, vector in enumerate(vectors):
        expected = np.mean(np.array(vectors[max(0, index + 1 - size) : index + 1], float), axis=0)
        np.testing.assert_allclose(mean.update(vector), expected, rtol=0, atol=1e-12)


def test_size_one_returns_each_vector_itself() -> None:
    mean = RollingMean(1)
    for vector in np.random.default_rng(0).random((50, 3), np.float32):
        assert (mean.update(vector) == vector).all()


def test_does_not_drift_over_an_hour_of_video() -> None:
    mean = RollingMean(128)
    rows = np.random.default_rng(0).random((108_000, 3), np.float32)
    for row in rows:
        last = mean.update(row)
    np.testing.assert_allclose(last, rows[-128:].astype(float).mean(axis=0), rtol=0, atol=1e-14)


def test_a_later_update_does_not_change_an_earlier_result() -> None:
    mean = RollingMean(4)
    first = mean.update(np.array([1.0, 0.0]))
    mean.update(np.array([0.0, 1.0]))
    assert first.tolist() == [1.0, 0.0]


def smoothed(
    smoother: Smoother, rows: Rows, fps: float = 25.0, can_wait: bool = True
) -> list[np.ndarray]:
    observations = [Observation(frame(n, fps), row) for n, row in enumerate(rows)]
    found = list(smoother.smooth(observations, can_wait))
    assert [each.frame for each in found] == [each.frame for each in observations]
    raw = None
    for each, row in zip(found, rows, strict=True):
        raw = raw if row is None else row
        assert each.raw is raw
    return [each.probabilities for each in found]


def test_frames_between_samples_have_the_last_mean() -> None:
    """Three samples of two classes, averaged over two, each held for a second frame."""
    raw = [np.array(row, np.float32) for row in ([0.9, 0.1], [0.5, 0.5], [0.0, 1.0])]
    found = smoothed(Mean(2), [raw[0], None, raw[1], None, raw[2], None])
    expected = np.repeat([[0.9, 0.1], [0.7, 0.3], [0.25, 0.75]], 2, axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-7)


FPS = 5


def posteriors(rows: Rows, delay: float = 60.0, block: float = 0.0) -> list[np.ndarray]:
    """Return what the hidden Markov model says of frames, `FPS` per second."""
    model = ForwardBackward(delay, block)
    found = []
    for number, row in enumerate(rows):
        found += list(model.add(Observation(frame(number, FPS), row)))
    return [each.probabilities for each in [*found, *model.finish()]]


def by_all_paths(rows: Rows) -> np.ndarray:
    """Return the same from its definition: the weight of each sequence of classes, one by one."""
    classes = len(next(row for row in rows if row is not None))
    totals = np.zeros((len(rows), classes))
    for path in itertools.product(range(classes), repeat=len(rows)):
        weight, sampled = 1.0, 0
        for number, (state, row) in enumerate(zip(path, rows, strict=True)):
            if number:
                gives_way = 1 - math.exp(-1 / FPS / ACTIVITY_SECONDS)
                stays = path[number - 1] == state
                weight *= 1 - gives_way if stays else gives_way / (classes - 1)
            if row is not None:
                share = min(1, (number - sampled) / FPS * EVIDENCE_PER_SECOND) if number else 1
                weight *= ((1 - DOUBT) * float(row[state]) + DOUBT / classes) ** share
                sampled = number
        for number, state in enumerate(path):
            totals[number, state] += weight
    shares: np.ndarray = totals / totals.sum(axis=1, keepdims=True)
    return shares


@given(st.data())
def test_the_hidden_markov_model_sums_over_all_sequences(data: st.DataObject) -> None:
    classes = data.draw(st.integers(2, 3))
    weights = arrays(np.float64, classes, elements=st.floats(0.01, 1))
    sample = weights.map(lambda each: each / each.sum())
    rest = st.lists(st.none() | sample, max_size=6)
    rows = [data.draw(sample), *data.draw(rest)]
    np.testing.assert_allclose(posteriors(rows), by_all_paths(rows), rtol=0, atol=1e-9)


@given(st.integers(1, 30), st.floats(0, 2), st.floats(0, 2), st.integers(0, 99))
def test_a_sample_further_ahead_than_the_delay_changes_nothing(
    frames: int, delay: float, block: float, seed: int
) -> None:
    rows = list(np.random.default_rng(seed).dirichlet([0.5] * 3, frames))
    exact = posteriors(rows, delay)
    assert len(exact) == frames
    for number, found in enumerate(exact):
        # The frames up to the delay, whose time is compared as floats.
        ahead = next(
            (n for n in range(number, frames) if number / FPS <= n / FPS - delay), frames - 1
        )
        np.testing.assert_allclose(found, posteriors(rows[: ahead + 1])[number], atol=1e-9)
    # In blocks a frame knows as much or more, and none is lost.
    assert len(posteriors(rows, delay, block)) == frames


def test_a_cut_turns_the_label_where_it_is_and_a_cutaway_does_not() -> None:
    """Ten seconds of a, 0.4 of b, ten of a, then b; all samples equally certain."""
    a, b = np.array([0.95, 0.05]), np.array([0.05, 0.95])
    rows: Rows = [a] * 300 + [b] * 12 + [a] * 300 + [b] * 300
    for stride in (1, 6):
        strided = [row if number % stride == 0 else None for number, row in enumerate(rows)]
        labels = np.argmax(smoothed(HiddenMarkov(), strided, fps=30), axis=1)
        (turn,) = np.flatnonzero(np.diff(labels))
        assert abs(turn + 1 - 612) <= stride / 2
    means = np.argmax(smoothed(Mean(128), rows), axis=1)
    assert means.tolist().index(1) - 612 >= 60  # what it is all about


def test_a_source_that_cannot_wait_is_not_looked_ahead_in_unless_asked_to() -> None:
    rows: Rows = list(np.random.default_rng(0).dirichlet([0.5] * 3, 40))
    for smoother, can_wait, delay in (
        (HiddenMarkov(), False, 0.0),
        (HiddenMarkov(2.0), False, 2.0),
        (HiddenMarkov(2.0), True, 2.0),
    ):
        found = smoothed(smoother, rows, FPS, can_wait)
        np.testing.assert_array_equal(found, posteriors(rows, delay))


def test_memory_for_a_clip_of_hours_is_that_of_a_window() -> None:
    model, settled = ForwardBackward(5.0, 5.0), 0
    for number in range(20_000):
        for each in model.add(Observation(frame(number, 30), np.array([0.9, 0.1]))):
            assert each.frame.number == settled
            settled += 1
        assert number + 1 - settled <= 10 * 30 + 1
    assert settled >= 20_000 - 301
