"""The model files: what is written is what is read, and nothing in a stranger's file is run."""

import copy
import json
import os
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import ROOT
from openvino import opset1, opset8

from activity import __version__, model_file
from activity.engine import load_engine
from activity.errors import UserError
from activity.model_file import METADATA_IN_KERAS, ModelMetadata, read_metadata
from activity.quiet.keras import keras, tf
from activity.quiet.openvino import ov
from activity.text import one_line

METADATA = ModelMetadata(("a", "b"), "crop", 8)
NOT_OURS = r"was not written by this version of train\.py"


def keras_model(*layers: keras.Layer) -> keras.Model:
    last = keras.layers.Dense(2, activation="softmax", name="last")
    pool = keras.layers.GlobalAveragePooling2D()
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers, pool, last])
    return keras.Model(model.inputs, model.outputs)


def small_model() -> ov.Model:
    """Make a model that takes a batch of 8x8 pictures, with the operations of `train.py`."""
    images = opset1.parameter([1, 8, 8, 3], ov.Type.u8, name="rgb")
    around = np.array([0, 1, 1, 0], np.int32)
    padded = opset1.pad(opset1.convert(images, "f32"), around, around, "constant")
    means = opset1.reduce_mean(padded, np.array([1, 2], np.int32))
    kernel = np.random.default_rng(0).random((3, 2), np.float32)
    logits = opset1.matmul(means, opset1.constant(kernel), False, False)
    return ov.Model([opset8.softmax(logits, 1)], [images])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model_file.save_model(keras_model(), path, METADATA)
    return path.read_bytes()


@pytest.fixture
def keras_file(tmp_path: Path, saved: bytes) -> Path:
    (tmp_path / "model.keras").write_bytes(saved)
    return tmp_path / "model.keras"


@pytest.fixture
def openvino_file(tmp_path: Path) -> Path:
    model_file.save_openvino_model(small_model(), tmp_path / "model.xml", METADATA)
    return tmp_path / "model.xml"


