import json
from pathlib import Path

import numpy as np
import pytest
from conftest import BUNDLED, ROOT, rows, run_script, write_clip
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from activity.errors import UserError
from activity.label_file import NONE_OF_THESE
from activity.model_file import ModelCard
from activity.prediction import classifier
from activity.prediction.classifier import Classifier, with_none

some = arrays(np.float64, st.integers(2, 5), elements=st.floats(0.01, 1))


@given(some, st.floats(0.01, 0.99))
def test_none_is_the_label_where_the_largest_probability_is_lower(
    weights: np.ndarray, below: float
) -> None:
    probabilities = weights / weights.sum()
    found = with_none(probabilities, below)
    assert len(found) == len(probabilities) + 1
    assert found.sum() == pytest.approx(1)
    # The others keep their order and their ratios.
    assert found[:-1] / found[:-1].sum() == pytest.approx(probabilities)
    if abs(probabilities.max() - below) > 1e-6:
        assert (found.argmax() == len(probabilities)) == (probabilities.max() < below)


def test_certainty_leaves_nothing() -> None:
    assert with_none(np.array([1.0, 0.0], np.float32), 0.9).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("labels", "below", "message"),
    [
        (("a", NONE_OF_THESE), None, "m.xml knows 'none of these' as a class; leave it out"),
        (("a", "b"), None, "m.xml was trained without a measure of what is unknown; train it aga"),
    ],
)
def test_a_model_that_cannot_tell_is_refused(
    labels: tuple[str, ...], below: float | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "read_card", lambda _: ModelCard(labels, "crop", 8, below))
    assert Classifier(Path("m.xml")).labels == labels
    with pytest.raises(UserError, match=message):
        Classifier(Path("m.xml"), unknown=True)


def test_unknown_is_a_class_in_every_report(tmp_path: Path) -> None:
    """A grey clip is nothing that the bundled model was taught."""
    clip = write_clip(tmp_path / "grey.avi", frames=12)
    done = run_script(
        "predict_video.py", *BUNDLED, "-i", clip, "--unknown", "--no-video", "--csv", "t.csv",
        "--json", "r.json", "--timeline", "t.svg", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = rows(tmp_path / "t.csv")
    below = Classifier(ROOT / "model/activity.xml").card.unknown_below
    assert below is not None
    for row in table:
        known = [float(row[f"p_{label}"]) for label in ("football", "tennis", "weight_lifting")]
        none = float(row[f"p_{NONE_OF_THESE}"])
        assert sum(known) + none == pytest.approx(1, abs=1e-5)
    first = table[0]  # its average is its own
    known = [float(first[f"p_{label}"]) for label in ("football", "tennis", "weight_lifting")]
    assert (first["label"] == NONE_OF_THESE) == (max(known) / sum(known) < below)
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["model"]["unknown"] is True
    assert set(report["whole_clip"]["mean_probabilities"]) == {
        "football", "tennis", "weight_lifting", NONE_OF_THESE,
    }  # fmt: skip
