"""Files made to do harm: none may run anything, take all memory, or raise but a `UserError`."""

import json
import os
import pickle
import resource
import shutil
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import openvino as ov
import pytest
from activity.artifacts import ModelCard
from activity.class_names import unpickle_class_names
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openvino import opset1, opset8
from sklearn.preprocessing import LabelBinarizer

from activity import artifacts, class_names
from activity.cli import UserError, one_line
from activity.engine import load_engine

CARD = ModelCard.of(["a", "b"], "crop", 8)

# --- lb.pickle ---

# What each pickle asks for and gives to it; MARKER is a file that must not be made.
CALLS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("os", "system", ("touch MARKER",)),
    ("posix", "system", ("touch MARKER",)),
    ("os", "popen", ("touch MARKER",)),
    ("os", "mkdir", ("MARKER",)),
    ("subprocess", "Popen", (["touch", "MARKER"],)),
    ("subprocess", "check_output", (["touch", "MARKER"],)),
    ("subprocess", "getoutput", ("touch MARKER",)),
    ("builtins", "eval", ("open('MARKER', 'w')",)),
    ("builtins", "exec", ("open('MARKER', 'w')",)),
    ("__builtin__", "eval", ("open('MARKER', 'w')",)),
    ("builtins", "open", ("MARKER", "w")),
    ("io", "open", ("MARKER", "w")),
    ("builtins", "compile", ("0", "", "eval")),
    ("builtins", "__import__", ("antigravity",)),
    ("builtins", "getattr", ("", "join")),
    ("builtins", "setattr", ("", "join", 1)),
    ("builtins", "bytearray", (2**40,)),
    ("builtins", "range", (2**40,)),
    ("builtins", "object", ()),
    ("copyreg", "_reconstructor", (1, 2, 3)),
    ("copy_reg", "add_extension", ("os", "system", 1)),
    ("operator", "attrgetter", ("__class__.__base__",)),
    ("operator", "methodcaller", ("system", "touch MARKER")),
    ("functools", "partial", (1,)),
    ("types", "CodeType", (0,)),
    ("types", "FunctionType", (0,)),
    ("runpy", "run_path", ("MARKER",)),
    ("runpy", "_run_code", ("open('MARKER', 'w')", {})),
    ("code", "interact", ()),
    ("pty", "spawn", (["touch", "MARKER"],)),
    ("timeit", "timeit", ("open('MARKER', 'w')", "pass", 0, 1)),
    ("cProfile", "run", ("open('MARKER', 'w')",)),
    ("bdb", "Bdb.run", (1, "open('MARKER', 'w')")),
    ("pickle", "loads", (b"cos\nsystem\n(S'touch MARKER'\ntR.",)),
    ("pickle", "load", ("MARKER",)),
    ("_pickle", "loads", (b"cos\nsystem\n(S'touch MARKER'\ntR.",)),
    ("marshal", "loads", (b"N",)),
    ("importlib", "import_module", ("antigravity",)),
    ("shutil", "rmtree", ("MARKER",)),
    ("socket", "create_connection", (("127.0.0.1", 9),)),
    ("urllib.request", "urlopen", ("file:///MARKER",)),
    ("webbrowser", "open", ("file:///MARKER",)),
    ("ctypes", "CDLL", ("libc.so.6",)),
    ("_codecs", "decode", (b"touch", "zlib")),
    ("codecs", "encode", ("x", "latin1")),
    ("codecs", "open", ("MARKER", "w")),
    ("numpy", "load", ("MARKER", None, True)),
    ("numpy", "save", ("MARKER", 1)),
    ("numpy", "fromfile", ("/dev/zero",)),
    ("numpy", "memmap", ("MARKER", "u1", "w+", 0, 1)),
    ("numpy", "core", ()),
    ("numpy", "ndarray.tofile", ("MARKER",)),
    ("numpy", "dtype.__class__", ()),
    ("numpy.f2py", "compile", ("end", "m")),
    ("numpy.testing._private.utils", "runstring", ("open('MARKER', 'w')", {})),
    ("numpy._core.multiarray", "fromstring", ("0", "u1")),
    ("numpy._core.multiarray", "scalar", ("O", b"cos\nsystem\n(S'touch MARKER'\ntR.")),
    ("numpy.core.multiarray", "_reconstruct.__call__", ()),
    ("numpy._core._internal", "eval", ("0",)),
    ("sklearn.datasets", "fetch_openml", ("iris",)),
    ("sklearn.datasets", "load_files", ("/",)),
    ("sklearn.utils", "shuffle", ([1],)),
    ("sklearn.preprocessing", "LabelBinarizer", ()),
    ("sklearn.preprocessing._label", "LabelEncoder", ()),
    ("sklearn.preprocessing._label", "LabelBinarizer.fit", ()),
    ("sklearn.preprocessing._label", "np.load", ("MARKER",)),
    ("sklearn.preprocessing._function_transformer", "FunctionTransformer", ()),
    ("keras.saving", "load_model", ("MARKER",)),
    ("activity.artifacts", "save_json", ({}, "MARKER")),
]
# Those that do their harm under an ordinary `pickle.load` here, too.
HARMFUL = [
    *(("os", "system"), ("posix", "system"), ("os", "mkdir"), ("subprocess", "check_output")),
    *(("subprocess", "getoutput"), ("builtins", "eval"), ("builtins", "exec")),
    *(("builtins", "open"), ("io", "open"), ("codecs", "open")),
    *(("runpy", "_run_code"), ("cProfile", "run"), ("pickle", "loads")),
    *(("_pickle", "loads"), ("numpy", "save"), ("numpy", "memmap")),
    ("numpy.testing._private.utils", "runstring"),
]


