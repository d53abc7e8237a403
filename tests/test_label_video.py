"""`label_video`, called as from a notebook."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from conftest import frames, rows, write_clip

from activity.errors import UserError
from activity.prediction.classifier import Classifier
from activity.prediction.outputs import Outputs
from activity.prediction.settings import Settings
from activity.prediction.stop import Stop
from predict_video import label_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("clips") / "grey.avi", frames=30))


def test_what_is_not_wanted_is_not_made(
    clip: str, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = label_video(clip, classifier, Outputs())
    assert result is not None
    assert result.summary.frames == 30
    assert result.text().startswith(f"{clip}: 30 frames, ")
    assert list(tmp_path.iterdir()) == []


def test_every_output_tells_the_same(clip: str, classifier: Classifier, tmp_path: Path) -> None:
    outputs = Outputs(
        tmp_path / "v.avi", tmp_path / "new" / "t.csv", tmp_path / "r.json", tmp_path / "t.svg"
    )
    settings = Settings(size=4, start=0.4, end=1.0)
    result = label_video(clip, classifier, outputs, settings)
    assert result is not None
    table = rows(tmp_path / "new" / "t.csv")
    assert [int(row["frame"]) for row in table] == list(range(10, 25))
    assert len(frames(tmp_path / "v.avi")) == result.summary.frames == 15
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["model"]["labels"] == list(classifier.card.labels)
    assert (report["settings"]["size"], report["settings"]["start"]) == (4, 0.4)
    assert [segment["frames"] for segment in report["segments"]] == [
        segment.frames for segment in result.summary.segments
    ]
    assert sum(segment["frames"] for segment in report["segments"]) == 15


@pytest.mark.parametrize("stride", [1, 3])
def test_the_mean_is_of_the_last_predictions(
    clip: str, classifier: Classifier, tmp_path: Path, stride: int
) -> None:
    """Against NumPy, from the raw probabilities of the frames that were classified."""

    def probabilities(size: int) -> np.ndarray:
        outputs = Outputs(csv=tmp_path / f"{size}.csv")
        label_video(clip, classifier, outputs, Settings(size=size, stride=stride))
        names = [f"p_{label}" for label in classifier.card.labels]
        return np.array([[float(row[name]) for name in names] for row in rows(outputs.csv)])  # type: ignore[arg-type]

    raw, averaged = probabilities(1), probabilities(5)
    seen = raw[::stride]
    for number, row in enumerate(averaged):
        last = number // stride + 1
        assert row == pytest.approx(seen[max(0, last - 5) : last].mean(axis=0), abs=2e-6)


def test_a_wish_to_stop_before_the_first_frame_leaves_nothing(
    clip: str, classifier: Classifier, tmp_path: Path
) -> None:
    stop = Stop()
    stop.wanted = True
    assert label_video(clip, classifier, Outputs(tmp_path / "v.avi"), stop=stop) is None
    assert list(tmp_path.iterdir()) == []


def test_signals_are_given_back() -> None:
    """In a notebook an interrupt works again after the run."""
    before = signal.getsignal(signal.SIGINT)
    stop = Stop()
    with stop.on_signals():
        assert signal.getsignal(signal.SIGINT) != before
        signal.raise_signal(signal.SIGINT)
        assert stop.wanted
        assert stop.signal == signal.SIGINT
        assert signal.getsignal(signal.SIGINT) == before  # a second one ends the program
    with Stop().on_signals():
        pass
    assert signal.getsignal(signal.SIGINT) == before


def test_an_error_names_the_file_and_no_option(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^missing\.avi does not exist; name a video file$"):
        label_video("missing.avi", classifier, Outputs())
    (tmp_path / "file").touch()
    clip = write_clip(tmp_path / "clip.avi", frames=3)
    with pytest.raises(UserError, match=r"^.*file/t\.csv cannot be written: .*file is a file$"):
        label_video(str(clip), classifier, Outputs(csv=tmp_path / "file" / "t.csv"))
