"""`lb.pickle`: what is written, what is read, and that nothing in a stranger's file is run."""

import pickle
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import LabelBinarizer

from activity.errors import UserError
from activity.label_file import load_labels, save_labels

# What each pickle asks for and gives to it; these make the file MARKER under a plain `pickle.load`.
HARMFUL: list[tuple[str, str, tuple[Any, ...]]] = [
    ("os", "system", ("touch MARKER",)), ("posix", "system", ("touch MARKER",)),
    ("os", "mkdir", ("MARKER",)), ("subprocess", "check_output", (["touch", "MARKER"],)),
    ("subprocess", "getoutput", ("touch MARKER",)), ("builtins", "eval", ("open('MARKER', 'w')",)),
    ("builtins", "exec", ("open('MARKER', 'w')",)), ("builtins", "open", ("MARKER", "w")),
    ("io", "open", ("MARKER", "w")), ("codecs", "open", ("MARKER", "w")),
    ("runpy", "_run_code", ("open('MARKER', 'w')", {})), ("numpy", "save", ("MARKER", 1)),
    ("cProfile", "run", ("open('MARKER', 'w')",)),
    ("numpy", "memmap", ("MARKER", "u1", "w+", 0, 1)),
    ("pickle", "loads", (b"cos\nsystem\n(S'touch MARKER'\ntR.",)),
    ("_pickle", "loads", (b"cos\nsystem\n(S'touch MARKER'\ntR.",)),
    ("numpy.testing._private.utils", "runstring", ("open('MARKER', 'w')", {})),
]  # fmt: skip
# These look like what a label file may name, would hang, or are the steps of longer attacks.
OTHERS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("__builtin__", "eval", ("0",)), ("builtins", "getattr", ("", "join")),
    ("builtins", "bytearray", (2**40,)), ("builtins", "object", ()), ("types", "CodeType", (0,)),
    ("copyreg", "_reconstructor", (1, 2, 3)), ("operator", "attrgetter", ("__class__.__base__",)),
    ("bdb", "Bdb.run", (1, "0")), ("socket", "create_connection", (("127.0.0.1", 9),)),
    ("_codecs", "decode", (b"x", "zlib")), ("numpy", "load", ("MARKER", None, True)),
    ("numpy", "fromfile", ("/dev/zero",)), ("numpy", "core", ()), ("numpy", "dtype.__class__", ()),
    ("numpy", "ndarray.tofile", ("MARKER",)), ("numpy._core.multiarray", "scalar", ("O", b"N.")),
    ("numpy.core.multiarray", "_reconstruct.__call__", ()),
    ("sklearn.preprocessing", "LabelBinarizer", ()),
    ("sklearn.preprocessing._label", "LabelBinarizer.fit", ()),
    ("sklearn.preprocessing._label", "np.load", ("MARKER",)),
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
@pytest.mark.parametrize("call", HARMFUL + OTHERS)
def test_a_call_of_anything_else_is_refused(
    call: tuple[str, str, tuple[Any, ...]], spelling: str, place: Callable[[bytes], bytes],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)  # where MARKER would be
    content = place(SPELLINGS[spelling](*call))
    assert f"asks for {call[0]}.{call[1]})" in reason_for(tmp_path / "lb", content)
    assert [found.name for found in tmp_path.iterdir()] == ["lb"]
    if call in HARMFUL:
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


def binarizer(cells: object = b"a\0\0\0b\0\0\0", kind: object = "U1", order: object = "<") -> bytes:
    """Pickle what looks like a LabelBinarizer, as NumPy 2 and protocol 4 do."""
    dtype = DTYPE + value((kind, False, True)) + b"R"
    dtype += value((3, order, None, None, None, 4, 4, 8)) + b"b"
    data = b"B" + len(cells).to_bytes(4, "little") + cells if type(cells) is bytes else value(cells)
    array = with_global("numpy._core.multiarray", "_reconstruct") + b"(" + NDARRAY
    array += value((0,)) + b"C\x01bt" + b"R(K\x01" + value((2,)) + dtype + b"\x89" + data + b"tb"
    return alone(LABEL_BINARIZER + b")\x81}" + value("classes_") + array + b"sb")


def read(tmp_path: Path, content: bytes) -> list[str]:
    (tmp_path / "lb").write_bytes(content)
    return load_labels(tmp_path / "lb")


def test_arrays_of_every_kind_of_text_are_read(tmp_path: Path) -> None:
    older = binarizer().replace(b"numpy._core", b"numpy.core").replace(b"._label\n", b".label\n")
    other_order, objects = binarizer(b"\0\0\0a\0\0\0b", order=">"), binarizer(["a", "b"], kind="O8")
    for content in (binarizer(), older, other_order, objects):
        assert read(tmp_path, content) == ["a", "b"]


REAL = {
    pickle.dumps(LabelBinarizer().fit(labels), protocol): sorted(labels)
    for labels in (
        ["b", "a"],
        ["football", "tennis", "weight_lifting"],
        ["tennis", "Fußball", "スキー"],
    )
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
}


@pytest.mark.parametrize("content", REAL)
def test_label_binarizers_of_every_protocol_are_read(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == REAL[content]


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
        (pickle.dumps(np.array(["a", "b"])), "something else"),
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


DAMAGES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 4, 1000]), st.binary(max_size=4)),
    min_size=1,
    max_size=4,
)


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
@given(st.sampled_from(list(REAL)), DAMAGES)
@example(b"\x80\x04Nr\xff\xff\xff\xff.", [])
def test_a_damaged_pickle_gives_labels_or_one_error(
    tmp_path: Path, content: bytes, damages: list[tuple[float, int, bytes]]
) -> None:
    for share, removed, data in damages:
        start = int(share * len(content))
        content = content[:start] + data + content[start + removed :]
    try:
        labels, message = read(tmp_path, content), ""
    except UserError as error:
        labels, message = [], str(error)
    assert all(type(label) is str for label in labels)
    assert message.isprintable()
