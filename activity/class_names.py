"""Class names out of a pickled `LabelBinarizer`, without running any of it.

A pickle is a program. This reads the few instructions that the pickle of a `LabelBinarizer` is made
of, in all protocols, and records the calls that they ask for in place of making them. So no code of
scikit-learn, NumPy or anything else runs, whatever the file holds.
"""

import pickletools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

MAX_CLASSES = 10_000
MAX_STEPS = 100_000  # far more than 10,000 names need, one instruction or two each
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line breaks


def check_class_names(labels: Sequence[str]) -> None:
    """Raise `ValueError` for names that cannot be told apart or would garble a terminal."""
    if len(labels) > MAX_CLASSES:
        raise ValueError(f"{len(labels)} classes are more than {MAX_CLASSES}")
    for label in labels:
        if not label.strip():
            raise ValueError("the name of a class is empty")
        if any(unicodedata.category(character) in UNPRINTABLE for character in label):
            raise ValueError(f"the name of a class, {label!r}, holds a control character")
    if len(set(labels)) < len(labels):
        raise ValueError("two classes have the same name")


def unpickle_class_names(content: bytes) -> list[str]:
    """Return the class names in a pickled `LabelBinarizer`.

    Raises `ValueError` if the pickle is of anything else.
    """
    try:
        labels = _class_names(_Reader().read(content))
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("it is damaged") from error
    if not labels:
        raise ValueError("it holds no class")
    check_class_names(labels)
    return labels


class _Name(Enum):
    """What a pickled `LabelBinarizer` refers to."""

    LABEL_BINARIZER = auto()
    OBJECT = auto()
    RECONSTRUCTOR = auto()
    NDARRAY = auto()
    RECONSTRUCT = auto()
    FROM_BUFFER = auto()
    DTYPE = auto()
    ENCODE = auto()


_NAMES = {
    "sklearn.preprocessing._label.LabelBinarizer": _Name.LABEL_BINARIZER,
    "sklearn.preprocessing.label.LabelBinarizer": _Name.LABEL_BINARIZER,  # before 0.22
    "numpy.ndarray": _Name.NDARRAY,
    "numpy.dtype": _Name.DTYPE,
    # NumPy 1 and 2 keep them in different places.
    "numpy.core.multiarray._reconstruct": _Name.RECONSTRUCT,
    "numpy._core.multiarray._reconstruct": _Name.RECONSTRUCT,
    "numpy.core.numeric._frombuffer": _Name.FROM_BUFFER,
    "numpy._core.numeric._frombuffer": _Name.FROM_BUFFER,
    # Protocols 0 to 2, with the names of Python 2.
    "copy_reg._reconstructor": _Name.RECONSTRUCTOR,
    "__builtin__.object": _Name.OBJECT,
    "_codecs.encode": _Name.ENCODE,
}


@dataclass(eq=False)
class _Call:
    """A call that a pickle asks for, and the state that it sets on what the call returns."""

    function: object
    arguments: object
    state: object = None


