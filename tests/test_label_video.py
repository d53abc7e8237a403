"""`label_video`, called as from a notebook."""

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import frame, frames, rows, write_clip
from footage import Footage, number_of

from activity.errors import UserError
from activity.prediction.classifier import Classifier
from activity.prediction.labelling import in_step
from activity.prediction.outputs import Outputs
from activity.prediction.settings import Settings
from activity.prediction.smoothing import Prediction
from activity.video.stop import Stop
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


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a clip of 6 s; each frame shows its number."""
    path = tmp_path_factory.mktemp("clips") / "edited.mp4"
    Footage(numbers=range(150)).write(path)
    return path


HMM = Settings(smoothing="hmm")


@pytest.mark.parametrize("settings", [HMM, Settings(smoothing="hmm", stride="auto"),
                                      Settings(stride=7), Settings(stride="auto")])  # fmt: skip
def test_a_clip_that_is_read_twice_is_labelled_as_one_that_is_read_once(
    settings: Settings, edited: Path, classifier: Classifier, tmp_path: Path
) -> None:
    """Tables do not depend on whether there is a film; all its frames are there, in order."""
    label_video(str(edited), classifier, Outputs(csv=tmp_path / "once.csv"), settings)
    outputs = Outputs(tmp_path / "film.avi", tmp_path / "twice.csv")
    label_video(str(edited), classifier, outputs, settings)
    assert (tmp_path / "once.csv").read_bytes() == (tmp_path / "twice.csv").read_bytes()
    assert [number_of(picture) for picture in frames(tmp_path / "film.avi")] == list(range(150))


def test_what_lies_further_ahead_than_the_delay_does_not_count(
    edited: Path, classifier: Classifier, tmp_path: Path
) -> None:
    """Labels of a part are those of the whole up to the delay, and the raw ones up to its end."""
    tables = {}
    for end in (4.0, None):
        settings = replace(HMM, delay=1.0, end=end)
        label_video(str(edited), classifier, Outputs(csv=tmp_path / "t.csv"), settings)
        tables[end] = rows(tmp_path / "t.csv")
    part, whole = tables[4.0], tables[None]
    assert len(part) == 100
    assert part[:75] == whole[:75]
    assert part != whole[:100]
    assert [row["raw_label"] for row in part] == [row["raw_label"] for row in whole[:100]]


def test_a_pipe_can_be_labelled_with_a_delay(
    edited: Path, classifier: Classifier, tmp_path: Path
) -> None:
    """Its pictures wait in memory, as it cannot be read twice."""
    settings = replace(HMM, delay=0.5)
    label_video(str(edited), classifier, Outputs(csv=tmp_path / "file.csv"), settings)
    os.mkfifo(tmp_path / "pipe")
    writing = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(edited.read_bytes()))
    writing.start()
    outputs = Outputs(tmp_path / "film.avi", tmp_path / "pipe.csv")
    label_video(str(tmp_path / "pipe"), classifier, outputs, settings)
    writing.join()
    assert (tmp_path / "pipe.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()
    assert [number_of(picture) for picture in frames(tmp_path / "film.avi")] == list(range(150))


def test_frames_get_the_prediction_for_their_time() -> None:
    """Also where the second reader finds other frames than the first one."""
    predictions = [Prediction(str(number), "", np.zeros(1), np.zeros(1)) for number in range(4)]
    labelled = [(frame(number), predictions[number]) for number in range(4)]
    shown = [frame(number) for number in (0, 2, 3, 4, 5)]
    found = [one.label for _, one in in_step(shown, iter(labelled))]
    assert found == ["0", "2", "3", "3", "3"]