def value(content: object) -> bytes:
    """Pickle a value, to stand in the middle of a pickle."""
    return pickle.dumps(content, 2)[2:-1]


def with_global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def with_stack_global(module: str, name: str) -> bytes:
    texts = (text.encode() for text in (module, name))
    return b"".join(b"\x8c" + bytes([len(text)]) + text for text in texts) + b"\x93"


def alone(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


def in_an_attribute(body: bytes) -> bytes:
    """Put a value in the place of `neg_label` of a real LabelBinarizer."""
    whole = pickle.dumps(LabelBinarizer().fit(["a", "b"]), 2)
    before, after = whole.split(b"K\x00", 1)
    return before + body + after


def reason_for(path: Path) -> str:
    with pytest.raises(UserError, match=r"is not a pickled LabelBinarizer \(") as caught:
        artifacts.load_labels(path)
    message = str(caught.value)
    assert message.isprintable()
    return message


@pytest.mark.parametrize("place", [alone, in_an_attribute])
@pytest.mark.parametrize("spelling", [with_global, with_stack_global])
@pytest.mark.parametrize(("module", "name", "arguments"), CALLS)
def test_a_call_of_anything_else_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    name: str,
    arguments: tuple[Any, ...],
    spelling: Callable[[str, str], bytes],
    place: Callable[[bytes], bytes],
) -> None:
    monkeypatch.chdir(tmp_path)  # where MARKER would be
    path = tmp_path / "lb.pickle"
    path.write_bytes(place(spelling(module, name) + value(arguments) + b"R"))
    reason = reason_for(path)
    if (module, name) != ("copyreg", "_reconstructor"):
        assert f"asks for {module}.{name})" in reason
    assert [found.name for found in tmp_path.iterdir()] == ["lb.pickle"]
    if (module, name) in HARMFUL:
        pickle.loads(path.read_bytes())
        assert len(list(tmp_path.iterdir())) > 1


LABEL_BINARIZER = with_global("sklearn.preprocessing._label", "LabelBinarizer")
NDARRAY = with_global("numpy", "ndarray")
DTYPE = with_global("numpy", "dtype")
EVIL_STATE = value({"__class__": "x", "__dict__": {}, "__setstate__": 1, "state": 2})


def nested(times: int) -> bytes:
    """Make a tuple that holds the same tuple twice, and so on: few bytes, 2**times parts."""
    return b")" + b"q\x00h\x00\x86" * times