class _Reader:
    """Follows the instructions of a pickle; every value is plain data, a `_Name` or a `_Call`."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    def read(self, content: bytes) -> object:
        """Return the pickled value."""
        for step, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if step == MAX_STEPS:
                raise ValueError(f"it has more than {MAX_STEPS} instructions")
            self._follow(opcode.name, argument)
        return self._stack.pop()

    def _follow(self, instruction: str, argument: Any) -> None:
        stack = self._stack
        match instruction:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(instruction == "NEWTRUE")
            case "INT" | "BININT" | "BININT1" | "BININT2":
                stack.append(argument)
            case "UNICODE" | "BINUNICODE" | "SHORT_BINUNICODE":
                stack.append(argument)
            case "BINBYTES" | "SHORT_BINBYTES" | "BYTEARRAY8":
                stack.append(argument)
            case "MARK":
                self._marks.append(len(stack))
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._pop_from(len(stack) - int(instruction[-1]))))
            case "TUPLE":
                stack.append(tuple(self._pop_from_mark()))
            case "EMPTY_LIST":
                stack.append([])
            case "LIST":
                stack.append(self._pop_from_mark())
            case "APPEND":
                self._append(self._pop_from(len(stack) - 1))
            case "APPENDS":
                self._append(self._pop_from_mark())
            case "EMPTY_DICT":
                stack.append({})
            case "DICT":
                items = self._pop_from_mark()
                stack.append({})
                self._set(items)
            case "SETITEM":
                self._set(self._pop_from(len(stack) - 2))
            case "SETITEMS":
                self._set(self._pop_from_mark())
            case "GLOBAL":
                stack.append(_admitted(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack.append(_admitted(*self._pop_from(len(stack) - 2)))
            case "REDUCE" | "NEWOBJ":
                stack.append(_Call(*self._pop_from(len(stack) - 2)))
            case "BUILD":
                self._build(*self._pop_from(len(stack) - 1))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[argument])
            case _:
                raise ValueError(f"it has the instruction {instruction}")

    def _pop_from(self, position: int) -> list[Any]:
        if position < 0:
            raise IndexError("the stack holds too little")
        values = self._stack[position:]
        del self._stack[position:]
        return values

    def _pop_from_mark(self) -> list[Any]:
        return self._pop_from(self._marks.pop())

    def _append(self, values: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise TypeError("only lists grow")
        self._stack[-1].extend(values)

    def _build(self, state: object) -> None:
        if not isinstance(self._stack[-1], _Call):
            raise TypeError("only what a call returns has a state")
        self._stack[-1].state = state

    def _set(self, items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Nested tuples as keys would keep the computation of their hash busy for ever.
            if not isinstance(key, str):
                raise TypeError("only text names an attribute")
            self._stack[-1][key] = value


def _admitted(module: object, name: object) -> _Name:
    if not isinstance(module, str) or not isinstance(name, str):
        raise TypeError("only text names a function")
    if f"{module}.{name}" not in _NAMES:
        raise ValueError(f"it asks for {module}.{name}")
    return _NAMES[f"{module}.{name}"]


def _class_names(binarizer: object) -> list[str]:
    match binarizer:
        case _Call(_Name.LABEL_BINARIZER, (), {"classes_": classes}):
            return _array(classes)
        case _Call(
            _Name.RECONSTRUCTOR,
            (_Name.LABEL_BINARIZER, _Name.OBJECT, None),
            {"classes_": classes},
        ):
            return _array(classes)
    raise ValueError("it holds something else")


def _array(array: object) -> list[str]:
    """Return what a one-dimensional NumPy array of text holds."""
    match array:
        case _Call(
            _Name.RECONSTRUCT,
            (_Name.NDARRAY, _, _),
            (1, (int(count),), _Call(_Name.DTYPE, (str(kind), _, _), dtype), _, data),
        ):
            pass
        case _Call(
            _Name.FROM_BUFFER,
            (data, _Call(_Name.DTYPE, (str(kind), _, _), dtype), (int(count),), "C"),
            None,
        ):
            pass
        case _:
            raise ValueError("its classes are not an array")
    values = _objects(data) if kind == "O8" else _fixed_width(kind, dtype, _bytes(data))
    if len(values) != count:
        raise ValueError(f"it holds {len(values)} of {count} classes")
    return values


def _objects(data: object) -> list[str]:
    if not isinstance(data, list) or not all(isinstance(value, str) for value in data):
        raise ValueError("its classes are not text")
    return data


def _bytes(data: object) -> bytes:
    match data:
        case bytes() | bytearray():
            return bytes(data)
        case _Call(_Name.ENCODE, (str(text), "latin1"), None):
            return text.encode("latin1")
    raise ValueError("its classes are not stored as bytes")


def _fixed_width(kind: str, dtype: object, data: bytes) -> list[str]:
    """Decode an array of the type `U<characters>`, UTF-32 padded with zeros."""
    if not re.fullmatch(r"U[1-9][0-9]{0,5}", kind, re.ASCII):
        raise ValueError("its classes are not text")
    size = 4 * int(kind[1:])
    match dtype:
        case (_, "<" | ">" as order, None, None, None, itemsize, _, _) if itemsize == size:
            codec = "utf-32-le" if order == "<" else "utf-32-be"
        case _:
            raise ValueError(f"its classes are not of the type {kind}")
    if len(data) % size:
        raise ValueError(f"its classes are not stored in {size} bytes each")
    cells = (data[start : start + size] for start in range(0, len(data), size))
    return [cell.decode(codec).rstrip("\0") for cell in cells]
