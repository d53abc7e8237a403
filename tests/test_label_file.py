"""`lb.pickle`: what is written, what is read, and that nothing in a stranger's file is run."""

import pickle
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import LabelBinarizer

from activity.errors import UserError
from activity.label_file import load_labels, save_labels

# What each pickle asks for and gives to it; MARKER is a file that must not be made.
CALLS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("os", "system", ("touch MARKER",)), ("posix", "system", ("touch MARKER",)),
    ("os", "popen", ("touch MARKER",)), ("os", "mkdir", ("MARKER",)),
    ("subprocess", "Popen", (["touch", "MARKER"],)),
    ("subprocess", "check_output", (["touch", "MARKER"],)),
    ("subprocess", "getoutput", ("touch MARKER",)), ("builtins", "eval", ("open('MARKER', 'w')",)),
    ("builtins", "exec", ("open('MARKER', 'w')",)),
    ("__builtin__", "eval", ("open('MARKER', 'w')",)), ("builtins", "open", ("MARKER", "w")),
    ("io", "open", ("MARKER", "w")), ("builtins", "compile", ("0", "", "eval")),
    ("builtins", "__import__", ("antigravity",)), ("builtins", "getattr", ("", "join")),
    ("builtins", "setattr", ("", "join", 1)), ("builtins", "bytearray", (2**40,)),
    ("builtins", "range", (2**40,)), ("builtins", "object", ()),
    ("copyreg", "_reconstructor", (1, 2, 3)), ("copy_reg", "add_extension", ("os", "system", 1)),
    ("operator", "attrgetter", ("__class__.__base__",)),
    ("operator", "methodcaller", ("system", "touch MARKER")), ("functools", "partial", (1,)),
    ("types", "CodeType", (0,)), ("types", "FunctionType", (0,)),
    ("runpy", "run_path", ("MARKER",)), ("runpy", "_run_code", ("open('MARKER', 'w')", {})),
    ("code", "interact", ()), ("pty", "spawn", (["touch", "MARKER"],)),
    ("timeit", "timeit", ("open('MARKER', 'w')", "pass", 0, 1)),
    ("cProfile", "run", ("open('MARKER', 'w')",)), ("bdb", "Bdb.run", (1, "open('MARKER', 'w')")),
    ("pickle", "loads", (b"cos\nsystem\n(S'touch MARKER'\ntR.",)), ("pickle", "load", ("MARKER",)),
    ("_pickle", "loads", (b"cos\nsystem\n(S'touch MARKER'\ntR.",)), ("marshal", "loads", (b"N",)),
    ("importlib", "import_module", ("antigravity",)), ("shutil", "rmtree", ("MARKER",)),
    ("socket", "create_connection", (("127.0.0.1", 9),)),
    ("urllib.request", "urlopen", ("file:///MARKER",)), ("webbrowser", "open", ("file:///MARKER",)),
    ("ctypes", "CDLL", ("libc.so.6",)), ("_codecs", "decode", (b"touch", "zlib")),
    ("codecs", "encode", ("x", "latin1")), ("codecs", "open", ("MARKER", "w")),
    ("numpy", "load", ("MARKER", None, True)), ("numpy", "save", ("MARKER", 1)),
    ("numpy", "fromfile", ("/dev/zero",)), ("numpy", "memmap", ("MARKER", "u1", "w+", 0, 1)),
    ("numpy", "core", ()), ("numpy", "ndarray.tofile", ("MARKER",)),
    ("numpy", "dtype.__class__", ()), ("numpy.f2py", "compile", ("end", "m")),
    ("numpy.testing._private.utils", "runstring", ("open('MARKER', 'w')", {})),
    ("numpy._core.multiarray", "fromstring", ("0", "u1")),
    ("numpy._core.multiarray", "scalar", ("O", b"cos\nsystem\n(S'touch MARKER'\ntR.")),
    ("numpy.core.multiarray", "_reconstruct.__call__", ()),
    ("numpy._core._internal", "eval", ("0",)), ("sklearn.datasets", "fetch_openml", ("iris",)),
    ("sklearn.datasets", "load_files", ("/",)), ("sklearn.utils", "shuffle", ([1],)),
    ("sklearn.preprocessing", "LabelBinarizer", ()),
    ("sklearn.preprocessing._label", "LabelEncoder", ()),
    ("sklearn.preprocessing._label", "LabelBinarizer.fit", ()),
    ("sklearn.preprocessing._label", "np.load", ("MARKER",)),
    ("sklearn.preprocessing._function_transformer", "FunctionTransformer", ()),
    ("keras.saving", "load_model", ("MARKER",)), ("activity.files", "save_json", ({}, "MARKER")),
]  # fmt: skip
# Those that do their harm under an ordinary `pickle.load` here, too.
HARMFUL = [
    ("os", "system"), ("posix", "system"), ("os", "mkdir"), ("subprocess", "check_output"),
    ("subprocess", "getoutput"), ("builtins", "eval"), ("builtins", "exec"), ("builtins", "open"),
    ("io", "open"), ("codecs", "open"), ("runpy", "_run_code"), ("cProfile", "run"),
    ("pickle", "loads"), ("_pickle", "loads"), ("numpy", "save"), ("numpy", "memmap"),
    ("numpy.testing._private.utils", "runstring"),
]  # fmt: skip