def rewrite(path: Path, members: dict[str, bytes]) -> None:
    """Replace members of an archive; those without content are left out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | members
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content:
                archive.writestr(name, content)


def outputs(path: Path) -> list[np.ndarray]:
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
    return [row for _, row in load_engine(path).stream(enumerate(images))]


def refusal(path: Path) -> str:
    with pytest.raises(
        UserError, match=r"cannot be loaded \(.*\); (free some memory, or )?train it again"
    ) as caught:
        load_engine(path)
    assert str(caught.value).isprintable()
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["m.keras", "activity.model", "noending", "a.h5"])
def test_a_keras_model_and_its_metadata_come_back_from_any_name(tmp_path: Path, name: str) -> None:
    model = keras_model()
    model_file.save_model(model, tmp_path / name, METADATA)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read_metadata(tmp_path / name) == METADATA
    points = np.random.default_rng(0).random((5, 8, 8, 3), np.float32)
    loaded = model_file.load_model(tmp_path / name)
    assert (loaded.predict(points, verbose=0) == model.predict(points, verbose=0)).all()


def test_an_openvino_model_and_its_metadata_come_back(openvino_file: Path) -> None:
    assert {path.name for path in openvino_file.parent.iterdir()} == {"model.bin", "model.xml"}
    assert read_metadata(openvino_file) == METADATA
    rows = outputs(openvino_file)
    assert np.shape(rows) == (3, 2)
    assert np.sum(rows, axis=1) == pytest.approx(1)


def test_metadata_describe_their_model() -> None:
    labels = (f"Fußball {number} スキー" for number in range(5000))  # more than a comment holds
    metadata = ModelMetadata(tuple(labels), "squash", 8)
    assert ModelMetadata.from_json(metadata.to_json()) == metadata
    assert metadata.version == __version__
    METADATA.require_labels(["a", "b"], Path("lb"))
    for other in (["a", "b", "c"], ["a", "c"], ["b", "a"]):
        with pytest.raises(UserError, match=r"^lb holds the classes .*, and the model a, b; give"):
            METADATA.require_labels(other, Path("lb"))


CHANGES: list[dict[str, Any]] = [
    {"resize": "stretch"}, {"resize": ["crop"]}, {"input_size": 10**9}, {"input_size": 0},
    {"input_size": "8"}, {"input_size": True}, {"labels": None}, {"labels": ["a", "a"]},
    {"labels": ["a", 1]}, {"labels": ["a", "b\x1b[2J"]},
]  # fmt: skip
NO_METADATA = ["", "[]", "{}", "null", "[" * 60_000, '{"resize": "crop"}']


@pytest.mark.parametrize(
    "metadata", [*NO_METADATA, *(json.dumps(vars(METADATA) | change) for change in CHANGES)]
)
def test_metadata_that_say_nonsense_are_refused(
    keras_file: Path, openvino_file: Path, metadata: str
) -> None:
    rewrite(keras_file, {METADATA_IN_KERAS: metadata.encode()})
    tree = ElementTree.parse(openvino_file)
    element = tree.find("rt_info/activity/card")
    assert element is not None
    element.set("value", metadata)
    tree.write(openvino_file)
    for path in (keras_file, openvino_file):
        with pytest.raises(UserError, match=f"{NOT_OURS} \\(") as caught:
            read_metadata(path)
        assert str(caught.value).isprintable()


def test_models_of_earlier_versions_and_other_files_are_refused(
    keras_file: Path, tmp_path: Path
) -> None:
    rewrite(keras_file, {METADATA_IN_KERAS: b'{"resize": "crop", "input_size": 8, "classes": 2}'})
    with pytest.raises(
        UserError, match=r"no class names, as in versions before 0\.9\); train it a"
    ):
        read_metadata(keras_file)
    rewrite(keras_file, {METADATA_IN_KERAS: b""})
    (tmp_path / "text.keras").write_text("no model")
    for path in (keras_file, tmp_path / "text.keras"):
        with pytest.raises(UserError, match=NOT_OURS):
            load_engine(path)
    with pytest.raises(UserError, match="is not a file"):
        read_metadata(tmp_path / "missing.keras")


@pytest.mark.parametrize(
    "metadata", [ModelMetadata(("a", "b"), "crop", 9), ModelMetadata(("a",), "crop", 8)]
)
def test_metadata_of_another_model_are_refused(tmp_path: Path, metadata: ModelMetadata) -> None:
    model_file.save_model(keras_model(), tmp_path / "m.keras", metadata)
    model_file.save_openvino_model(small_model(), tmp_path / "m.xml", metadata)
    for name in ("m.keras", "m.xml"):
        assert "are not those of its metadata" in refusal(tmp_path / name)


def test_weights_of_another_model_are_refused(openvino_file: Path) -> None:
    weights = openvino_file.with_suffix(".bin")
    content = weights.read_bytes()
    for other in (content[:-1] + b"?", b""):
        weights.write_bytes(other)
        assert f"{weights} does not belong to it" in refusal(openvino_file)
    weights.unlink()
    assert f"{weights} is missing" in refusal(openvino_file)


def test_a_damaged_graph_is_one_error(openvino_file: Path) -> None:
    text = openvino_file.read_text()
    for before, after in (
        ('type="MatMul"', 'type="Loop"'), ('offset="', 'offset="9'), ('size="16"', 'size="15"'),
        ('version="11"', 'version="x"'), ("<layers>", "<layers><layer/>"),
    ):  # fmt: skip
        assert before in text
        openvino_file.write_text(text.replace(before, after, 1))
        refusal(openvino_file)


def test_the_bundled_model_is_read_with_what_its_version_knew_besides() -> None:
    path = ROOT / "model/activity.xml"
    assert "unknown_below" in path.read_text()
    assert read_metadata(path).labels == ("football", "tennis", "weight_lifting")
    model = model_file.load_openvino_model(path)
    assert model.inputs[0].partial_shape[1:].to_shape() == [260, 260, 3]


def test_an_error_quotes_nothing_that_a_terminal_obeys() -> None:
    assert one_line(ValueError("\n a \x1b[2J\nsecond")) == r"a \x1b[2J"
    assert one_line(RuntimeError("Exception from x.cpp:1:\nCheck failed\nreason\n")) == "reason"
    assert one_line(MemoryError()) == "MemoryError"
    assert len(one_line(ValueError("x" * 10_000))) == 300


# --- What could run code ---


noted: list[str] = []
HARM = ("os.system", "subprocess.Popen", "socket.connect", "socket.getaddrinfo", "urllib.Request")
sys.addaudithook(lambda event, _: noted.append(event) if event in HARM else None)


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a module and a SavedModel that make the file MARKER when they are run."""
    folder = tmp_path_factory.mktemp("trap")
    (folder / "evil.py").write_text("open('MARKER', 'w').close()")
    saved, pictures = tf.Module(), [tf.TensorSpec((None, 8, 8, 3))]
    harm = lambda x: (tf.io.write_file("MARKER", ""), x)[1]  # noqa: E731
    saved.serve = tf.function(harm, input_signature=pictures, autograph=False)
    tf.saved_model.save(saved, str(folder / "saved"))
    return folder


