"""The model files: what is written is what is read, and nothing in a stranger's file is run."""

import json
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import ROOT
from openvino import opset1, opset8

from activity import __version__
from activity.engine import load_engine
from activity.errors import UserError
from activity.model_file import (
    ModelCard,
    load_model,
    load_openvino_model,
    read_card,
    save_model,
    save_openvino_model,
)
from activity.quiet.keras import keras
from activity.quiet.openvino import ov
from activity.text import one_line

CARD = ModelCard(("a", "b"), "crop", 8)


def keras_model(*layers: keras.Layer) -> keras.Model:
    images = keras.Input((8, 8, 3))
    values = images
    for layer in layers:
        values = layer(values)
    pooled = keras.layers.GlobalAveragePooling2D()(values)
    return keras.Model(images, keras.layers.Dense(2, activation="softmax", name="last")(pooled))


def small_model() -> ov.Model:
    """Make a model that takes a batch of 8x8 pictures, with the operations of `train.py`."""
    images = opset1.parameter([1, 8, 8, 3], ov.Type.u8, name="rgb")
    around = np.array([0, 1, 1, 0], np.int32)
    padded = opset1.pad(opset1.convert(images, "f32"), around, around, "constant")
    means = opset1.reduce_mean(padded, np.array([1, 2], np.int32))
    kernel = np.random.default_rng(0).random((3, 2), np.float32)
    logits = opset1.matmul(means, opset1.constant(kernel), False, False)
    return ov.Model([opset8.softmax(logits, 1)], [images])


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    save_model(keras_model(), tmp_path / "model.keras", CARD)
    return tmp_path / "model.keras"


@pytest.fixture
def openvino_file(tmp_path: Path) -> Path:
    save_openvino_model(small_model(), tmp_path / "model.xml", CARD)
    return tmp_path / "model.xml"


def outputs(path: Path) -> list[np.ndarray]:
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
    return [row for _, row in load_engine(path).stream(enumerate(images))]


def refusal(path: Path) -> str:
    with pytest.raises(UserError, match=r"cannot be loaded \(.*\); train it again") as caught:
        load_engine(path)
    assert str(caught.value).isprintable()
    assert caught.value.about == path
    return str(caught.value)


@pytest.mark.parametrize("name", ["m.keras", "activity.model", "noending", "a.h5"])
def test_a_keras_model_and_its_card_come_back_from_any_name(tmp_path: Path, name: str) -> None:
    model = keras_model()
    save_model(model, tmp_path / name, CARD)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read_card(tmp_path / name) == CARD
    points = np.random.default_rng(0).random((5, 8, 8, 3), np.float32)
    loaded = load_model(tmp_path / name)
    assert (loaded.predict(points, verbose=0) == model.predict(points, verbose=0)).all()


def test_an_openvino_model_and_its_card_come_back(openvino_file: Path) -> None:
    assert sorted(path.name for path in openvino_file.parent.iterdir()) == [
        "model.bin",
        "model.xml",
    ]
    assert read_card(openvino_file) == CARD
    rows = outputs(openvino_file)
    assert np.shape(rows) == (3, 2)
    assert np.sum(rows, axis=1) == pytest.approx(1)


def test_a_card_describes_its_model() -> None:
    labels = tuple(
        f"Fußball {number} スキー" for number in range(5000)
    )  # more than a comment holds
    card = ModelCard(labels, "squash", 8)
    assert ModelCard.from_json(card.to_json()) == card
    assert card.version == __version__
    CARD.require_labels(["a", "b"], Path("lb"))
    for other in (["a", "b", "c"], ["a", "c"], ["b", "a"]):
        with pytest.raises(UserError, match=r"^lb holds the classes .*, and the model a, b; give"):
            CARD.require_labels(other, Path("lb"))


FIELDS = vars(CARD)


@pytest.mark.parametrize(
    "card",
    [
        *("", "[]", "{}", "null", "[" * 60_000, '{"resize": "crop"}'),
        *(
            json.dumps(FIELDS | change)
            for change in (
                {"resize": "stretch"}, {"resize": ["crop"]}, {"input_size": 10**9},
                {"input_size": 0}, {"input_size": "8"}, {"input_size": True}, {"labels": None},
                {"labels": ["a", "a"]}, {"labels": ["a", 1]}, {"labels": ["a", "b\x1b[2J"]},
                {"more": 1},
            )
        ),
    ],
)  # fmt: skip
def test_cards_that_say_nonsense_are_refused(
    keras_file: Path, openvino_file: Path, card: str
) -> None:
    rewrite(keras_file, {"card.json": card.encode()})
    tree = ElementTree.parse(openvino_file)
    element = tree.find("rt_info/activity/card")
    assert element is not None
    element.set("value", card)
    tree.write(openvino_file)
    for path in (keras_file, openvino_file):
        with pytest.raises(
            UserError, match=r"was not written by this version of train\.py \("
        ) as no:
            read_card(path)
        assert str(no.value).isprintable()


def test_models_of_earlier_versions_and_other_files_are_refused(
    keras_file: Path, tmp_path: Path
) -> None:
    text, plain_zip = tmp_path / "text.keras", tmp_path / "zip.keras"
    text.write_text("no model")
    with zipfile.ZipFile(plain_zip, "w") as archive:
        archive.writestr("config.json", "{}")
    for path in (text, plain_zip):
        with pytest.raises(UserError, match=r"was not written by this version of train\.py"):
            load_engine(path)
    rewrite(keras_file, {"card.json": b'{"resize": "crop", "input_size": 8, "classes": 2}'})
    with pytest.raises(
        UserError, match=r"no class names, as in versions before 0\.9\); train it ag"
    ):
        read_card(keras_file)
    with pytest.raises(UserError, match="is not a file"):
        read_card(tmp_path / "missing.keras")


