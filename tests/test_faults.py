"""Full disks and killed processes: nothing half-written stands under a final name.

`KILLS=50 pytest tests/test_faults.py` kills each script that often; by default it is a few times.
"""

import contextlib
import json
import os
import pickle
import random
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import BUNDLED, ROOT, frame, frames, rows, run_process, start_process, write_clip
from labelled import PLAIN, PREDICTION, clip_of, prediction
from labelled import write as write_output
from test_sound import Clip

from activity.errors import UserError
from activity.files import save_json
from activity.label_file import load_labels, save_labels
from activity.model_file import (
    ModelMetadata,
    load_model,
    load_openvino_model,
    save_model,
    save_openvino_model,
)
from activity.prediction.outputs import video as video_module
from activity.prediction.outputs.frames import FrameTable
from activity.prediction.outputs.page import Index
from activity.prediction.outputs.sound import join
from activity.prediction.outputs.timeline import Timeline
from activity.prediction.outputs.video import Video
from activity.prediction.result import Result
from activity.quiet.opencv import cv2
from activity.training.dataset import Picture
from activity.training.evaluation import save_plot
from activity.training.mistakes import Mistake, save_contact_sheet
from activity.video.backends import Format
from activity.video.reader import Frame

KILLS = int(os.environ.get("KILLS", "3"))
METADATA = ModelMetadata(("a", "b"), "crop", 3)
NOISE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
BLACK = np.zeros((48, 64, 3), np.uint8)
BOTH = ("a", "b")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let every write beyond `size` bytes of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_keras_model(path: Path) -> None:
    from activity.quiet.keras import keras

    inputs = keras.Input((100,))
    model = keras.Model(inputs, keras.layers.Dense(100)(inputs))
    save_model(model, path, METADATA)


def write_openvino_model(path: Path) -> None:
    from openvino import opset13 as ops

    from activity.quiet.openvino import ov

    numbers = ops.parameter([1, 10_000], ov.Type.f32)
    weights = np.arange(10_000, dtype=np.float32)
    model = ov.Model([ops.multiply(numbers, weights)], [numbers])
    save_openvino_model(model, path, METADATA)


def write_plot(path: Path) -> None:
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    save_plot({name: [0.5, 0.4] for name in names}, np.eye(1), np.zeros(1, int), path)


def write_contact_sheet(path: Path) -> None:
    picture = Picture(ROOT / "docs" / "speed.png", "a", "", 0)
    save_contact_sheet([Mistake(picture, "b", 0.9, tested=True)], METADATA, path)


def write_timeline(path: Path) -> None:
    write_output(Timeline, path, clip_of(BOTH), [(frame(0), prediction(BOTH, [0.7, 0.3]))])


def write_index(path: Path) -> None:
    index = Index(path, BOTH)
    index.add("clip", Result("clip", error="no clip"), path)
    index.finish()


def write_table(path: Path) -> None:
    shown = prediction(BOTH, [0.7, 0.3])
    write_output(FrameTable, path, clip_of(BOTH), ((frame(number), shown) for number in range(100)))


def write_video(
    path: Path, format: Format = PLAIN, picture: np.ndarray = NOISE, count: int = 20
) -> None:
    shown = (Frame(number, number / 25, picture) for number in range(count))
    write_output(Video, path, clip_of("a", format=format), ((each, PREDICTION) for each in shown))


@pytest.mark.parametrize(
    ("write", "name", "size"),
    [
        (partial(save_labels, BOTH), "lb.pickle", 100),
        (partial(save_json, {"numbers": list(range(1000))}), "record.json", 1000),
        (write_keras_model, "model.keras", 5000),
        (write_openvino_model, "model.xml", 5000),
        (write_openvino_model, "model.xml", 500),
        (write_plot, "plot.png", 5000),
        (write_contact_sheet, "errors.png", 5000),
        (write_timeline, "timeline.png", 5000),
        (write_index, "index.html", 5000),
        (write_table, "frames.csv", 1000),
        (write_video, "out.avi", 20_000),
        (write_video, "out.mp4", 20_000),
    ],
)
def test_a_full_disk_is_an_error_that_leaves_what_was_there(
    tmp_path: Path, write: Callable[[Path], None], name: str, size: int
) -> None:
    (tmp_path / "new").mkdir()
    with largest_file(size), pytest.raises(UserError, match="model|" + name):
        write(tmp_path / "new" / name)
    assert list((tmp_path / "new").iterdir()) == []

    (tmp_path / name).write_text("from an earlier run")
    with largest_file(size), pytest.raises(UserError):
        write(tmp_path / name)
    assert (tmp_path / name).read_text() == "from an earlier run"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["new", name])

    write(tmp_path / name)  # and with room enough it works
    assert (tmp_path / name).stat().st_size > 100


