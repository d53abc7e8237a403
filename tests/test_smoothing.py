import itertools
import math

import numpy as np
import pytest
from conftest import frame
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from activity.label_file import UNCERTAIN
from activity.prediction.settings import Settings
from activity.prediction.smoothing import (
    ACTIVITY_SECONDS,
    DOUBT,
    LOOKS_A_SECOND,
    HiddenMarkov,
    RollingAverage,
    smooth,
)

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
    assert found[3][1].smoothed.tolist() == pytest.approx([0.7, 0.3])


FPS = 5


def posteriors(
    looks: list[np.ndarray | None], delay: float = 60.0, block: float = 0.0
) -> list[np.ndarray]:
    """Return what the hidden Markov model says of frames, `FPS` a second."""
    model = HiddenMarkov(delay, block)
    found = []
    for number, look in enumerate(looks):
        found += [each for _, each in model.add(frame(number, FPS), look)]
    return found + [each for _, each in model.finish()]


def by_all_paths(looks: list[np.ndarray | None]) -> np.ndarray:
    """Return the same from its definition: the weight of each sequence of classes, one by one."""
    classes = len(next(look for look in looks if look is not None))
    totals = np.zeros((len(looks), classes))
    for path in itertools.product(range(classes), repeat=len(looks)):
        weight, looked = 1.0, 0
        for number, (state, look) in enumerate(zip(path, looks, strict=True)):
            if number:
                gives_way = 1 - math.exp(-1 / FPS / ACTIVITY_SECONDS)
                stays = path[number - 1] == state
                weight *= 1 - gives_way if stays else gives_way / (classes - 1)
            if look is not None:
                share = min(1, (number - looked) / FPS * LOOKS_A_SECOND) if number else 1
                weight *= ((1 - DOUBT) * float(look[state]) + DOUBT / classes) ** share
                looked = number
        for number, state in enumerate(path):
            totals[number, state] += weight
    shares: np.ndarray = totals / totals.sum(axis=1, keepdims=True)
    return shares


@given(st.data())
def test_the_hidden_markov_model_sums_over_all_sequences(data: st.DataObject) -> None:
    classes = data.draw(st.integers(2, 3))
    look = arrays(np.float64, classes, elements=st.floats(0.01, 1)).map(lambda one: one / one.sum())
    rest = st.lists(st.none() | look, max_size=6)
    looks = [data.draw(look), *data.draw(rest)]
    np.testing.assert_allclose(posteriors(looks), by_all_paths(looks), rtol=0, atol=1e-9)


@given(st.integers(1, 30), st.floats(0, 2), st.floats(0, 2), st.integers(0, 99))
def test_a_look_further_ahead_than_the_delay_changes_nothing(
    frames: int, delay: float, block: float, seed: int
) -> None:
    looks = list(np.random.default_rng(seed).dirichlet([0.5] * 3, frames))
    exact = posteriors(looks, delay)
    assert len(exact) == frames
    for number, found in enumerate(exact):
        # The frames up to the delay, whose time is compared as floats.
        ahead = next(
            (n for n in range(number, frames) if number / FPS <= n / FPS - delay), frames - 1
        )
        np.testing.assert_allclose(found, posteriors(looks[: ahead + 1])[number], atol=1e-9)
    # In blocks a frame knows as much or more, and none is lost.
    assert len(posteriors(looks, delay, block)) == frames


def test_a_cut_turns_the_label_where_it_is_and_a_cutaway_does_not() -> None:
    """Ten seconds of a, 0.4 of b, ten of a, then b; all looks equally sure."""
    a, b = np.array([0.95, 0.05]), np.array([0.05, 0.95])
    looks = [a] * 300 + [b] * 12 + [a] * 300 + [b] * 300
    for stride in (1, 6):
        items = [
            (frame(number, 30), look if number % stride == 0 else None)
            for number, look in enumerate(looks)
        ]
        settings = Settings(smoothing="hmm", stride=stride)
        found = [one.label for _, one in smooth(items, ["a", "b"], settings, 5.0, 5.0)]
        [turn] = [n for n in range(1, len(found)) if found[n] != found[n - 1]]
        assert abs(turn - 612) <= stride / 2
    everything = [(frame(number, 30), look) for number, look in enumerate(looks)]
    averaged = [one.label for _, one in smooth(everything, ["a", "b"], Settings(size=128))]
    assert averaged.index("b") - 612 >= 60  # what it is all about


def test_memory_for_a_clip_of_hours_is_that_of_a_window() -> None:
    model = HiddenMarkov(5.0, 5.0)
    waiting, settled = 0, 0
    for number in range(20_000):
        waiting += 1
        for step, _ in model.add(frame(number, 30), np.array([0.9, 0.1])):
            assert step.frame.number == settled
            settled += 1
        waiting = number + 1 - settled
        assert waiting <= 10 * 30 + 1
    assert settled >= 20_000 - 301
