"""Files that outlive a run: checked before it, written beside their place and then renamed.

Models and class names are read as if a stranger had made them: nothing in them is run, and what
does not look like the work of `train.py` is refused before the library that it is for sees it. What
remains: a stranger's model can give wrong labels on purpose, and take much time and memory to give
them; and a mistake in the parsers of HDF5, of OpenVINO or, for clips, of FFmpeg can be used by a
file that is made for it.
"""

import hashlib
import json
import math
import os
import pickle
import re
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from activity import keras_archive, openvino_xml
from activity.class_names import MAX_CLASSES, unpickle_class_names
from activity.cli import UserError, cannot_be_read, one_line
from activity.preprocessing import RESIZE_RULES

if TYPE_CHECKING:
    import keras
    import openvino
    from sklearn.preprocessing import LabelBinarizer

PICTURES = (".png", ".pdf", ".svg")  # what Matplotlib is asked to write
CARD_IN_XML = ["activity", "card"]
DIGEST_IN_XML = ["activity", "weights_digest"]
MAX_LABEL_FILE = 2**24  # bytes, enough for MAX_CLASSES folder names of any length
MAX_INPUT_SIZE = 2**12
MAX_VALUES = 2**26  # in any array of a model; those of ResNet50 have a fortieth


@dataclass(frozen=True)
class ModelCard:
    """What prediction has to know about a model; stored in the model file itself."""

    resize: str  # one of preprocessing.RESIZE_RULES
    input_size: int  # side of the square input in pixels
    classes: int
    labels_digest: str  # of the class names, in the order of the outputs

    def __post_init__(self) -> None:
        for value, most in ((self.input_size, MAX_INPUT_SIZE), (self.classes, MAX_CLASSES)):
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{value!r} in its card is not a whole number from 1 to {most}")
        if self.resize not in RESIZE_RULES or not re.fullmatch("[0-9a-f]{32}", self.labels_digest):
            raise ValueError(f"{self.resize!r} and {self.labels_digest!r} do not belong in a card")

    @classmethod
    def of(cls, labels: Sequence[str], resize: str, input_size: int) -> Self:
        """Make the card of a model with these class names."""
        return cls(resize, input_size, len(labels), _digest(labels))

    def require_labels(self, labels: Sequence[str], path: Path) -> None:
        """Raise `UserError` unless `labels`, read from `path`, are those of this model."""
        if len(labels) != self.classes:
            raise UserError(
                f"{path} holds {len(labels)} classes and the model {self.classes}; "
                "give the two files that train.py wrote together"
            )
        if _digest(labels) != self.labels_digest:
            raise UserError(
                f"{path} holds other classes than the model was trained on "
                f"({', '.join(labels)}); give the two files that train.py wrote together"
            )


def _digest(labels: Sequence[str]) -> str:
    return hashlib.blake2b(json.dumps(list(labels)).encode(), digest_size=16).hexdigest()


def check_input(path: Path, option: str, advice: str) -> None:
    """Raise `UserError` if a file cannot be read; `advice` says what to do where there is none."""
    try:
        if not path.is_file():
            raise UserError(f"{option} {path} is not a file; {advice}")
        path.open("rb").close()
    except OSError as error:
        raise cannot_be_read(option, path, error) from error