@pytest.fixture
def marker(trap: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(trap)
    monkeypatch.syspath_prepend(trap)
    monkeypatch.delitem(sys.modules, "evil", raising=False)
    (trap / "MARKER").unlink(missing_ok=True)
    noted.clear()
    yield trap / "MARKER"
    keras.src.backend.common.global_state.set_global_attribute("safe_mode_saving", None)


@contextmanager
def nothing_runs(marker: Path) -> Iterator[None]:
    yield
    assert not noted
    assert not marker.exists()
    assert keras.src.saving.serialization_lib.in_safe_mode() is None


def gadget(module: Any, name: Any, config: object, registered: object = None) -> dict[str, Any]:
    names = {"module": module, "class_name": name, "registered_name": registered}
    return names | {"config": config}


def function(module: str, name: str) -> dict[str, Any]:
    return gadget(module, "function", name, name)


def call(module: str, name: str, **arguments: object) -> dict[str, Any]:
    """Make a layer that calls a function with the text `touch MARKER` and the arguments."""
    config = {"function": function(module, name), "arguments": arguments}
    nodes = [{"args": [], "kwargs": {"inputs": "touch MARKER"}}]
    return gadget("keras.layers", "Lambda", config) | {"inbound_nodes": nodes}


LAMBDA = keras.layers.Lambda(lambda x: (__import__("os").system("touch MARKER"), x)[1])
CODE = LAMBDA.get_config()["function"]
OTHER_CODE = {"class_name": "__lambda__", "config": {"value": [CODE["config"]["code"], None, None]}}
LAYER = gadget("keras.layers", "Lambda", {"name": "x", "function": CODE})
SHAPE = {"function": function("keras.ops", "relu"), "output_shape": CODE}
SAFE_MODE_REFUSES = {
    "Lambda": LAYER,
    "Lambda without a module": {"class_name": "Lambda", "config": LAYER["config"]},
    "Lambda in a wrapper": gadget("keras.layers", "TimeDistributed", {"layer": LAYER}),
    "lambda for a shape": gadget("keras.layers", "Lambda", SHAPE),
    "lambda in an allowed layer": gadget("keras.layers", "Activation", {"activation": OTHER_CODE}),
    "TFSMLayer": gadget("keras.layers", "TFSMLayer", {"filepath": "saved"}),
}
FETCH = {"origin": Path(__file__).as_uri(), "cache_dir": ".", "cache_subdir": "."}
GADGETS = SAFE_MODE_REFUSES | {
    "function of another module": function("os", "system"),
    "call of another module": call("os", "system"),
    "unsafe deserialization": call("keras.config", "enable_unsafe_deserialization"),
    "get_file": call("keras.utils", "get_file", **FETCH),
    "download by Keras": call("keras.datasets.mnist", "load_data"),
    "class of another module": gadget("subprocess", "Popen", {"args": ["touch", "MARKER"]}),
    "allowed name of another module": gadget("evil", "Dense", {"units": 2}),
    "registered name": gadget("keras.layers", "Dense", {"units": 2}, "evil>Lambda"),
    "no module": {"class_name": "Dense", "config": {}},
    "module without class": {"module": "os", "config": {}},
    "registered name alone": {"registered_name": "Lambda", "config": {}},
    "class that is no text": gadget("keras.layers", ["Dense"], {}),
    "module that is no text": gadget(["keras.layers"], "Dense", {}),
    "typespec": gadget("os", "__typespec__", ["touch MARKER"]) | {"spec_name": "system"},
    "bytes": {"class_name": "__bytes__", "config": {"value": ""}},
}
PLACES = ("model", "layer", "argument", "compile_config", "activation", "kernel_initializer")


def put(gadget: dict[str, Any], place: str, path: Path) -> None:
    config = json.loads(zipfile.ZipFile(path).read("config.json"))
    _, pool, last = layers = config["config"]["layers"]
    match place:
        case "model":
            config = gadget
        case "layer":  # the first, so that it sees the pictures
            nodes = {"inbound_nodes": copy.deepcopy(pool["inbound_nodes"])}
            layers.insert(1, nodes | gadget | {"name": "x"})
            pool["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "x"
        case "argument":
            last["inbound_nodes"][0]["args"].append(gadget)
        case "compile_config":
            config[place] = {"optimizer": gadget, "loss": gadget}
        case _:
            last["config"][place] = gadget
    rewrite(path, {"config.json": json.dumps(config).encode()})


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", GADGETS)
def test_a_configuration_that_names_anything_else_runs_nothing(
    keras_file: Path, marker: Path, name: str, place: str
) -> None:
    put(GADGETS[name], place, keras_file)
    with nothing_runs(marker):
        if place == "compile_config":  # only training needs it
            with suppress(UserError):
                assert np.shape(outputs(keras_file)) == (3, 2)
        else:
            refusal(keras_file)


KNOWN = {
    "call of another module": {"system": os.system},
    "get_file": {"get_file": keras.utils.get_file},
    "registered name": {"evil>Lambda": type("Evil", (), {"from_config": LAMBDA.function})},
}


@pytest.mark.parametrize("name", [*SAFE_MODE_REFUSES, *KNOWN])
def test_the_same_file_does_harm_where_it_may(keras_file: Path, marker: Path, name: str) -> None:
    put(GADGETS[name], "layer", keras_file)
    with suppress(Exception), keras.saving.custom_object_scope(KNOWN.get(name, {})):
        keras.saving.load_model(keras_file, safe_mode=False)(np.zeros((1, 8, 8, 3), np.float32))
    assert marker.exists() or noted == ["urllib.Request"]


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_hdf5_files_are_refused(keras_file: Path, marker: Path, name: str) -> None:
    path, original = keras_file.with_name(name), marker.with_name("original.h5")
    keras_model(LAMBDA).save(original)
    path.write_bytes(original.read_bytes())
    marker.unlink()
    noted.clear()
    with nothing_runs(marker):
        with pytest.raises(UserError, match=r"was not written by .*not a zip file"):
            load_engine(path)
        path.write_bytes(path.read_bytes() + keras_file.read_bytes())  # now it is an archive, too
        assert np.shape(outputs(path)) == (3, 2)
    keras.saving.load_model(original, safe_mode=False)
    assert marker.exists()


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")
@pytest.mark.parametrize("kind", ["ExternalLink", "external Dataset", "virtual Dataset"])
def test_weights_from_elsewhere_are_refused(keras_file: Path, tmp_path: Path, kind: str) -> None:
    other, weights, kernel = tmp_path / "other.h5", tmp_path / "weights.h5", "layers/dense/vars/0"
    with h5py.File(other, "w") as file:
        offset = file.create_dataset("kernel", data=np.ones((3, 2), np.float32)).id.get_offset()
    weights.write_bytes(zipfile.ZipFile(keras_file).read("model.weights.h5"))
    with h5py.File(weights, "r+") as file:
        del file[kernel]
        if kind == "ExternalLink":
            file[kernel] = h5py.ExternalLink(str(other), "kernel")
        elif kind == "external Dataset":
            file.create_dataset(kernel, (3, 2), "f4", external=[(str(other), offset, 24)])
        else:
            layout = h5py.VirtualLayout((3, 2), "f4")
            layout[:] = h5py.VirtualSource(str(other), "kernel", (3, 2))
            file.create_virtual_dataset(kernel, layout)
        assert (file[kernel][...] == 1).all()  # where nothing is refused
    rewrite(keras_file, {"model.weights.h5": weights.read_bytes()})
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        load_engine(keras_file)
    assert f"Not allowed: H5 file with {kind}" in str(caught.value.__cause__)


@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")
def test_other_members_run_and_write_nothing(keras_file: Path, marker: Path) -> None:
    array, weights = np.array(None, object), marker.with_name("weights.npz")
    array[()] = type("Harm", (), {"__reduce__": lambda _: (os.system, ("touch MARKER",))})()
    np.savez(weights, allow_pickle=True, **{"layers/dense/vars": array})
    rewrite(keras_file, {"model.weights.h5": b"", "model.weights.npz": weights.read_bytes()})
    rewrite(keras_file, {str(marker): b"x", "../MARKER": b"x", "assets/../../MARKER": b"x"})
    with nothing_runs(marker), pytest.warns(UserWarning, match="Skipping invalid path"):
        refusal(keras_file)
    assert np.load(weights, allow_pickle=True)["layers/dense/vars"] == 0
    assert marker.exists()
