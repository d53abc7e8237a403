"""The model on disk, `.keras` or `.xml` with `.bin`, and its metadata, which describes it in full.

A file from a stranger cannot run code: Keras' safe mode refuses code of the file's own, calls of
Keras' functions by their names are refused here, and OpenVINO's format has no place for either.
That a file wastes memory or time, or gives wrong labels, is not prevented.
"""

import hashlib
import json
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self

from activity import __version__
from activity.errors import UserError, cannot_be_read
from activity.files import atomic_write, check_input
from activity.label_file import check_class_names
from activity.text import one_line

if TYPE_CHECKING:
    import keras
    import openvino

RESIZE_RULES = ("crop", "squash")  # preprocessing.resize has them
# Under these names all versions have kept it; an archive of Keras has a metadata.json of its own.
METADATA_IN_KERAS = "card.json"
METADATA_IN_XML = ["activity", "card"]
DIGEST_IN_XML = ["activity", "weights_digest"]
MAX_INPUT_SIZE = 2**12


@dataclass(frozen=True)
class ModelMetadata:
    """What prediction has to know about a model; stored in the model file itself."""

    labels: tuple[str, ...]  # the class names, in the order of the outputs
    resize: str  # one of RESIZE_RULES
    input_size: int  # side of the square input in pixels
    version: str = __version__  # of this project, which wrote the model

    def __post_init__(self) -> None:
        check_class_names(self.labels)
        if self.resize not in RESIZE_RULES:
            raise ValueError(f"it asks to {self.resize!r} pictures")
        if type(self.input_size) is not int or not 1 <= self.input_size <= MAX_INPUT_SIZE:
            raise ValueError(f"it asks for pictures of {self.input_size!r} pixels")

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` of any version wrote; fields that this one lacks are passed over.

        Raises `ValueError`, `TypeError` or `AttributeError` for anything else.
        """
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in json.loads(text).items() if name in known}
        if "labels" not in values:
            raise ValueError("its metadata has no class names, as in versions before 0.9")
        return cls(**values | {"labels": tuple(values["labels"])})

    def to_json(self) -> str:
        """Return the metadata as it stands in a model file."""
        return json.dumps(asdict(self))

    def require_labels(self, labels: Sequence[str], path: Path) -> None:
        """Raise `UserError` unless `labels`, read from `path`, are those of this model."""
        if tuple(labels) != self.labels:
            raise UserError(
                f"{path} holds the classes {', '.join(labels)}, and the model "
                f"{', '.join(self.labels)}; give the two files that train.py wrote together"
            )


def read_metadata(path: Path) -> ModelMetadata:
    """Read a model's metadata, in milliseconds; raise `UserError` if `train.py` wrote none."""
    check_input(path, "train one with train.py, or name another")
    try:
        if path.suffix == ".xml":
            return ModelMetadata.from_json(_rt_info(path, METADATA_IN_XML))
        with zipfile.ZipFile(path) as archive:
            return ModelMetadata.from_json(archive.read(METADATA_IN_KERAS))
    except OSError as error:
        raise cannot_be_read(path, error) from error
    except Exception as error:  # as many kinds as there are ways to damage a file
        raise UserError(
            f"{path} was not written by this version of train.py ({one_line(error)}); "
            "train it again, or name another"
        ) from error


def save_model(model: "keras.Model", path: Path, metadata: ModelMetadata) -> None:
    """Write a Keras 3 archive under any name, with its metadata as one more member.

    Keras ignores that, and it can be read without importing anything.
    """
    with atomic_write(path, suffix=".keras") as partial:
        model.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(METADATA_IN_KERAS, metadata.to_json())


def load_model(path: Path) -> "keras.Model":
    """Load a Keras model for inference, in safe mode. Raises `UserError` if it is damaged."""
    from activity.quiet.keras import keras

    metadata = read_metadata(path)  # an HDF5 file, which Keras' safe mode is not for, has none
    try:
        with tempfile.TemporaryDirectory() as folder:
            # Keras looks at the name before the content, and insists on its own ending.
            named = path
            if path.suffix != ".keras":
                named = Path(shutil.copyfile(path, Path(folder) / "model.keras"))
            with zipfile.ZipFile(named) as archive:
                config = json.dumps(json.loads(archive.read("config.json")))  # spells names one way
            # Safe mode lets a file call any function of Keras, those that download, write files or
            # change settings, too. No model of `train.py` calls one.
            for kind in ("Lambda", "function"):
                if f'"{kind}"' in config:
                    raise ValueError(f"it has a {kind} in it, which may do harm")
            model = keras.saving.load_model(named, compile=False, safe_mode=True)
        _require_shapes(metadata, model.input_shape, model.output_shape)
    except Exception as error:  # Keras raises whatever its parts raise
        raise cannot_be_loaded(path, one_line(error)) from error
    return model


def save_openvino_model(model: "openvino.Model", path: Path, metadata: ModelMetadata) -> None:
    """Write an OpenVINO model with its metadata to `path` (`.xml`), and its weights beside it."""
    from activity.quiet.openvino import ov

    model.set_rt_info(metadata.to_json(), METADATA_IN_XML)
    with atomic_write(path) as graph, atomic_write(path.with_suffix(".bin")) as weights:
        assert weights == graph.with_suffix(".bin")  # where OpenVINO puts them
        try:
            ov.save_model(model, graph)  # what is not int8 is stored in float16
            # Once more with their digest, by which a file of another training is found out.
            model.set_rt_info(digest(weights), DIGEST_IN_XML)
            ov.save_model(model, graph)
        except RuntimeError as error:  # which is what a full disk is to it
            raise OSError(one_line(error)) from error


def load_openvino_model(path: Path) -> "openvino.Model":
    """Load an OpenVINO model for inference. Raises `UserError` if it is damaged."""
    from activity.quiet.openvino import ov

    metadata, weights = read_metadata(path), path.with_suffix(".bin")
    if not weights.is_file():
        raise UserError(f"{path} cannot be loaded ({weights} is missing); train it again")
    try:
        if _rt_info(path, DIGEST_IN_XML) != digest(weights):
            raise ValueError(f"{weights} does not belong to it")
        model = ov.Core().read_model(path, weights)
        [source], [result] = model.inputs, model.outputs
        shapes = [
            tuple(side.get_length() if side.is_static else None for side in value.partial_shape)
            for value in (source, result)
        ]
        _require_shapes(metadata, *shapes)
    except OSError as error:
        raise cannot_be_read(error.filename or path, error) from error
    except Exception as error:  # OpenVINO raises RuntimeError and whatever Python makes of others
        raise cannot_be_loaded(path, one_line(error)) from error
    return model


def cannot_be_loaded(path: Path, reason: str) -> UserError:
    """Return the error for a model that is damaged, made to do harm, or more than memory holds."""
    return UserError(f"{path} cannot be loaded ({reason}); free some memory, or train it again")


def _require_shapes(
    metadata: ModelMetadata, source: tuple[int | None, ...], result: tuple[int | None, ...]
) -> None:
    side = metadata.input_size
    if source[1:] != (side, side, 3) or result[1:] != (len(metadata.labels),):
        raise ValueError(f"its shapes, {source} and {result}, are not those of its metadata")


def _rt_info(path: Path, keys: Sequence[str]) -> str:
    """Return a value that `openvino.Model.set_rt_info` has stored in a graph."""
    element = ElementTree.parse(path).find("/".join(["rt_info", *keys]))
    if element is None:
        raise ValueError("it has no metadata")
    return element.get("value", "")


def digest(path: Path) -> str:
    """Return a digest of a file's content, hexadecimal; an `.xml` model has that of its weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