TRICKS = {
    "state of a class": (LABEL_BINARIZER + EVIL_STATE + b"b", "damaged"),
    "state of ndarray": (NDARRAY + EVIL_STATE + b"b", "damaged"),
    "state of a function": (with_global("_codecs", "encode") + EVIL_STATE + b"b", "damaged"),
    "state of text": (value("x") + EVIL_STATE + b"b", "damaged"),
    "state without classes": (LABEL_BINARIZER + b")\x81" + EVIL_STATE + b"b", "something else"),
    "slots": (
        LABEL_BINARIZER + b")\x81" + value((None, {"__class__": "x"})) + b"b",
        "something else",
    ),
    "NEWOBJ of ndarray": (NDARRAY + value((2**30,)) + b"\x81", "something else"),
    "NEWOBJ of dtype": (DTYPE + value(("O",)) + b"\x81", "something else"),
    "NEWOBJ with arguments": (LABEL_BINARIZER + value((1,)) + b"\x81", "something else"),
    "NEWOBJ of text": (value("LabelBinarizer") + b")\x81", "something else"),
    "NEWOBJ_EX": (LABEL_BINARIZER + b")}\x92", "instruction NEWOBJ_EX"),
    "call of ndarray": (NDARRAY + value((2**30,)) + b"R", "something else"),
    "call of a call": (LABEL_BINARIZER + b")R)R", "something else"),
    "call of a number": (b"K\x01)R", "something else"),
    "other codec": (with_global("_codecs", "encode") + value(("a", "rot13")) + b"R", "else"),
    "INST": (b"(ios\nsystem\n", "instruction INST"),
    "OBJ": (b"(" + LABEL_BINARIZER + b"o", "instruction OBJ"),
    "PERSID": (b"Px\n", "instruction PERSID"),
    "BINPERSID": (b"K\x01Q", "instruction BINPERSID"),
    "EXT1": (b"\x82\x01", "instruction EXT1"),
    "EXT4": (b"\x84\x01\x00\x00\x00", "instruction EXT4"),
    "DUP": (b"]2a", "instruction DUP"),
    "POP": (b"]0", "instruction POP"),
    "buffer": (b"\x97", "instruction NEXT_BUFFER"),
    "LONG4": (b"\x8b\xff\xff\xff\x7f", "long4"),
    "long number": (b"I" + b"9" * 100_000 + b"\n", "digits"),
    "names that are no text": (b"K\x01K\x02\x93", "damaged"),
    "name with a terminal escape": (b"cos\nsys\x1b[2Jtem\n", "asks for os.sys\\x1b[2Jtem"),
    "empty stack": (b"R", "damaged"),
    "no mark": (b"t", "damaged"),
    "unknown memo": (b"h\x07", "damaged"),
    "list in itself": (b"]q\x00h\x00a", "something else"),
    "items of a list": (b"]K\x00K\x01s", "damaged"),
    "odd items": (b"}(K\x00u", "shorter"),
    "huge memo index": (b"Nr\xff\xff\xff\xff", "something else"),
    "huge memo index in digits": (b"Np99999999999999999999\n", "something else"),
    "huge bytes": (b"\x8e" + b"\xff" * 7 + b"\x7f", "expected"),
    "huge bytearray": (b"\x96" + b"\xff" * 7 + b"\x7f", "expected"),
    "huge text": (b"\x8d" + b"\xff" * 7 + b"\x7f", "expected"),
    "huge frame": (b"\x95" + b"\xff" * 7 + b"\x7fN", "something else"),
    "deep lists": (b"]" + b"]a" * 40_000, "something else"),
    "deep tuples": (b")" + b"\x85" * 99_000, "something else"),
    "deep marks": (b"(" * 99_000 + b"N", "something else"),
    "too many steps": (b"N" * 100_001, "more than 100000 instructions"),
    "too many marks": (b"(" * 1_000_000, "more than 100000 instructions"),
    "nested tuples": (nested(60), "something else"),
    "nested tuples as a key": (b"}" + nested(60) + b"Ns", "damaged"),
    "nested tuples in a state": (
        LABEL_BINARIZER + b")\x81}" + value("classes_") + nested(60) + b"sb",
        "not an array",
    ),
    "deep tuples as a key": (b"})" + b"\x85" * 90_000 + b"Ns", "damaged"),
    "too large": (b"N" * (2**24 + 1), "more than 16777216 bytes"),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_other_tricks_are_refused_in_little_memory(tmp_path: Path, trick: str) -> None:
    body, reason = TRICKS[trick]
    path = tmp_path / "lb.pickle"
    path.write_bytes(alone(body))
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from activity import artifacts\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "usual = resource.getrlimit(resource.RLIMIT_AS)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, usual[1]))\n"
        "try:\n"
        "    print(artifacts.load_labels(Path(sys.argv[1])))\n"
        "except artifacts.UserError as error:\n"
        "    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_AS, usual)\n"  # the libraries need more to end
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "is not a pickled LabelBinarizer" in done.stdout
    assert reason in done.stdout
    assert not any(vars(name).get("state") for name in class_names._Name)


ONE_CLASS = [b"a\0\0\0", b"b\0\0\0"]


def binarizer(
    cells: object = b"".join(ONE_CLASS),
    shape: object = (2,),
    kind: object = "U1",
    order: object = "<",
    itemsize: object = 4,
) -> bytes:
    """Pickle what looks like a LabelBinarizer, as NumPy 2 and protocol 4 do."""
    dtype = DTYPE + value((kind, False, True)) + b"R"
    dtype += value((3, order, None, None, None, itemsize, 4, 8)) + b"b"
    data = b"B" + len(cells).to_bytes(4, "little") + cells if type(cells) is bytes else value(cells)
    array = with_global("numpy._core.multiarray", "_reconstruct") + b"(" + NDARRAY
    array += value((0,)) + b"C\x01bt" + b"R(K\x01" + value(shape) + dtype + b"\x89" + data + b"tb"
    return alone(LABEL_BINARIZER + b")\x81}" + value("classes_") + array + b"sb")


def test_arrays_of_every_kind_of_text_are_read() -> None:
    assert unpickle_class_names(binarizer()) == ["a", "b"]
    assert unpickle_class_names(binarizer(b"\0\0\0a\0\0\0b", order=">")) == ["a", "b"]
    assert unpickle_class_names(binarizer(["a", "b"], kind="O8")) == ["a", "b"]
    older = binarizer().replace(b"numpy._core", b"numpy.core").replace(b"._label\n", b".label\n")
    assert unpickle_class_names(older) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (binarizer(kind="i8", itemsize=8), "not text"),
        (binarizer(kind="V4"), "not text"),
        (binarizer(kind="U0", itemsize=0), "not text"),
        (binarizer(kind="U1\n"), "not text"),
        (binarizer(kind="U٣", itemsize=12), "not text"),
        (binarizer(kind="U9999999", itemsize=4 * 9999999), "not text"),
        (binarizer(["a", 1], kind="O8"), "not text"),
        (binarizer(kind="O8"), "not text"),
        (binarizer(kind=1), "not an array"),
        (binarizer(itemsize=8), "not of the type"),
        (binarizer(order="|"), "not of the type"),
        (binarizer(kind="U3", itemsize=12), "not stored in 12 bytes"),
        (binarizer(["a", "b"]), "not stored as bytes"),
        (binarizer(shape=(3,)), "2 of 3 classes"),
        (binarizer(shape=(2**30,)), f"2 of {2**30} classes"),
        (binarizer(shape=(-2,)), "2 of -2 classes"),
        (binarizer(shape=(1, 2)), "not an array"),
        (binarizer(shape=()), "not an array"),
        (binarizer(b"", shape=(0,)), "it holds no class"),
        (binarizer(b"\xff\xff\xff\xff" * 2), "can't decode"),
        (binarizer(b"\0\xd8\0\0" * 2), "can't decode"),
        (binarizer(["a", "\ud800"], kind="O8"), "control character"),
        (binarizer(["a", ""], kind="O8"), "is empty"),
        (binarizer(["a", " "], kind="O8"), "is empty"),
        (binarizer(["a", "a"], kind="O8"), "the same name"),
        (binarizer(["a", "b\x1b]0;x\x07"], kind="O8"), "control character"),
        (binarizer(["a", "b\x9b2J"], kind="O8"), "control character"),
        (binarizer(["a", "b\nc"], kind="O8"), "control character"),
        (binarizer(["a", "b\u2028c"], kind="O8"), "control character"),
        (binarizer(b"".join([b"a\0\0\0\0\0\0\0", b"b\0\0\0"]), shape=(3,)), "is empty"),
        (
            binarizer([str(number) for number in range(10_001)], shape=(10_001,), kind="O8"),
            "10001 classes are more than 10000",
        ),
    ],
)
def test_damaged_or_unfit_classes_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "lb.pickle"
    path.write_bytes(content)
    assert reason in reason_for(path)