def check_output(path: Path, option: str, endings: Sequence[str] = ()) -> None:
    """Make the folder of `path`; raise `UserError` if a file could not be written there.

    `endings` are those its name may have, any if there are none.
    """
    if endings and path.suffix.lower() not in endings:
        *others, last = endings
        raise UserError(
            f"{option} {path} ends in {path.suffix or 'nothing'!r}; choose a name ending in "
            + (f"{', '.join(others)} or {last}" if others else last)
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise UserError(f"{option} {path} is a folder; name a file in it")
        with suppress(FileNotFoundError):
            _partial(path, path.suffix).lstat()  # its longer name has to be possible, too
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{option} {path} cannot be written: {path.parent} is a file") from error
    except OSError as error:
        raise UserError(
            f"{option} {path} cannot be written ({error.strerror}); choose another place"
        ) from error


def check_distinct(files: Iterable[tuple[str, Path]]) -> None:
    """Raise `UserError` if files that different options name are the same one."""
    options: dict[Path, str] = {}
    for option, path in files:
        first = options.setdefault(path.resolve(), option)
        if first != option:
            raise UserError(f"{first} and {option} are the same file, {path}; name different ones")


@contextmanager
def written_whole(path: Path, suffix: str | None = None) -> Iterator[Path]:
    """Give a path beside `path` to write to, renamed to `path` when the block ends well.

    If the block raises, nothing is left and what stood at `path` before is untouched. `suffix`
    replaces that of `path` for libraries that insist on their own. Raises `UserError` where the
    file system refuses.
    """
    partial = _partial(path, path.suffix if suffix is None else suffix)
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror or error}); free some space or choose "
            "another place"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _partial(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.stem}.{os.getpid()}.partial{ending}")


def save_model(model: "keras.Model", path: Path, card: ModelCard) -> None:
    """Write a Keras 3 archive under any name, with its card as the archive's comment.

    Keras ignores the comment, and it can be read without unpacking or importing anything.
    """
    with written_whole(path, suffix=".keras") as partial:
        model.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.comment = json.dumps(asdict(card)).encode()


def save_openvino_model(model: "openvino.Model", path: Path, card: ModelCard) -> None:
    """Write an OpenVINO model with its card to `path` (`.xml`), and its weights beside it."""
    model.set_rt_info(json.dumps(asdict(card)), CARD_IN_XML)
    with written_whole(path) as graph, written_whole(path.with_suffix(".bin")) as weights:
        _serialize(model, graph)
        assert weights == graph.with_suffix(".bin")  # where OpenVINO puts them
        # Once more with their digest, by which a file of another training is found out.
        model.set_rt_info(_weights_digest(weights.read_bytes()), DIGEST_IN_XML)
        _serialize(model, graph)


def _serialize(model: "openvino.Model", graph: Path) -> None:
    import openvino

    try:
        openvino.save_model(model, graph)  # what is not int8 is stored in float16
    except RuntimeError as error:  # which is what a full disk is to it
        raise OSError(one_line(error)) from error


def _weights_digest(content: bytes | memoryview) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def read_card(path: Path) -> ModelCard:
    """Read a model's card in milliseconds. Raises `UserError` if `train.py` did not write it."""
    check_input(path, "--model", "train one with train.py, or name another")
    try:
        if path.suffix == ".xml":
            net = openvino_xml.parse(_read_bytes(path, openvino_xml.MAX_XML))
            return _card_in(net)
        return ModelCard(**json.loads(keras_archive.read_comment(path)))
    except OSError as error:
        raise cannot_be_read("--model", path, error) from error
    except Exception as error:  # as many kinds as there are ways to damage a file
        raise UserError(
            f"--model {path} was not written by train.py ({one_line(error)}); name one that was"
        ) from error


def load_model(path: Path) -> "keras.Model":
    """Load a model for inference, with Keras' safe mode. Raises `UserError` if it is damaged."""
    try:
        keras_archive.check_archive(path)
        card = read_card(path)
        model = _load_archive(path)
        _require_shapes(model.input_shape, model.output_shape, None, card)
    except UserError:
        raise
    except Exception as error:  # Keras raises whatever its parts raise
        raise cannot_be_loaded(path, one_line(error)) from error
    return model


def _load_archive(path: Path) -> "keras.Model":
    from activity.runtime import keras

    with tempfile.TemporaryDirectory() as folder:
        # Keras looks at the name before the content, and insists on its own ending.
        named = path
        if path.suffix != ".keras":
            named = Path(folder) / "model.keras"
            shutil.copyfile(path, named)
        return keras.saving.load_model(named, compile=False, safe_mode=True)


