"""`label_video`, called as from a notebook."""

import json
import os
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import frames, rows, write_clip
from footage import Footage, number_of

from activity.errors import UserError
from activity.label_file import UNCERTAIN
from activity.prediction.console import text
from activity.prediction.smoothers.hmm import HiddenMarkov
from activity.prediction.smoothers.mean import Mean
from activity.video.reader import VideoReader
from activity.video.stop import Stop
from predict_video import Classifier, Settings, label_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("clips") / "grey.avi", frames=30))


def test_what_is_not_wanted_is_not_made(
    clip: str, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = label_video(clip, classifier, {})
    assert result
    assert (result.frames, result.frames_decoded, result.outputs) == (30, 30, {})
    assert text(result).startswith(f"{clip}: 30 frames, ")
    assert list(tmp_path.iterdir()) == []


def test_every_output_tells_the_same(clip: str, classifier: Classifier, tmp_path: Path) -> None:
    outputs = {
        "output": tmp_path / "v.avi", "csv": tmp_path / "new/t.csv", "json": tmp_path / "r.json",
        "timeline": tmp_path / "t.svg", "page": tmp_path / "p.html",
    }  # fmt: skip
    settings = Settings(Mean(4), start=0.4, end=1.0)
    result = label_video(clip, classifier, outputs, settings)
    assert result
    assert all(path.stat().st_size > 1000 for path in outputs.values())
    assert [int(row["frame"]) for row in rows(outputs["csv"])] == list(range(10, 25))
    assert len(frames(outputs["output"])) == result.frames == 15
    report = json.loads(outputs["json"].read_text())
    assert report["model"]["labels"] == list(classifier.labels)
    assert report["outputs"] == {kind: str(path) for kind, path in outputs.items()}
    assert report["settings"] == {
        "smoothing": "mean", "size": 4, "min_probability": 0.0, "start": 0.4, "end": 1.0,
        "stride": 1, "fps": None, "track": None, "top": 1,
    }  # fmt: skip
    assert [segment["frames"] for segment in report["segments"]] == [
        segment.frames for segment in result.segments
    ]
    assert sum(segment["frames"] for segment in report["segments"]) == 15


@pytest.mark.parametrize("stride", [1, 3])
def test_the_mean_is_of_the_last_predictions(
    clip: str, classifier: Classifier, tmp_path: Path, stride: int
) -> None:
    """Against NumPy, from the raw probabilities of the frames that were classified."""

    def probabilities(size: int) -> np.ndarray:
        table = tmp_path / f"{size}.csv"
        label_video(clip, classifier, {"csv": table}, Settings(Mean(size), stride=stride))
        return np.array([[float(row[f"p_{n}"]) for n in classifier.labels] for row in rows(table)])

    raw, means = probabilities(1), probabilities(5)
    sampled = raw[::stride]
    for number, row in enumerate(means):
        last = number // stride + 1
        assert row == pytest.approx(sampled[max(0, last - 5) : last].mean(axis=0), abs=2e-6)


def test_a_label_of_too_little_probability_is_uncertain(
    clip: str, classifier: Classifier, tmp_path: Path
) -> None:
    settings = Settings(Mean(1), min_probability=0.8)
    result = label_video(clip, classifier, {"csv": tmp_path / "t.csv"}, settings)
    table = rows(tmp_path / "t.csv")
    assert {row["label"] for row in table} > {UNCERTAIN}  # or there is nothing to see here
    for row in table:
        certain = float(row["probability"]) >= 0.8
        assert row["label"] == (row["raw_label"] if certain else UNCERTAIN)
    assert result
    assert result.label in classifier.labels


def test_a_wish_to_stop_before_the_first_frame_leaves_nothing(
    clip: str, classifier: Classifier, tmp_path: Path
) -> None:
    stop = Stop()
    stop.wanted = True
    assert (
        label_video(clip, classifier, {"output": tmp_path / "v.avi"}, Settings(), stop=stop) is None
    )
    assert list(tmp_path.iterdir()) == []


def test_an_error_names_the_file_and_no_option(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^missing\.avi does not exist; name a video file$"):
        label_video("missing.avi", classifier, {})
    (tmp_path / "file").touch()
    clip = write_clip(tmp_path / "clip.avi", frames=3)
    with pytest.raises(UserError, match=r"^.*file/t\.csv cannot be written: .*file is a file$"):
        label_video(str(clip), classifier, {"csv": tmp_path / "file/t.csv"})


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a clip of 6 s; each frame shows its number."""
    path = tmp_path_factory.mktemp("clips") / "edited.mp4"
    Footage(numbers=range(150)).write(path)
    return path


HMM = Settings(HiddenMarkov())


@pytest.mark.parametrize(
    "settings", [HMM, replace(HMM, stride="auto"), Settings(stride=7), Settings(stride="auto")]
)
def test_a_clip_that_is_read_twice_is_labelled_as_one_that_is_read_once(
    settings: Settings, edited: Path, classifier: Classifier, tmp_path: Path
) -> None:
    """Tables do not depend on whether there is a video; all its frames are there, in order."""
    label_video(str(edited), classifier, {"csv": tmp_path / "once.csv"}, settings)
    outputs = {"output": tmp_path / "video.avi", "csv": tmp_path / "twice.csv"}
    label_video(str(edited), classifier, outputs, settings)
    assert (tmp_path / "once.csv").read_bytes() == (tmp_path / "twice.csv").read_bytes()
    assert [number_of(picture) for picture in frames(tmp_path / "video.avi")] == list(range(150))


def test_what_lies_further_ahead_than_the_delay_does_not_count(
    edited: Path, classifier: Classifier, tmp_path: Path
) -> None:
    """Labels of a part are those of the whole up to the delay, and the raw ones up to its end."""
    tables = {}
    for end in (4.0, None):
        settings = Settings(HiddenMarkov(1.0), end=end)
        label_video(str(edited), classifier, {"csv": tmp_path / "t.csv"}, settings)
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
    settings = Settings(HiddenMarkov(0.5))
    label_video(str(edited), classifier, {"csv": tmp_path / "file.csv"}, settings)
    os.mkfifo(tmp_path / "pipe")
    writing = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(edited.read_bytes()))
    writing.start()
    outputs = {"output": tmp_path / "video.avi", "csv": tmp_path / "pipe.csv"}
    label_video(str(tmp_path / "pipe"), classifier, outputs, settings)
    writing.join()
    assert (tmp_path / "pipe.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()
    assert [number_of(picture) for picture in frames(tmp_path / "video.avi")] == list(range(150))


def test_frames_get_the_prediction_for_their_time(
    edited: Path, classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the second reader finds other frames than the first one."""
    other = tmp_path / "other.mp4"
    Footage(numbers=range(0, 150, 3), fps=Fraction(25, 3)).write(other)
    label_video(str(other), classifier, {"csv": tmp_path / "other.csv"}, HMM)
    monkeypatch.setattr(VideoReader, "again", lambda _, sparse: VideoReader(other, sparse=sparse))
    outputs = {"output": tmp_path / "video.avi", "csv": tmp_path / "video.csv"}
    label_video(str(edited), classifier, outputs, HMM)
    expected = [row["p_tennis"] for row in rows(tmp_path / "other.csv")]
    found = [row["p_tennis"] for row in rows(tmp_path / "video.csv")]
    assert found == [expected[number // 3] for number in range(150)]