REAL_PICKLES = [
    pickle.dumps(LabelBinarizer().fit(labels), protocol)
    for labels in (["football", "tennis", "weight_lifting"], ["Fußball", "スキー"])
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
]


@st.composite
def damaged(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> bytes:
    """Flip, insert, remove or cut off bytes."""
    content = bytearray(draw(contents))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = start + draw(st.integers(0, 4))
        content[start:stop] = draw(st.binary(max_size=4))
    if draw(st.booleans()) and draw(st.booleans()):
        del content[draw(st.integers(0, len(content))) :]
    return bytes(content)


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
@settings(max_examples=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(st.sampled_from(REAL_PICKLES)))
def test_a_damaged_pickle_gives_labels_or_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lb.pickle"
    path.write_bytes(content)
    try:
        labels, message = artifacts.load_labels(path), ""
    except UserError as error:
        labels, message = [], str(error)
    assert bool(labels) != bool(message)
    assert all(type(label) is str for label in labels)
    assert message.isprintable()


def test_training_refuses_folders_whose_names_prediction_would(
    tmp_path: Path, dataset_folder: Path, run_script: Callable[..., Any]
) -> None:
    shutil.copytree(dataset_folder / "football", tmp_path / "data" / "foot\nball")
    shutil.copytree(dataset_folder / "tennis", tmp_path / "data" / "tennis")
    done = run_script("train.py", "-d", "data", "--labels", "all", cwd=tmp_path)
    assert done.returncode == 1
    assert r"the name of a class, 'foot\nball', holds a control character; rename" in done.stderr


def test_an_error_quotes_nothing_that_a_terminal_obeys() -> None:
    assert one_line(ValueError("\n a \x1b[2J\nsecond")) == r"a \x1b[2J"
    assert one_line(RuntimeError("Exception from x.cpp:1:\nCheck failed\nreason\n")) == "reason"
    assert one_line(MemoryError()) == "MemoryError"
    assert len(one_line(ValueError("x" * 10_000))) == 300


# --- activity.keras ---


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a small model as `train.py` does."""
    from activity.runtime import keras

    images = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model(images, keras.layers.Dense(2, activation="softmax")(pooled))
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    artifacts.save_model(model, path, CARD)
    return path


@pytest.fixture
def no_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a file gets as far as Keras."""
    monkeypatch.setattr(artifacts, "_load_archive", lambda path: pytest.fail(f"{path} was loaded"))


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(
    path: Path, members: list[tuple[str | zipfile.ZipInfo, bytes]], **options: Any
) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.comment = json.dumps(vars(CARD)).encode()
        for name, content in members:
            archive.writestr(name, content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError, match=r"cannot be loaded \(.*\); train it again") as caught:
        load_engine(path)
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_the_archive_as_rewritten_here_is_loaded(keras_file: Path, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "m.keras", [*members_of(keras_file).items()])
    assert artifacts.load_model(path).output_shape == (None, 2)


@pytest.mark.usefixtures("no_keras")
@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_hdf5_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Lambda", "config": {}})
    assert "HDF5 file, for which Keras has no safe mode" in refusal(path)
    with pytest.raises(UserError, match=r"was not written by train\.py \(it is an HDF5 file"):
        artifacts.read_card(path)


@pytest.mark.usefixtures("no_keras")
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
    "extra",
    ["assets/x.txt", "/etc/x", "../x", "config.json", "./config.json", "model.weights.npz", "x/"],
)
def test_other_members_are_refused(keras_file: Path, tmp_path: Path, extra: str) -> None:
    members = [*members_of(keras_file).items()]
    path = write_archive(tmp_path / "m.keras", [*members, (extra, b"{}")])
    assert "it does not hold metadata.json" in refusal(path)
    path = write_archive(path, [*members[:-1], (extra, b"{}")])
    assert "it does not hold metadata.json" in refusal(path)


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.usefixtures("no_keras")
def test_members_that_are_not_plain_are_refused(keras_file: Path, tmp_path: Path) -> None:
    members, path = members_of(keras_file), tmp_path / "m.keras"
    rest = [(name, content) for name, content in members.items() if name != "config.json"]
    write_archive(path, [*rest, (link("config.json"), b"/etc/passwd")])
    assert "its config.json is a link" in refusal(path)
    write_archive(path, [*rest, ("config.json", bytes(2**22 + 1))])
    assert f"its config.json has {2**22 + 1} bytes" in refusal(path)
    bomb = bytes(2**27)
    write_archive(path, [*rest, ("config.json", bomb)], compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    assert "is compressed" in refusal(path)

    def patched(offset: int, value: bytes) -> Path:
        """Change the entry of metadata.json in the list at the end."""
        content = bytearray(keras_file.read_bytes())
        start = content.rindex(b"metadata.json") - 46
        assert content[start : start + 4] == b"PK\1\2"
        content[start + offset : start + offset + len(value)] = value
        path.write_bytes(content)
        return path

    assert "is encrypted" in refusal(patched(8, b"\1"))
    assert "is compressed" in refusal(patched(24, b"\xff\xff\xff\x7f"))
    assert "is compressed" in refusal(patched(20, b"\xff\xff\xff\x7f"))
    assert "metadata.json has 2147483647 bytes" in refusal(patched(20, b"\xff\xff\xff\x7f" * 2))


def test_members_larger_than_the_file_are_refused(keras_file: Path, tmp_path: Path) -> None:
    content = bytearray(keras_file.read_bytes())
    start = content.rindex(b"config.json") - 46
    for offset in (20, 24):
        content[start + offset : start + offset + 4] = (2**22).to_bytes(4, "little")
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    refusal(path)


def test_a_list_of_many_members_is_not_read(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "m.keras", [(str(number), b"") for number in range(10_000)])
    assert "Bad offset for central directory" in refusal(path)
    with pytest.raises(UserError, match=r"was not written by train\.py"):
        artifacts.read_card(path)


GADGETS: dict[str, Any] = {
    "Lambda": {
        "module": "keras.layers",
        "class_name": "Lambda",
        "registered_name": None,
        "config": {"name": "x", "function": {"class_name": "__lambda__", "config": {}}},
    },
    "lambda in an allowed layer": {
        "module": "keras.layers",
        "class_name": "Activation",
        "registered_name": None,
        "config": {"activation": {"class_name": "__lambda__", "config": {"code": "4w=="}}},
    },
    "TFSMLayer": {
        "module": "keras.layers",
        "class_name": "TFSMLayer",
        "registered_name": None,
        "config": {"filepath": "/tmp/saved_model"},
    },
    "function of another module": {
        "module": "os",
        "class_name": "function",
        "registered_name": "system",
        "config": "system",
    },
    "unsafe deserialization": {
        "module": "keras.config",
        "class_name": "function",
        "registered_name": "enable_unsafe_deserialization",
        "config": "enable_unsafe_deserialization",
    },
    "get_file": {
        "module": "keras.utils",
        "class_name": "function",
        "registered_name": "get_file",
        "config": "get_file",
    },
    "class of another module": {
        "module": "subprocess",
        "class_name": "Popen",
        "registered_name": None,
        "config": {},
    },
    "allowed name of another module": {
        "module": "evil",
        "class_name": "Dense",
        "registered_name": None,
        "config": {},
    },
    "registered name": {
        "module": "keras.layers",
        "class_name": "Dense",
        "registered_name": "evil>Lambda",
        "config": {},
    },
    "no module": {"class_name": "Dense", "config": {}},
    "module without class": {"module": "os", "config": {}},
    "registered name alone": {"registered_name": "Lambda", "config": {}},
    "class that is no text": {"module": "keras.layers", "class_name": ["Dense"], "config": {}},
    "module that is no text": {"module": ["keras.layers"], "class_name": "Dense", "config": {}},
    "typespec": {"class_name": "__typespec__", "module": "os", "config": ["system"]},
    "bytes": {"class_name": "__bytes__", "config": {"value": ""}},
}


@pytest.mark.usefixtures("no_keras")
@pytest.mark.parametrize("gadget", GADGETS)
def test_configurations_that_name_anything_else_are_refused(
    keras_file: Path, tmp_path: Path, gadget: str
) -> None:
    members = members_of(keras_file)
    config = json.loads(members["config.json"])
    for place in (
        config["config"]["layers"],
        config["config"]["layers"][-1]["inbound_nodes"][0]["args"],
        config["config"]["layers"][-1]["config"].setdefault("deeper", [[{}]])[0],
        config.setdefault("compile_config", {}).setdefault("list", []),
    ):
        place.append(GADGETS[gadget])
        members["config.json"] = json.dumps(config).encode()
        assert "asks for" in refusal(write_archive(tmp_path / "m.keras", [*members.items()]))
        place.pop()
    members["config.json"] = json.dumps(GADGETS[gadget]).encode()
    assert "asks for" in refusal(write_archive(tmp_path / "m.keras", [*members.items()]))


@pytest.mark.usefixtures("no_keras")
@pytest.mark.parametrize("content", [b"[" * 10**6, b"\xff", b"", b"9" * 10_000, b"[]" * 9])
def test_configurations_that_are_no_json_are_refused(
    keras_file: Path, tmp_path: Path, content: bytes
) -> None:
    members = members_of(keras_file) | {"config.json": content}
    refusal(write_archive(tmp_path / "m.keras", [*members.items()]))


KERNEL = "layers/dense/vars/0"


def external_link(file: h5py.File, other: Path) -> None:
    file[KERNEL] = h5py.ExternalLink(str(other), "kernel")


def external_storage(file: h5py.File, other: Path) -> None:
    with h5py.File(other) as source:
        offset = source["kernel"].id.get_offset()
    file.create_dataset(KERNEL, (3, 2), "f4", external=[(str(other), offset, 24)])


def virtual_dataset(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource(str(other), "kernel", (3, 2))
    file.create_virtual_dataset(KERNEL, layout)


def shape_bomb(file: h5py.File, _: Path) -> None:
    file.create_dataset(KERNEL, (2**20, 2**20), "f4", chunks=(2**10, 2**10), compression="gzip")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (external_link, "Not allowed"),
        (external_storage, "Not allowed"),
        (virtual_dataset, "Not allowed"),
        (shape_bomb, "Not allowed"),
    ],
)
def test_keras_refuses_weights_from_elsewhere(
    keras_file: Path,
    tmp_path: Path,
    change: Callable[[h5py.File, Path], None],
    reason: str,
) -> None:
    other, weights = tmp_path / "other.h5", tmp_path / "weights.h5"
    with h5py.File(other, "w") as file:
        file["kernel"] = np.ones((3, 2), np.float32)
    members = members_of(keras_file)
    weights.write_bytes(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        del file[KERNEL]
        change(file, other)
    members["model.weights.h5"] = weights.read_bytes()
    path = write_archive(tmp_path / "m.keras", [*members.items()])
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        artifacts.load_model(path)
    assert reason in str(caught.value.__cause__)


@pytest.mark.parametrize("card", [("crop", 9, 2), ("crop", 8, 3)])
def test_a_card_of_another_model_is_refused(
    keras_file: Path, openvino_file: Path, tmp_path: Path, card: tuple[str, int, int]
) -> None:
    shutil.copy(keras_file, tmp_path / "m.keras")
    wrong = ModelCard(*card, CARD.labels_digest)
    with zipfile.ZipFile(tmp_path / "m.keras", "a") as archive:
        archive.comment = json.dumps(vars(wrong)).encode()
    assert "its shapes are (None, 8, 8, 3) and (None, 2)" in refusal(tmp_path / "m.keras")
    model = ov.Core().read_model(openvino_file)
    artifacts.save_openvino_model(model, tmp_path / "m.xml", wrong)
    assert "its shapes are (2, 8, 8, 3) and (2, 2)" in refusal(tmp_path / "m.xml")


@pytest.mark.parametrize(
    "card",
    [
        *("", "[]", "{}", "null", "[" * 60_000, "9" * 60_000, '{"resize": "crop"}'),
        *(
            json.dumps(vars(CARD) | change)
            for change in (
                {"resize": "stretch"}, {"resize": ["crop"]}, {"input_size": 10**9},
                {"input_size": 0}, {"input_size": "8"}, {"input_size": 8.0}, {"classes": True},
                {"classes": 10**9}, {"classes": None}, {"labels_digest": None},
                {"labels_digest": "\x1b"}, {"more": 1},
            )
        ),
    ],
)  # fmt: skip
def test_cards_that_say_nonsense_are_refused(
    keras_file: Path, openvino_file: Path, tmp_path: Path, card: str
) -> None:
    archive, graph = tmp_path / "m.keras", tmp_path / "m.xml"
    shutil.copy(keras_file, archive)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.comment = card.encode()
    tree = ElementTree.parse(openvino_file)
    element = tree.find("rt_info/activity/card")
    assert element is not None
    element.set("value", card.replace("\x1b", "?"))
    tree.write(graph)
    for path in (archive, graph):
        with pytest.raises(UserError, match=r"was not written by train\.py \(.*\); name one"):
            artifacts.read_card(path)


# --- activity.xml and activity.bin ---


def small_model(pad: int = 1) -> ov.Model:
    """Make a model that takes a batch of 8x8 pictures, with the operations of `train.py`."""
    images = opset1.parameter([1, 8, 8, 3], ov.Type.u8, name="rgb")
    around = np.array([0, pad, pad, 0], np.int32)
    padded = opset1.pad(opset1.convert(images, "f32"), around, around, "constant")
    means = opset1.reduce_mean(padded, np.array([1, 2], np.int32))
    kernel = np.random.default_rng(0).random((3, 2), np.float32)
    logits = opset1.matmul(means, opset1.constant(kernel), False, False)
    return ov.Model([opset8.softmax(logits, 1)], [images])


@pytest.fixture(scope="module")
def openvino_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openvino") / "model.xml"
    artifacts.save_openvino_model(small_model(), path, CARD)
    return path


@pytest.fixture
def copy(openvino_file: Path, tmp_path: Path) -> Path:
    """Copy the small model into a folder of its own."""
    for path in (openvino_file, openvino_file.with_suffix(".bin")):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / openvino_file.name


@pytest.fixture
def no_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a file gets as far as OpenVINO's parser."""
    monkeypatch.setattr(ov.Core, "read_model", lambda *_: pytest.fail("OpenVINO was called"))


def replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def outputs(path: Path) -> list[np.ndarray]:
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
    return list(load_engine(path).stream(iter(images)))


def test_the_small_model_works(openvino_file: Path) -> None:
    assert np.shape(outputs(openvino_file)) == (3, 2)


def test_weights_of_another_model_are_refused(copy: Path) -> None:
    weights = copy.with_suffix(".bin")
    content = weights.read_bytes()
    for other in (content[:-1] + b"?", content[:-1], content + b"?", bytes(len(content))):
        weights.write_bytes(other)
        refusal(copy)
    weights.write_bytes(content[:-1] + b"?")
    assert f"{weights} does not belong to it" in refusal(copy)
    weights.unlink()
    assert f"{weights} is missing" in refusal(copy)
    weights.write_bytes(b"")
    refusal(copy)


def test_large_files_are_refused_unread(copy: Path) -> None:
    os.truncate(copy.with_suffix(".bin"), 2**30 + 1)  # a hole, that takes no space
    assert f"has {2**30 + 1} bytes" in refusal(copy)
    os.truncate(copy, 2**40)
    assert "more than 2097152 bytes" in refusal(copy)
    with pytest.raises(UserError, match="more than 2097152 bytes"):
        artifacts.read_card(copy)


def test_a_model_without_a_digest_is_refused(copy: Path) -> None:
    replace(copy, "weights_digest", "digest")
    assert "does not belong to it" in refusal(copy)


LAUGHS = "".join(
    f'<!ENTITY l{number} "{f"&l{number - 1};" * 10 if number else "ha"}">' for number in range(10)
)


@pytest.mark.usefixtures("no_openvino")
@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("<net", f"<!DOCTYPE net [{LAUGHS}]><net", "it has a DOCTYPE"),
        ("<net", '<!DOCTYPE net SYSTEM "file:///etc/passwd"><net', "it has a DOCTYPE"),
        ('type="MatMul"', 'type="Loop"', "it asks for opset1.Loop"),
        ('type="MatMul"', 'type="ReadValue"', "it asks for opset1.ReadValue"),
        ('type="MatMul"', 'type=""', "it asks for opset1."),
        ('version="opset8"', 'version="extension"', "it asks for extension.SoftMax"),
        ('version="opset8"', 'version="opset1"', "it asks for opset1.SoftMax"),
        ('version="11"', 'version="7"', "it has the version 7"),
        ('offset="', 'offset="9', "a constant ends at byte"),
        ('offset="0"', 'offset="18446744073709551600"', "is not a whole number"),
        ('offset="0"', 'offset="999999999999999999"', "a constant ends at byte"),
        ('offset="0"', 'offset="-8"', "is not a whole number"),
        ('offset="0"', "", "is not a whole number"),
        ('size="16"', 'size="15"', "a constant of the shape [4] has 15 bytes"),
        (
            'element_type="i32" shape="4"',
            'element_type="i32" shape="4611686018427387908"',
            "is not a whole number",
        ),
        (
            'element_type="i32" shape="4"',
            'element_type="i32" shape="2147483648,2147483648,4"',
            "a constant of the shape",
        ),
        ('element_type="i32"', 'element_type="string"', "constants of the type string"),
        ("</layers>", "<layer/>" * 1500 + "</layers>", "it has 1514 layers"),
        ("<layers>", "<layers>" + "<a>" * 100_000, "mismatched tag"),
        ("<layers>", "<layers>\0", "not well-formed"),
    ],
)
def test_other_graphs_are_refused_before_openvino_parses_them(
    copy: Path, before: str, after: str, reason: str
) -> None:
    replace(copy, before, after)
    assert reason in refusal(copy)


