"""A model file, ready for clips."""

from pathlib import Path

import pytest
from conftest import ROOT

from activity.errors import UserError
from activity.prediction import classifier
from activity.prediction.classifier import Classifier

MODEL = ROOT / "model/activity.xml"


def test_an_engine_is_loaded_when_a_clip_needs_one_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[tuple[object, ...]] = []

    def load(*options: object) -> object:
        loaded.append(options)
        return object()

    monkeypatch.setattr(classifier, "load_engine", load)
    model = Classifier(MODEL, threads=1)
    assert model.labels == ("football", "tennis", "weight_lifting")
    assert not loaded
    engines = [model.engine(), model.engine(low_latency=True)]
    assert engines == [model.engine(), model.engine(low_latency=True)]
    assert loaded == [(MODEL, False, 1), (MODEL, True, 1)]


def test_what_train_py_did_not_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.xml").write_text("<net/>")
    with pytest.raises(UserError, match=r"m\.xml was not written by this version of train\.py"):
        Classifier(tmp_path / "m.xml")