def load_openvino_model(path: Path) -> "openvino.Model":
    """Load an OpenVINO model for inference. Raises `UserError` if it is damaged."""
    import openvino

    weights_path = path.with_suffix(".bin")
    if not weights_path.is_file():
        raise cannot_be_loaded(path, f"{weights_path} is missing")
    try:
        net = openvino_xml.parse(_read_bytes(path, openvino_xml.MAX_XML))
        size = weights_path.stat().st_size
        openvino_xml.check_graph(net, size)
        weights = _read_weights(weights_path, size)
        if openvino_xml.rt_info(net, DIGEST_IN_XML) != _weights_digest(memoryview(weights.data)):
            raise ValueError(f"{weights_path} does not belong to it")
        # Written afresh, as OpenVINO's parser could read the original in another way.
        text = ElementTree.tostring(net, encoding="unicode")
        model = openvino.Core().read_model(text, weights)
        _require_openvino_shapes(model, _card_in(net))
    except OSError as error:
        raise cannot_be_read("--model", error.filename or path, error) from error
    except Exception as error:  # OpenVINO raises RuntimeError and whatever Python makes of others
        raise cannot_be_loaded(path, one_line(error)) from error
    return model


def _card_in(net: ElementTree.Element) -> ModelCard:
    return ModelCard(**json.loads(openvino_xml.rt_info(net, CARD_IN_XML)))


def _read_weights(path: Path, size: int) -> "openvino.Tensor":
    """Read a file into memory that OpenVINO keeps as long as it needs it."""
    import openvino

    if size > keras_archive.MAX_SIZES["model.weights.h5"]:
        raise ValueError(f"{path} has {size} bytes")
    tensor = openvino.Tensor(openvino.Type.u8, openvino.Shape([size]))
    with path.open("rb") as file:
        if file.readinto(tensor.data) < size:
            raise ValueError(f"{path} became shorter")
    return tensor


def _require_openvino_shapes(model: "openvino.Model", card: ModelCard) -> None:
    images = 2  # one would not show whether each image has outputs of its own
    [source], [result] = model.inputs, model.outputs
    shape = source.partial_shape
    shape[0] = images
    model.reshape(shape)
    types = (source.element_type.get_type_name(), result.element_type.get_type_name())
    if types != ("u8", "f32"):
        raise ValueError(f"it makes {types[1]} of {types[0]}")
    _require_shapes(tuple(source.shape), tuple(result.shape), images, card)
    for operation in model.get_ops():
        for value in operation.outputs():
            if math.prod(value.shape) > MAX_VALUES:
                name = operation.get_friendly_name()
                raise ValueError(f"its {name} has the shape {tuple(value.shape)}")


def _require_shapes(source: object, result: object, images: int | None, card: ModelCard) -> None:
    expected = (images, card.input_size, card.input_size, 3), (images, card.classes)
    if (source, result) != expected:
        raise ValueError(
            f"its shapes are {source} and {result}, and not {expected[0]} and {expected[1]}"
        )


def cannot_be_loaded(path: Path, reason: str) -> UserError:
    """Return the error for a model file that is damaged, or made to do harm."""
    return UserError(f"--model {path} cannot be loaded ({reason}); train it again")


def save_labels(binarizer: "LabelBinarizer", path: Path) -> None:
    """Pickle a scikit-learn `LabelBinarizer`, as the tutorial does."""
    with written_whole(path) as partial:
        partial.write_bytes(pickle.dumps(binarizer, protocol=4))


def load_labels(path: Path) -> list[str]:
    """Read the class names from a pickled `LabelBinarizer`, in the order of the model's outputs.

    Raises `UserError` if the file is missing or holds anything else.
    """
    check_input(path, "--label-bin", "name the one that train.py wrote")
    try:
        return unpickle_class_names(_read_bytes(path, MAX_LABEL_FILE))
    except OSError as error:
        raise cannot_be_read("--label-bin", path, error) from error
    except Exception as error:  # a pickle can fail in any way its author likes
        raise UserError(
            f"--label-bin {path} is not a pickled LabelBinarizer ({one_line(error)}); "
            "name the one that train.py wrote"
        ) from error


def _read_bytes(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit} bytes")
    return content


def save_json(record: dict[str, Any], path: Path) -> None:
    """Write a record as readable JSON, with what JSON does not know as text."""
    with written_whole(path) as partial:
        partial.write_text(json.dumps(record, indent=2, default=str) + "\n")