def test_layers_cannot_hide_in_a_namespace(copy: Path) -> None:
    # The checks look for `layer`, which here is `{x}layer`; OpenVINO does not know namespaces.
    replace(copy, "<layers>", '<layers xmlns="x">')
    refusal(copy)


@pytest.mark.parametrize("codec", ["utf-16", "cp1252"])
def test_xml_in_other_encodings_is_refused(copy: Path, codec: str) -> None:
    replace(copy, 'version="1.0"', f'version="1.0" encoding="{codec}"')
    replace(copy, 'name="rgb"', 'name="rgbü"')
    copy.write_bytes(copy.read_text().encode(codec))
    refusal(copy)


def saved(path: Path, model: ov.Model) -> Path:
    artifacts.save_openvino_model(model, path, CARD)
    return path


def test_other_inputs_and_outputs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.xml"
    model = small_model()
    [images], [softmax] = model.get_parameters(), model.get_results()[0].inputs()
    probabilities = softmax.get_source_output()
    other = opset1.parameter([1, 2], ov.Type.f32)
    added = opset1.add(probabilities, other)
    assert "too many values" in refusal(saved(path, ov.Model([added], [images, other])))
    twice = ov.Model([probabilities, probabilities], [images])
    assert "too many values" in refusal(saved(path, twice))
    integers = ov.Model([opset1.convert(probabilities, "i32")], [images])
    assert "it makes i32 of u8" in refusal(saved(path, integers))
    wider = ov.Model([opset1.concat([probabilities, probabilities], 1)], [images])
    assert "its shapes are (2, 8, 8, 3) and (2, 4)" in refusal(saved(path, wider))
    means = opset1.reduce_mean(probabilities, np.array([0], np.int32), keep_dims=True)
    mixed = ov.Model([means], [images])
    assert "its shapes are (2, 8, 8, 3) and (1, 2)" in refusal(saved(path, mixed))


