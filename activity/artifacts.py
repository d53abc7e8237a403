"""Files that outlive a run: checked before it, written beside their place and then renamed."""

import hashlib
import json
import os
import pickle
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from activity.cli import UserError

if TYPE_CHECKING:
    import keras
    import openvino
    from sklearn.preprocessing import LabelBinarizer

PICTURES = (".png", ".pdf", ".svg")  # what Matplotlib is asked to write
CARD_IN_XML = ["activity", "card"]


@dataclass(frozen=True)
class ModelCard:
    """What prediction has to know about a model; stored in the model file itself."""

    resize: str  # one of preprocessing.RESIZE_RULES
    input_size: int  # side of the square input in pixels
    classes: int
    labels_digest: str  # of the class names, in the order of the outputs

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
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{option} {path} cannot be written: {path.parent} is a file") from error
    except OSError as error:
        raise UserError(
            f"{option} {path} cannot be written ({error.strerror}); choose another place"
        ) from error
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder; name a file in it")


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
    ending = path.suffix if suffix is None else suffix
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{ending}")
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
    import openvino

    model.set_rt_info(json.dumps(asdict(card)), CARD_IN_XML)
    # What is not int8 is stored in float16.
    with written_whole(path) as graph, written_whole(path.with_suffix(".bin")) as weights:
        openvino.save_model(model, graph)
        assert weights == graph.with_suffix(".bin")  # where OpenVINO puts them


def read_card(path: Path) -> ModelCard:
    """Read a model's card in milliseconds. Raises `UserError` if `train.py` did not write it."""
    if not path.is_file():
        raise UserError(f"--model {path} is not a file; train one with train.py, or name another")
    try:
        if path.suffix == ".xml":
            element = ElementTree.parse(path).find("/".join(["rt_info", *CARD_IN_XML]))
            comment = "" if element is None else element.get("value", "")
        else:
            with zipfile.ZipFile(path) as archive:
                comment = archive.comment.decode()
        return ModelCard(**json.loads(comment))
    except OSError as error:
        raise UserError(f"--model {path} cannot be read ({error.strerror})") from error
    except (zipfile.BadZipFile, ElementTree.ParseError, ValueError, TypeError) as error:
        raise UserError(f"--model {path} was not written by train.py; name one that was") from error


def load_model(path: Path) -> "keras.Model":
    """Load a model for inference, with Keras' safe mode. Raises `UserError` if it is damaged."""
    from activity.runtime import keras

    with tempfile.TemporaryDirectory() as folder:
        # Keras looks at the name before the content, and insists on its own ending.
        named = path
        if path.suffix != ".keras":
            named = Path(folder) / "model.keras"
            shutil.copyfile(path, named)
        try:
            return keras.saving.load_model(named, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises whatever its parts raise
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(
                f"--model {path} cannot be loaded ({reason}); train it again"
            ) from error


def load_openvino_model(path: Path) -> "openvino.Model":
    """Load an OpenVINO model for inference. Raises `UserError` if it is damaged."""
    import openvino

    try:
        return openvino.Core().read_model(path)
    except RuntimeError as error:
        weights = path.with_suffix(".bin")
        reason = str(error).strip().splitlines()[-1]
        if not weights.is_file():
            reason = f"{weights} is missing"
        raise UserError(f"--model {path} cannot be loaded ({reason}); train it again") from error


def save_labels(binarizer: "LabelBinarizer", path: Path) -> None:
    """Pickle a scikit-learn `LabelBinarizer`, as the tutorial does."""
    with written_whole(path) as partial:
        partial.write_bytes(pickle.dumps(binarizer, protocol=4))


class _PickledLabelBinarizer:
    """Stands in for scikit-learn's class, so that none of its code runs while unpickling."""

    classes_: Any


class _LabelUnpickler(pickle.Unpickler):
    """Admits the names that a pickled `LabelBinarizer` of strings needs, and no others.

    A pickle is a program; `pickle.load` on a stranger's file would run it.
    """

    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        # What an array names as its maker, under pickle protocols 3 to 4 and 5.
        reconstruct = np.empty(0).__reduce__()[0]
        from_buffer = np.empty(0).__reduce_ex__(5)[0]
        allowed = {
            ("sklearn.preprocessing._label", "LabelBinarizer"): _PickledLabelBinarizer,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            # NumPy 1 and 2 keep it in different places.
            ("numpy.core.multiarray", "_reconstruct"): reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): reconstruct,
            ("numpy.core.numeric", "_frombuffer"): from_buffer,
            ("numpy._core.numeric", "_frombuffer"): from_buffer,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return allowed[module, name]


def load_labels(path: Path) -> list[str]:
    """Read the class names from a pickled `LabelBinarizer`, in the order of the model's outputs.

    Raises `UserError` if the file is missing or holds anything else.
    """
    if not path.is_file():
        raise UserError(f"--label-bin {path} is not a file; name the one that train.py wrote")
    try:
        with path.open("rb") as file:
            labels: list[str] = _LabelUnpickler(file).load().classes_.tolist()
        if not all(isinstance(label, str) for label in labels):
            raise ValueError("its classes are not text")
    except Exception as error:  # a pickle can fail in any way its author likes
        raise UserError(
            f"--label-bin {path} is not a pickled LabelBinarizer ({error}); "
            "name the one that train.py wrote"
        ) from error
    return labels


def save_json(record: dict[str, Any], path: Path) -> None:
    """Write a record as readable JSON, with what JSON does not know as text."""
    with written_whole(path) as partial:
        partial.write_text(json.dumps(record, indent=2, default=str) + "\n")
