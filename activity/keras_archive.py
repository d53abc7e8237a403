"""Keras archives of unknown origin, checked before Keras unpacks them.

Keras' safe mode has had holes: classes and functions of other modules, named in the configuration,
that run code when they are made. Here only what a model of `train.py` is made of gets through.
"""

import io
import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

MAX_SIZES = {"metadata.json": 2**16, "config.json": 2**22, "model.weights.h5": 2**30}
DIRECTORY = 2**17  # bytes at the end that hold the list of three members and the comment
HDF5 = b"\x89HDF\r\n\x1a\n"

# What the configuration may name, with its module.
CLASSES = {
    "keras": ("DTypePolicy",),
    "keras.initializers": ("GlorotUniform", "Ones", "Zeros"),
    "keras.layers": (
        "Activation",
        "Add",
        "BatchNormalization",
        "Conv2D",
        "Dense",
        "Dropout",
        "GlobalAveragePooling2D",
        "InputLayer",
        "MaxPooling2D",
        "ZeroPadding2D",
    ),
    "keras.src.models.functional": ("Functional",),
    "keras.src.ops.numpy": ("Add", "GetItem", "Stack"),
    None: ("__ellipsis__", "__keras_tensor__", "__tensor__"),  # values, not classes
}


def read_comment(path: Path) -> str:
    """Return the comment of an archive, without reading much more. Raises `ValueError`."""
    return _directory(path).comment.decode()


def check_archive(path: Path) -> None:
    """Raise `ValueError` if an archive holds anything that a model of `train.py` does not."""
    members = _directory(path).infolist()
    if sorted(member.filename for member in members) != sorted(MAX_SIZES):
        raise ValueError(f"it does not hold {', '.join(MAX_SIZES)} and nothing else")
    for member in members:
        _check_member(member)
    with zipfile.ZipFile(path) as archive:
        _check_classes(json.loads(archive.read("config.json")))


def _directory(path: Path) -> zipfile.ZipFile:
    """Open an archive to list its members, not to read them."""
    with path.open("rb") as file:
        if file.read(len(HDF5)) == HDF5:
            raise ValueError("it is an HDF5 file, for which Keras has no safe mode")
        # zipfile holds the whole list in memory, and needs no more of a file than its end for it.
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - DIRECTORY))
        return zipfile.ZipFile(io.BytesIO(file.read()))


def _check_member(member: zipfile.ZipInfo) -> None:
    if member.flag_bits & 1:
        raise ValueError(f"its {member.filename} is encrypted")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(f"its {member.filename} is a link")
    # Keras stores members as they are. So they are no larger than the file, whatever they hold.
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise ValueError(f"its {member.filename} is compressed")
    if member.file_size > MAX_SIZES[member.filename]:
        raise ValueError(f"its {member.filename} has {member.file_size} bytes")


def _check_classes(config: Any) -> None:
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if not part.keys().isdisjoint(("class_name", "module", "registered_name")):
                _check_class(part.get("module"), part.get("class_name"), part)
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _check_class(module: Any, name: Any, part: dict[str, Any]) -> None:
    named = isinstance(name, str) and isinstance(module, str | None)
    registered = part.get("registered_name") in (None, name)
    if not named or not registered or name not in CLASSES.get(module, ()):
        raise ValueError(
            f"it asks for {module}.{name}, registered as {part.get('registered_name')}"
        )