@pytest.mark.parametrize("card", [ModelCard(("a", "b"), "crop", 9), ModelCard(("a",), "crop", 8)])
def test_a_card_of_another_model_is_refused(tmp_path: Path, card: ModelCard) -> None:
    save_model(keras_model(), tmp_path / "m.keras", card)
    save_openvino_model(small_model(), tmp_path / "m.xml", card)
    for name in ("m.keras", "m.xml"):
        assert "are not those of its card" in refusal(tmp_path / name)


def test_weights_of_another_model_are_refused(openvino_file: Path) -> None:
    weights = openvino_file.with_suffix(".bin")
    content = weights.read_bytes()
    for other in (content[:-1] + b"?", content[:-1], content + b"?", b""):
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


def test_the_bundled_model_has_its_weights() -> None:
    model = load_openvino_model(ROOT / "model" / "activity.xml")
    assert model.inputs[0].partial_shape[1:].to_shape() == [224, 224, 3]


def test_an_error_quotes_nothing_that_a_terminal_obeys() -> None:
    assert one_line(ValueError("\n a \x1b[2J\nsecond")) == r"a \x1b[2J"
    assert one_line(RuntimeError("Exception from x.cpp:1:\nCheck failed\nreason\n")) == "reason"
    assert one_line(MemoryError()) == "MemoryError"
    assert len(one_line(ValueError("x" * 10_000))) == 300


# --- What could run code ---


def rewrite(path: Path, members: dict[str, bytes]) -> None:
    """Replace members of an archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | members
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


noted: list[str] = []
HARM = ("os.system", "subprocess.Popen", "socket.connect", "socket.getaddrinfo", "urllib.Request")
sys.addaudithook(lambda event, _: noted.append(event) if event in HARM else None)


@contextmanager
def nothing_runs() -> Iterator[None]:
    noted.clear()
    yield
    assert noted == []


def gadget(module: Any, name: Any, config: object, registered: object = None) -> dict[str, Any]:
    return {
        "module": module, "class_name": name, "config": config, "registered_name": registered,
    }  # fmt: skip


def function(module: str, name: str) -> dict[str, Any]:
    return gadget(module, "function", name, name)


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4w=="}}
GADGETS = {
    "Lambda": gadget("keras.layers", "Lambda", {"name": "x", "function": LAMBDA}),
    "lambda in an allowed layer": gadget("keras.layers", "Activation", {"activation": LAMBDA}),
    "TFSMLayer": gadget("keras.layers", "TFSMLayer", {"filepath": "/tmp/saved_model"}),
    "function of another module": function("os", "system"),
    "unsafe deserialization": function("keras.config", "enable_unsafe_deserialization"),
    "get_file": function("keras.utils", "get_file"),
    "class of another module": gadget("subprocess", "Popen", {"args": ["true"]}),
    "allowed name of another module": gadget("evil", "Dense", {}),
    "registered name": gadget("keras.layers", "Dense", {}, "evil>Lambda"),
    "no module": {"class_name": "Dense", "config": {}},
    "module without class": {"module": "os", "config": {}},
    "registered name alone": {"registered_name": "Lambda", "config": {}},
    "class that is no text": gadget("keras.layers", ["Dense"], {}),
    "module that is no text": gadget(["keras.layers"], "Dense", {}),
    "typespec": {"class_name": "__typespec__", "module": "os", "config": ["system"]},
    "bytes": {"class_name": "__bytes__", "config": {"value": ""}},
}


@pytest.mark.parametrize("place", ["model", "layer", "activation", "initializer", "argument"])
@pytest.mark.parametrize("name", GADGETS)
def test_a_configuration_that_names_anything_else_runs_nothing(
    keras_file: Path, name: str, place: str
) -> None:
    config = json.loads(zipfile.ZipFile(keras_file).read("config.json"))
    layers, last = config["config"]["layers"], config["config"]["layers"][-1]
    match place:
        case "model":
            config = GADGETS[name]
        case "layer":
            layers.append(GADGETS[name])
        case "activation":
            last["config"]["activation"] = GADGETS[name]
        case "initializer":
            last["config"]["kernel_initializer"] = GADGETS[name]
        case "argument":
            last["inbound_nodes"][0]["args"].append(GADGETS[name])
    rewrite(keras_file, {"config.json": json.dumps(config).encode()})
    with nothing_runs():
        refusal(keras_file)
    assert keras.src.saving.serialization_lib.in_safe_mode() in (None, True)


def test_a_lambda_runs_in_other_hands_and_not_here(tmp_path: Path) -> None:
    harm = keras.layers.Lambda(lambda x: (__import__("os").system("true"), x)[1])
    save_model(keras_model(harm), tmp_path / "m.keras", CARD)
    with nothing_runs():
        assert "`Lambda` layer" in refusal(tmp_path / "m.keras")
    keras.saving.load_model(tmp_path / "m.keras", safe_mode=False)
    assert "os.system" in noted


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_hdf5_files_are_refused(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / name, "w") as file:
        file.attrs["model_config"] = json.dumps(GADGETS["Lambda"])
    with nothing_runs(), pytest.raises(UserError, match=r"was not written by .*not a zip file"):
        load_engine(tmp_path / name)