@pytest.mark.parametrize("codec", ["", "aac", "pcm_s16le"])
@pytest.mark.parametrize("picture", [NOISE, BLACK], ids=["noise", "black"])
def test_a_disk_that_gets_full_at_any_moment_of_a_film(
    tmp_path: Path, codec: str, picture: np.ndarray
) -> None:
    """Its header, its pieces, the whole of them with the sound, copied or encoded."""
    format, path = PLAIN, tmp_path / "film.mp4"
    if codec:
        clip = Clip("clip.mov", codec).write(tmp_path)
        format = replace(PLAIN, sound=str(clip))
    write_video(path, format, picture)
    whole = path.read_bytes()
    path.write_text("from an earlier run")
    others = sorted(tmp_path.iterdir())
    sizes = [0, 1, 30, 500, 1000, *(len(whole) * share // 40 for share in range(1, 40))]
    for size in [*sizes, *(len(whole) - missing for missing in (500, 50, 1))]:
        with largest_file(size), pytest.raises(UserError, match=r"film\.mp4 could not be written"):
            write_video(path, format, picture)
        assert path.read_text() == "from an earlier run"
        assert sorted(tmp_path.iterdir()) == others
    with largest_file(len(whole) + 5000):  # its pieces have more headers
        write_video(path, format, picture)
    assert path.read_bytes() == whole


def error_on_a_full_disk(size: int, folder: Path, *command: Any) -> str:
    """Run a script where no file may be larger; return its only line of error."""
    first = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({size}, {size}))"
    done = run_process(*command, cwd=folder, first=first)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(("size", "video"), [(1_000, "v.avi"), (50_000, "v.mp4")])
def test_prediction_on_a_full_disk(tmp_path: Path, size: int, video: str) -> None:
    """The table fails first, or the video once its frames are counted."""
    clip = write_clip(tmp_path / "clip.avi", frames=200)
    (tmp_path / "out").mkdir()
    said = error_on_a_full_disk(
        size, tmp_path, "predict_video.py", *BUNDLED, "-i", clip, "--no-preview",
        "-o", f"out/{video}", "--csv", "out/t.csv", "--json", "out/r.json",
        "--timeline", "out/t.png", "--page", "out/p.html",
    )  # fmt: skip
    assert said.startswith("error: out/")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written <= {"t.csv"}  # which is whole, if it is there
    if written:
        assert len(rows(tmp_path / "out" / "t.csv")) == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "named"), [(20_000, "features.sqlite"), (5_000_000, "activity.keras")]
)
def test_training_on_a_full_disk(
    dataset_folder: Path, random_weights: Path, tmp_path: Path, size: int, named: str
) -> None:
    said = error_on_a_full_disk(
        size, tmp_path, "train.py", "-d", dataset_folder, "--views", 0, "-e", 2,
        "--base", "resnet50", "--weights", random_weights,
    )  # fmt: skip
    assert named in said
    require_whole(tmp_path)


def require_whole(folder: Path) -> None:
    """Fail if something under a final name is not complete; what ends in .partial* may be."""
    for path in folder.rglob("*"):
        if not path.is_file() or ".partial" in path.name:
            continue
        if path.suffix == ".keras":
            assert load_model(path).output_shape == (None, 3)
        elif path.suffix == ".xml":
            # Killed between the two renames, they do not belong together, which is noticed.
            with contextlib.suppress(UserError):
                assert load_openvino_model(path).outputs[0].partial_shape[1] == 3
        elif path.suffix == ".pickle":
            assert pickle.loads(path.read_bytes()).classes_.tolist() == load_labels(path)
        elif path.suffix == ".json":
            assert json.loads(path.read_text())
        elif path.suffix == ".png":
            assert cv2.imread(str(path)) is not None
        elif path.suffix in (".avi", ".mp4"):
            assert frames(path)
        elif path.suffix == ".csv":
            assert rows(path)
        elif path.suffix == ".html":
            assert path.read_text().endswith("</html>\n")


def features(path: Path) -> dict[bytes, bytes]:
    database = sqlite3.connect(path)
    found = dict(database.execute("SELECT key, vector FROM features"))
    database.close()
    return found


