"""`lb.pickle`: the class names as a pickled scikit-learn `LabelBinarizer`, as the tutorial has it.

A pickle is a program that can call any function it names. Here the few names that the pickle of a
`LabelBinarizer` refers to lead to stand-ins that keep what they are given and do nothing, and any
other name ends the reading.
"""

import pickle
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from activity.errors import UserError
from activity.files import atomic_write, check_input
from activity.text import one_line

NONE_OF_THESE = "none of these"  # the name of the class that the other classes are not
UNCERTAIN = "uncertain"  # stands for a label where none is probable enough
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line breaks


def check_class_names(labels: Sequence[str]) -> None:
    """Raise `ValueError` for names that cannot be told apart or would garble a terminal."""
    for label in labels:
        if not isinstance(label, str):
            raise ValueError(f"the name of a class, {label!r}, is not text")
        if not label.strip():
            raise ValueError("the name of a class is empty")
        if any(unicodedata.category(character) in UNPRINTABLE for character in label):
            raise ValueError(f"the name of a class, {label!r}, holds a control character")
    if len(set(labels)) < len(labels):
        raise ValueError("two classes have the same name")


def save_labels(labels: Sequence[str], path: Path) -> None:
    """Pickle a scikit-learn `LabelBinarizer` of these class names, as the tutorial does."""
    from sklearn.preprocessing import LabelBinarizer

    with atomic_write(path) as partial:
        partial.write_bytes(pickle.dumps(LabelBinarizer().fit(labels), protocol=4))


def load_labels(path: Path) -> list[str]:
    """Read the class names from a pickled `LabelBinarizer`, in the order of the model's outputs.

    Raises `UserError` if the file is missing or holds anything else.
    """
    check_input(path, "name the one that train.py wrote")
    try:
        with path.open("rb") as file:
            labels = _class_names(_Unpickler(file).load())
        check_class_names(labels)
    except Exception as error:  # a pickle can fail in any way its author likes
        fault = f"is not a pickled LabelBinarizer ({one_line(error)})"
        raise UserError(f"{path} {fault}; name the one that train.py wrote") from error
    return labels


class _StandIn:
    """Keeps the arguments and the state that a pickle gives to an object, and does nothing."""

    arguments: tuple[Any, ...]
    state: Any = None

    def __new__(cls, *arguments: object) -> Self:
        made = super().__new__(cls)
        made.arguments = arguments
        return made

    def __setstate__(self, state: object) -> None:
        self.state = state


# NumPy 1 and 2 keep their functions in different places; so did scikit-learn before 0.22. Protocols
# 0 to 2 have the names of Python 2, and text that is to be encoded for bytes.
_STAND_INS = (
    "sklearn.preprocessing._label.LabelBinarizer", "sklearn.preprocessing.label.LabelBinarizer",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer", "numpy.ndarray",
    "numpy.dtype", "copy_reg._reconstructor", "__builtin__.object", "_codecs.encode",
)  # fmt: skip


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_StandIn]:
        if f"{module}.{name}" not in _STAND_INS:
            raise ValueError(f"it asks for {module}.{name}")
        return _StandIn


def _class_names(binarizer: object) -> list[str]:
    if not isinstance(binarizer, _StandIn) or not isinstance(binarizer.state, dict):
        raise ValueError("it holds something else")
    array = binarizer.state["classes_"]
    if array.state:  # made by _reconstruct
        _, _, dtype, _, data = array.state
    else:  # by _frombuffer, since NumPy 2 with protocol 5
        data, dtype, *_ = array.arguments
    kind, order = dtype.arguments[0], dtype.state[1]
    if kind == "O8":
        return list(data)
    if not re.fullmatch("U[1-9][0-9]*", kind):
        raise ValueError("its classes are not text")
    content = data.arguments[0].encode("latin1") if isinstance(data, _StandIn) else data
    return list(map(str, np.frombuffer(content, f"{order}{kind}")))