def value(content: object) -> bytes:
    """Pickle a value, to stand in the middle of a pickle."""
    return pickle.dumps(content, 2)[2:-1]


def with_global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def with_stack_global(module: str, name: str) -> bytes:
    texts = (text.encode() for text in (module, name))
    return b"".join(b"\x8c" + bytes([len(text)]) + text for text in texts) + b"\x93"


SPELLINGS: dict[str, Callable[[str, str, tuple[Any, ...]], bytes]] = {
    "GLOBAL": lambda a, b, values: with_global(a, b) + value(values) + b"R",
    "STACK_GLOBAL": lambda a, b, values: with_stack_global(a, b) + value(values) + b"R",
    "INST": lambda a, b, values: b"(" + b"".join(map(value, values)) + f"i{a}\n{b}\n".encode(),
    "OBJ": lambda a, b, values: b"(" + with_global(a, b) + b"".join(map(value, values)) + b"o",
}


def alone(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


def in_an_attribute(body: bytes) -> bytes:
    """Put a value in the place of `neg_label` of a real LabelBinarizer."""
    whole = pickle.dumps(LabelBinarizer().fit(["a", "b"]), 2)
    before, after = whole.split(b"K\x00", 1)
    return before + body + after


def reason_for(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"lb is not a pickled LabelBinarizer \(") as caught:
        load_labels(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("place", [alone, in_an_attribute])
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("module", "name", "arguments"), CALLS)
def test_a_call_of_anything_else_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    name: str,
    arguments: tuple[Any, ...],
    spelling: str,
    place: Callable[[bytes], bytes],
) -> None:
    monkeypatch.chdir(tmp_path)  # where MARKER would be
    content = place(SPELLINGS[spelling](module, name, arguments))
    assert f"asks for {module}.{name})" in reason_for(tmp_path / "lb", content)
    assert [found.name for found in tmp_path.iterdir()] == ["lb"]
    if (module, name) in HARMFUL:
        pickle.loads(content)
        assert len(list(tmp_path.iterdir())) > 1