def killed(folder: Path, script: str, *arguments: object) -> Iterator[Path]:
    """Kill runs of a script in a folder at random moments; yield it whenever one was hit.

    Before, the script runs undisturbed in another folder; in the end it does so here.
    """
    for name in ("undisturbed", "killed"):
        (folder / name).mkdir()
    started = time.monotonic()
    done = run_process(script, *arguments, cwd=folder / "undisturbed")
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    moment = random.Random(0)
    hit = 0
    while hit < KILLS:
        with start_process(script, *arguments, cwd=folder / "killed") as process:
            time.sleep(moment.uniform(0, seconds))
            hit += process.poll() is None
            process.kill()
        require_whole(folder / "killed")
        yield folder / "killed"
    done = run_process(script, *arguments, cwd=folder / "killed")
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(("video", "begun"), [("v.avi", 300_000), ("v.mp4", 5000)])
def test_killed_predictions_leave_nothing_under_a_final_name(
    tmp_path: Path, video: str, begun: int
) -> None:
    clip = write_clip(tmp_path / "clip.avi", frames=400)
    for folder in killed(
        tmp_path, "predict_video.py", *BUNDLED, "-i", clip, "--no-preview", "--overwrite",
        "-o", video, "--csv", "t.csv", "--json", "r.json", "--timeline", "t.png",
        "--page", "p.html",
    ):  # fmt: skip
        # The frames that were written before a kill can be had: an .avi needs no index to be read,
        # and an .mp4 is in pieces.
        partials = [path for path in folder.glob(".v.*.partial.*") if path.stat().st_size > begun]
        assert all(len(frames(path)) >= 50 for path in partials)
    for name in ("t.csv", "r.json"):
        assert (folder / name).read_text() == (tmp_path / "undisturbed" / name).read_text()
    assert len(frames(folder / video)) == 400


@pytest.mark.slow
def test_killed_trainings_go_on_from_what_they_had(
    dataset_folder: Path, random_weights: Path, tmp_path: Path
) -> None:
    cached: dict[bytes, bytes] = {}
    for folder in killed(
        tmp_path, "train.py", "-d", dataset_folder, "--base", "resnet50",
        "--weights", random_weights, "--views", 1, "-e", 2, "--errors", "errors.png",
    ):  # fmt: skip
        if (folder / ".cache/features.sqlite").exists():
            now = features(folder / ".cache/features.sqlite")
            assert now.items() >= cached.items()  # nothing that was computed is lost
            cached = now
    undisturbed = features(tmp_path / "undisturbed/.cache/features.sqlite")
    assert f", {len(undisturbed) - len(cached)} to compute" in (tmp_path / "stdout").read_text()
    assert features(folder / ".cache/features.sqlite") == undisturbed
    first, second = (
        json.loads((tmp_path / name / "model/activity.json").read_text())
        for name in ("undisturbed", "killed")
    )
    for key in ("history", "test", "mistakes", "copy_test"):
        assert first[key] == second[key]


def playable(path: Path) -> int:
    """Return how many frames a player shows of a file that nobody finished."""
    with av.open(BytesIO(path.read_bytes()), "r") as container:
        return len(list(container.decode(container.streams.video[0])))


@pytest.mark.parametrize("picture", [NOISE, BLACK], ids=["noise", "black"])
@pytest.mark.parametrize("fps", [25.0, 1.5])
def test_what_a_kill_would_leave_of_a_film_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: np.ndarray, fps: float
) -> None:
    """At any moment, as far as the last two seconds and the frames that the encoder holds."""

    def join_watched(pieces: Path, *others: Any) -> int:
        assert playable(pieces) == count
        joined = join(pieces, *others)
        assert playable(pieces) == count
        return joined

    monkeypatch.setattr(video_module, "join", join_watched)
    count = round(9 * fps)
    video = Video(tmp_path / "film.mp4", clip_of("a", format=replace(PLAIN, fps=fps)))
    with video.opened():
        for number in range(count):
            video.add(Frame(number, number / fps, picture), PREDICTION)
            if number > 2 * fps + 2 and number % 7 == 0:
                (film,) = tmp_path.glob(".film.*.partial.mp4")
                assert playable(film) >= number + 1 - (2 * fps + 2)
    assert playable(tmp_path / "film.mp4") == count


def test_two_runs_with_the_same_output(tmp_path: Path) -> None:
    """The one that ends last has its file there, whole; neither sees the other's half."""
    clip = write_clip(tmp_path / "clip.avi", frames=80)
    options = (*BUNDLED, "-i", clip, "--no-preview", "-o", "v.avi", "--csv", "t.csv")
    both = [start_process("predict_video.py", *options, cwd=tmp_path) for _ in range(2)]
    assert [process.communicate() and process.returncode for process in both] == [0, 0]
    assert len(frames(tmp_path / "v.avi")) == 80
    assert len(rows(tmp_path / "t.csv")) == 80
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.avi", "t.csv", "v.avi"]