def test_a_model_for_one_size_of_batch_is_refused(tmp_path: Path) -> None:
    model = small_model()
    probabilities = model.get_results()[0].input(0).get_source_output()
    added = opset1.add(probabilities, opset1.constant(np.ones((2, 2), np.float32)))
    path = saved(tmp_path / "m.xml", ov.Model([added], model.get_parameters()))
    load_engine(path, batch_size=2)
    with pytest.raises(UserError, match="cannot be loaded"):
        load_engine(path, batch_size=3)


def test_arrays_that_fill_the_memory_are_refused(tmp_path: Path) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = saved(tmp_path / "m.xml", small_model(pad=40_000))
    assert "has the shape (2, 80008, 80008, 3)" in refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 2**18  # KiB


@settings(
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_damaged_graph_works_or_is_one_error(
    openvino_file: Path, copy: Path, data: st.DataObject
) -> None:
    copy.write_bytes(data.draw(damaged(st.just(openvino_file.read_bytes()))))
    try:
        shape, message = np.shape(outputs(copy)), ""
    except UserError as error:
        shape, message = (), str(error)
    assert shape == (() if message else (3, 2))
    assert message.isprintable()


def test_the_model_that_comes_along_has_its_weights() -> None:
    path = ROOT / "model" / "activity.xml"
    assert artifacts.load_openvino_model(path).inputs[0].partial_shape[1:].to_shape() == [
        224, 224, 3,
    ]  # fmt: skip
