"""The model on disk, `.keras` or `.xml` with `.bin`, and its card, which describes it in full.

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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from activity import __version__
from activity.errors import UserError, cannot_be_read
from activity.files import check_input, written_whole
from activity.label_file import check_class_names
from activity.text import one_line

if TYPE_CHECKING:
    import keras
    import openvino

RESIZE_RULES = ("crop", "squash")  # preprocessing.resize has them
CARD_IN_KERAS = "card.json"
CARD_IN_XML = ["activity", "card"]
DIGEST_IN_XML = ["activity", "weights_digest"]
MAX_INPUT_SIZE = 2**12


@dataclass(frozen=True)
class ModelCard:
    """What prediction has to know about a model; stored in the model file itself."""

    labels: tuple[str, ...]  # the class names, in the order of the outputs
    resize: str  # one of RESIZE_RULES
    input_size: int  # side of the square input in pixels
    # Where the largest probability is lower, what is seen may be of no class. None where the
    # training did not find out, or taught a class for that.
    unknown_below: float | None = None
    # The share of pictures of a class not taught that is found out so, as far as that is known.
    unknown_noticed: float | None = None
    version: str = __version__  # of this project, which wrote the model

    def __post_init__(self) -> None:
        check_class_names(self.labels)
        if self.resize not in RESIZE_RULES:
            raise ValueError(f"it asks to {self.resize!r} pictures")
        if type(self.input_size) is not int or not 1 <= self.input_size <= MAX_INPUT_SIZE:
            raise ValueError(f"it asks for pictures of {self.input_size!r} pixels")
        for share in (self.unknown_below, self.unknown_noticed):
            if share is not None and not (type(share) is float and 0 <= share <= 1):
                raise ValueError(f"it has a share of {share!r}")
        if self.unknown_below == 1:
            raise ValueError("everything would be unknown to it")

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a card as `to_json` wrote it. Raises `ValueError`, `TypeError` or `KeyError`."""
        fields = json.loads(text)
        if "labels" not in fields:
            raise ValueError("its card has no class names, as in versions before 0.9")
        return cls(**fields | {"labels": tuple(fields["labels"])})

    def to_json(self) -> str:
        """Return the card as it stands in a model file."""
        return json.dumps(asdict(self))

    def require_labels(self, labels: Sequence[str], path: Path) -> None:
        """Raise `UserError` unless `labels`, read from `path`, are those of this model."""
        if tuple(labels) != self.labels:
            raise UserError(
                f"{path} holds the classes {', '.join(labels)}, and the model "
                f"{', '.join(self.labels)}; give the two files that train.py wrote together",
                path,
            )


def read_card(path: Path) -> ModelCard:
    """Read a model's card in milliseconds. Raises `UserError` if `train.py` did not write it."""
    check_input(path, "train one with train.py, or name another")
    try:
        if path.suffix == ".xml":
            return ModelCard.from_json(_rt_info(path, CARD_IN_XML))
        with zipfile.ZipFile(path) as archive:
            return ModelCard.from_json(archive.read(CARD_IN_KERAS))
    except OSError as error:
        raise cannot_be_read(path, error) from error
    except Exception as error:  # as many kinds as there are ways to damage a file
        raise UserError(
            f"{path} was not written by this version of train.py ({one_line(error)}); "
            "train it again, or name another",
            path,
        ) from error


def save_model(model: "keras.Model", path: Path, card: ModelCard) -> None:
    """Write a Keras 3 archive under any name, with its card as one more member.

    Keras ignores that, and it can be read without importing anything.
    """
    with written_whole(path, suffix=".keras") as partial:
        model.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(CARD_IN_KERAS, card.to_json())