LABEL_BINARIZER = with_global("sklearn.preprocessing._label", "LabelBinarizer")
NDARRAY = with_global("numpy", "ndarray")
DTYPE = with_global("numpy", "dtype")
EVIL_STATE = value({"__class__": "x", "__dict__": {}, "__setstate__": 1, "state": 2})
TRICKS = {
    "state of a class": LABEL_BINARIZER + EVIL_STATE + b"b",
    "state of a function": with_global("_codecs", "encode") + EVIL_STATE + b"b",
    "state without classes": LABEL_BINARIZER + b")\x81" + EVIL_STATE + b"b",
    "slots": LABEL_BINARIZER + b")\x81" + value((None, {"__class__": "x"})) + b"b",
    "NEWOBJ of ndarray": NDARRAY + value((2**30,)) + b"\x81",
    "NEWOBJ_EX": LABEL_BINARIZER + b")}\x92",
    "call of ndarray": NDARRAY + value((2**30,)) + b"R",
    "call of a call": LABEL_BINARIZER + b")R)R",
    "other codec": with_global("_codecs", "encode") + value(("a", "rot13")) + b"R",
    "PERSID": b"Px\n",
    "EXT1": b"\x82\x01",
    "names that are no text": b"K\x01K\x02\x93",
    "name with a terminal escape": b"cos\nsys\x1b[2Jtem\n",
    "attribute of a stand-in": with_stack_global("numpy", "ndarray.__class__"),
    "items of a stand-in": LABEL_BINARIZER + b")\x81" + value("classes_") + b"K\x01s",
    "appended to a stand-in": LABEL_BINARIZER + b")\x81" + value("x") + b"a",
    "other files": b"text",
    "nothing": b"",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_other_tricks_are_refused(tmp_path: Path, trick: str) -> None:
    reason_for(tmp_path / "lb", alone(TRICKS[trick]))
    assert read(tmp_path, binarizer()) == ["a", "b"]  # nothing of it is left behind


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


def read(tmp_path: Path, content: bytes) -> list[str]:
    (tmp_path / "lb").write_bytes(content)
    return load_labels(tmp_path / "lb")


def test_arrays_of_every_kind_of_text_are_read(tmp_path: Path) -> None:
    older = binarizer().replace(b"numpy._core", b"numpy.core").replace(b"._label\n", b".label\n")
    other_order, objects = binarizer(b"\0\0\0a\0\0\0b", order=">"), binarizer(["a", "b"], kind="O8")
    for content in (binarizer(), older, other_order, objects):
        assert read(tmp_path, content) == ["a", "b"]


@pytest.mark.parametrize("labels", [["b", "a"], ["x", "y", "z"], ["tennis", "Fußball", "スキー"]])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_label_binarizers_of_every_protocol_are_read(
    tmp_path: Path, labels: list[str], protocol: int
) -> None:
    content = pickle.dumps(LabelBinarizer().fit(labels), protocol)
    assert read(tmp_path, content) == sorted(labels)


def test_what_is_saved_is_a_plain_label_binarizer(tmp_path: Path) -> None:
    save_labels(["b", "a", "c"], tmp_path / "lb.pickle")
    loaded = pickle.loads((tmp_path / "lb.pickle").read_bytes())
    assert isinstance(loaded, LabelBinarizer)
    assert loaded.classes_.tolist() == load_labels(tmp_path / "lb.pickle") == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pickle.dumps(LabelBinarizer().fit([1, 2, 3])), "not text"),
        (pickle.dumps([1, 2]), "something else"),
        (binarizer(kind="V4"), "not text"),
        (binarizer(["a", 1], kind="O8"), "not text"),
        (binarizer(2**40), "not a pickled"),
        (binarizer(b"\xff\xff\xff\xff" * 2), "not a pickled"),
        (binarizer(["a", "\ud800"], kind="O8"), "control character"),
        (binarizer(["a", " "], kind="O8"), "is empty"),
        (binarizer(["a", "a"], kind="O8"), "the same name"),
        (binarizer(["a", "b\x1b]0;x\x07"], kind="O8"), "control character"),
        (binarizer(["a", "b\x9b2J"], kind="O8"), "control character"),
        (binarizer(["a", "b\u2028c"], kind="O8"), "control character"),
    ],
)
def test_unfit_classes_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in reason_for(tmp_path / "lb", content)


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


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Limit the memory, as a few damaged bytes can ask for more than there is."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    usual = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, usual[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, usual)


@pytest.mark.usefixtures("little_memory")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(st.sampled_from(REAL_PICKLES)))
@example(b"\x80\x04Nr\xff\xff\xff\xff.")
def test_a_damaged_pickle_gives_labels_or_one_error(tmp_path: Path, content: bytes) -> None:
    try:
        labels, message = read(tmp_path, content), ""
    except UserError as error:
        labels, message = [], str(error)
    assert all(type(label) is str for label in labels)
    assert message.isprintable()
