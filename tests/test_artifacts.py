import pickle
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from activity.artifacts import ModelCard
from sklearn.preprocessing import LabelBinarizer

from activity import artifacts
from activity.cli import UserError

CARD = ModelCard.of(["a", "b"], "crop", 8)


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), artifacts.written_whole(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [
        ("file.txt", "before")
    ]


def test_a_finished_write_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")
    with artifacts.written_whole(path) as partial:
        assert partial.suffix == ".txt"
        partial.write_text("after")
        assert path.read_text() == "before"
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [
        ("file.txt", "after")
    ]


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        UserError, match=r"--plot .*file/plot.png cannot be written: .*file is a file"
    ):
        artifacts.check_output(tmp_path / "file" / "plot.png", "--plot")
    with pytest.raises(UserError, match="is a folder"):
        artifacts.check_output(tmp_path, "--plot")
    artifacts.check_output(tmp_path / "new" / "folder" / "plot.png", "--plot")
    assert (tmp_path / "new" / "folder").is_dir()


def test_an_output_is_never_another_file(tmp_path: Path) -> None:
    (tmp_path / "clip.avi").touch()
    (tmp_path / "link.avi").symlink_to(tmp_path / "clip.avi")
    inputs = [("--input", tmp_path / name) for name in ("clip.avi", "other.avi", "clip.avi")]
    artifacts.check_distinct([*inputs, ("--output", tmp_path / "o.avi")])
    for name in ("clip.avi", "link.avi", "../" + tmp_path.name + "/clip.avi"):
        with pytest.raises(UserError, match="--input and --output are the same file"):
            artifacts.check_distinct([*inputs, ("--output", tmp_path / name)])


@pytest.mark.parametrize("name", ["m.keras", "activity.model", "noending", "a.h5"])
def test_a_model_loads_from_any_name(tmp_path: Path, name: str) -> None:
    from activity.runtime import keras

    images = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model(images, keras.layers.Dense(2, activation="softmax")(pooled))
    artifacts.save_model(model, tmp_path / name, CARD)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert artifacts.read_card(tmp_path / name) == CARD
    loaded = artifacts.load_model(tmp_path / name)
    points = np.random.default_rng(0).random((5, 8, 8, 3), np.float32)
    assert (loaded.predict(points, verbose=0) == model.predict(points, verbose=0)).all()


def test_a_file_that_train_did_not_write_is_refused(tmp_path: Path) -> None:
    text, plain_zip = tmp_path / "text.keras", tmp_path / "zip.keras"
    text.write_text("no model")
    with zipfile.ZipFile(plain_zip, "w") as archive:
        archive.writestr("config.json", "{}")
    for path in (text, plain_zip):
        with pytest.raises(UserError, match=r"was not written by train\.py"):
            artifacts.read_card(path)
    with pytest.raises(UserError, match="is not a file"):
        artifacts.read_card(tmp_path / "missing.keras")
    with pytest.raises(UserError, match="cannot be loaded"):
        artifacts.load_model(plain_zip)


def test_labels_and_model_have_to_belong_together() -> None:
    CARD.require_labels(["a", "b"], Path("lb"))
    with pytest.raises(UserError, match="holds 3 classes and the model 2"):
        CARD.require_labels(["a", "b", "c"], Path("lb"))
    for labels in (["a", "c"], ["b", "a"]):
        with pytest.raises(UserError, match="holds other classes"):
            CARD.require_labels(labels, Path("lb"))


@pytest.mark.parametrize("labels", [["b", "a"], ["x", "y", "z"], ["tennis", "Fußball", "スキー"]])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_label_binarizers_of_every_protocol_are_read(
    tmp_path: Path, labels: list[str], protocol: int
) -> None:
    path = tmp_path / "lb.pickle"
    path.write_bytes(pickle.dumps(LabelBinarizer().fit(labels), protocol))
    assert artifacts.load_labels(path) == sorted(labels)


def test_what_is_saved_is_a_plain_label_binarizer(tmp_path: Path) -> None:
    artifacts.save_labels(LabelBinarizer().fit(["b", "a", "c"]), tmp_path / "lb.pickle")
    loaded = pickle.loads((tmp_path / "lb.pickle").read_bytes())
    assert isinstance(loaded, LabelBinarizer)
    assert loaded.classes_.tolist() == ["a", "b", "c"]


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return subprocess.check_call, (["touch", str(self.marker)],)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    marker, path = tmp_path / "marker", tmp_path / "lb.pickle"
    path.write_bytes(pickle.dumps(Evil(marker), protocol))
    with pytest.raises(UserError, match=r"asks for \w+\.check_call"):
        artifacts.load_labels(path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())  # the same file does its harm to an ordinary loader
    assert marker.exists()


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps([1, 2]), pickle.dumps(None)])
def test_other_files_are_no_label_binarizers(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lb.pickle"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a pickled LabelBinarizer"):
        artifacts.load_labels(path)


def test_a_binarizer_of_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lb.pickle"
    path.write_bytes(pickle.dumps(LabelBinarizer().fit([1, 2, 3])))
    with pytest.raises(UserError, match="its classes are not text"):
        artifacts.load_labels(path)


def test_an_openvino_model_keeps_its_card(tmp_path: Path) -> None:
    import openvino as ov
    from openvino import opset13 as ops

    rgb = ops.parameter([1, 3], ov.Type.f32)
    double = ov.Model([ops.multiply(rgb, np.float32(2))], [rgb])
    artifacts.save_openvino_model(double, tmp_path / "m.xml", CARD)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.bin", "m.xml"]
    assert artifacts.read_card(tmp_path / "m.xml") == CARD
    compiled = ov.Core().compile_model(tmp_path / "m.xml", "CPU")
    assert compiled(np.array([[1, 2, 3]], np.float32))[0].tolist() == [[2, 4, 6]]


def test_names_with_another_ending_are_refused(tmp_path: Path) -> None:
    for name in ("out.mkv", "out", "out.avi.txt"):
        with pytest.raises(UserError, match=r"choose a name ending in \.avi or \.mp4"):
            artifacts.check_output(tmp_path / name, "--output", (".avi", ".mp4"))
    artifacts.check_output(tmp_path / "new" / "OUT.AVI", "--output", (".avi", ".mp4"))