def load_model(path: Path) -> "keras.Model":
    """Load a Keras model for inference, in safe mode. Raises `UserError` if it is damaged."""
    from activity.quiet.keras import keras

    card = read_card(path)  # which an HDF5 file does not have: Keras' safe mode is for archives
    try:
        with tempfile.TemporaryDirectory() as folder:
            # Keras looks at the name before the content, and insists on its own ending.
            named = path
            if path.suffix != ".keras":
                named = Path(shutil.copyfile(path, Path(folder) / "model.keras"))
            _refuse_calls(named)
            model = keras.saving.load_model(named, compile=False, safe_mode=True)
        _require_shapes(card, model.input_shape, model.output_shape)
    except Exception as error:  # Keras raises whatever its parts raise
        raise cannot_be_loaded(path, one_line(error)) from error
    return model


def save_openvino_model(model: "openvino.Model", path: Path, card: ModelCard) -> None:
    """Write an OpenVINO model with its card to `path` (`.xml`), and its weights beside it."""
    model.set_rt_info(card.to_json(), CARD_IN_XML)
    with written_whole(path) as graph, written_whole(path.with_suffix(".bin")) as weights:
        _serialize(model, graph)
        assert weights == graph.with_suffix(".bin")  # where OpenVINO puts them
        # Once more with their digest, by which a file of another training is found out.
        model.set_rt_info(digest(weights), DIGEST_IN_XML)
        _serialize(model, graph)


def load_openvino_model(path: Path) -> "openvino.Model":
    """Load an OpenVINO model for inference. Raises `UserError` if it is damaged."""
    from activity.quiet.openvino import ov

    card, weights = read_card(path), path.with_suffix(".bin")
    if not weights.is_file():
        raise cannot_be_loaded(path, f"{weights} is missing")
    try:
        if _rt_info(path, DIGEST_IN_XML) != digest(weights):
            raise ValueError(f"{weights} does not belong to it")
        model = ov.Core().read_model(path, weights)
        [source], [result] = model.inputs, model.outputs
        shapes = [
            tuple(side.get_length() if side.is_static else None for side in value.partial_shape)
            for value in (source, result)
        ]
        _require_shapes(card, *shapes)
    except OSError as error:
        raise cannot_be_read(error.filename or path, error, path) from error
    except Exception as error:  # OpenVINO raises RuntimeError and whatever Python makes of others
        raise cannot_be_loaded(path, one_line(error)) from error
    return model


def cannot_be_loaded(path: Path, reason: str) -> UserError:
    """Return the error for a model file that is damaged, or made to do harm."""
    return UserError(f"{path} cannot be loaded ({reason}); train it again", path)


def _refuse_calls(path: Path) -> None:
    """Raise `ValueError` if a Keras model calls functions by their names.

    Safe mode lets a file call any function of Keras, those that download, write files or change
    settings, too. No model of `train.py` calls one.
    """
    with zipfile.ZipFile(path) as archive:
        config = json.dumps(json.loads(archive.read("config.json")))  # one spelling for each name
    for kind in ("Lambda", "function"):
        if f'"{kind}"' in config:
            raise ValueError(f"it has a {kind} in it, which may do harm")


def _require_shapes(
    card: ModelCard, source: tuple[int | None, ...], result: tuple[int | None, ...]
) -> None:
    side = card.input_size
    if source[1:] != (side, side, 3) or result[1:] != (len(card.labels),):
        raise ValueError(f"its shapes, {source} and {result}, are not those of its card")


def _serialize(model: "openvino.Model", graph: Path) -> None:
    from activity.quiet.openvino import ov

    try:
        ov.save_model(model, graph)  # what is not int8 is stored in float16
    except RuntimeError as error:  # which is what a full disk is to it
        raise OSError(one_line(error)) from error


def _rt_info(path: Path, keys: Sequence[str]) -> str:
    """Return a value that `openvino.Model.set_rt_info` has stored in a graph."""
    element = ElementTree.parse(path).find("/".join(["rt_info", *keys]))
    if element is None:
        raise ValueError("it has no card")
    return element.get("value", "")


def digest(path: Path) -> str:
    """Return a digest of a file's content, hexadecimal; an `.xml` model has that of its weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
