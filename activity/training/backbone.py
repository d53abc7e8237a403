"""The frozen base and the features it computes, once per image and view."""

import hashlib
import inspect
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain

import numpy as np

from activity import preprocessing
from activity.engine import OpenVINOEngine, batches
from activity.errors import UserError
from activity.quiet.keras import keras
from activity.quiet.opencv import cv2
from activity.quiet.openvino import ov
from activity.streams import parallel_map
from activity.text import one_line
from activity.training import augmentation
from activity.training.augmentation import PLAIN
from activity.training.bases import BASES, IMAGENET, Base
from activity.training.conversion import convert
from activity.training.dataset import Picture, read_picture
from activity.training.feature_cache import FeatureCache
from activity.training.settings import Settings

BATCH_SIZE = 8  # larger ones are no faster on a CPU
STORED_AT_ONCE = 64

Views = tuple[Picture, list[int]]  # of a picture


def build_backbone(base: Base, weights: str) -> keras.Model:
    """Return a frozen base: RGB 0..255 (N, size, size, 3) to pooled features (N, features).

    `weights` is "imagenet" or the path of a weights file. What the network does to channels and
    levels is part of the returned graph. Raises `UserError` if Keras cannot download the weights,
    and for a file that does not hold them.
    """
    rgb = keras.Input((base.input_size, base.input_size, 3), name="rgb")
    try:
        with warnings.catch_warnings(action="ignore"):  # a wrong file earns hundreds of them
            maps = base.network(rgb, weights)
    except Exception as error:
        reason = one_line(error)  # Keras raises whatever there is, with messages of many lines
        fault = f"{weights} does not hold {base.title} weights without top ({reason}); name another"
        if weights == IMAGENET:
            print()  # Keras leaves its line about the download open
            fault = (
                f"the weights of {base.title} could not be downloaded ({reason}); take --base "
                "efficientnet_lite2, which needs none, or name a file of them with --weights"
            )
        raise UserError(fault) from error
    backbone = keras.Model(rgb, keras.layers.GlobalAveragePooling2D()(maps), name="backbone")
    backbone.trainable = False
    return backbone


class FeatureExtractor:
    """Fills the cache with the features of pictures, and knows under which keys they lie.

    OpenVINO computes them: in bfloat16, where the processor can, else in float32.
    """

    def __init__(self, backbone: keras.Model, cache: FeatureCache, settings: Settings) -> None:
        self.cache, self.features = cache, backbone.output_shape[1]  # how many
        self._backbone, self._base, self.settings = backbone, BASES[settings.base], settings
        self._fingerprint = _fingerprint(backbone, settings)

    def key(self, picture: Picture, view: int) -> bytes:
        """Return a hash of all that the features depend on: content, view, weights, versions."""
        seed = "" if view == PLAIN else self.settings.seed
        name = f"{picture.digest} {view} {seed} {self._fingerprint}"
        return hashlib.blake2b(name.encode(), digest_size=16).digest()

    def missing(self, pictures: Sequence[Picture], views: Sequence[int]) -> list[Views]:
        """Return the pictures of which the cache lacks some of the views, with those views."""
        wanted = (
            (picture, [view for view in views if self.key(picture, view) not in self.cache])
            for picture in pictures
        )
        return [(picture, absent) for picture, absent in wanted if absent]

    def fill(self, missing: Sequence[Views], progress: Callable[[int], object]) -> None:
        """Compute features and store them; call `progress` with the size of each batch stored.

        Decoding and augmentation run in threads beside the base. Memory holds a few batches
        and the views of a few pictures per core.
        """
        if not missing:
            return
        converted = convert(self._backbone)
        for plain, size in ((True, self._base.input_size), (False, self._base.view_size)):
            wanted = [
                (picture, of_this_size)
                for picture, views in missing
                if (of_this_size := [view for view in views if plain == (view == PLAIN)])
            ]
            if not wanted:
                continue
            base = converted.clone()
            base.reshape([-1, size, size, 3])
            drawn = parallel_map(partial(self._draw, size=size), wanted)
            features = OpenVINOEngine(base, BATCH_SIZE).stream(chain.from_iterable(drawn))
            for batch in batches(features, STORED_AT_ONCE):
                self.cache.write(batch)
                progress(len(batch))

    def _draw(self, wanted: Views, size: int) -> list[tuple[bytes, np.ndarray]]:
        picture, views = wanted
        image, rule = read_picture(picture), self.settings.resize
        seed = [self.settings.seed, int(picture.digest, 16)]
        return [
            (self.key(picture, n), augmentation.view(image, n, rule, size, seed)) for n in views
        ]


def _fingerprint(backbone: keras.Model, settings: Settings) -> str:
    """Hash what turns an image into features: weights, library versions and our own code."""
    state = hashlib.blake2b(digest_size=16)
    for weight in backbone.get_weights():
        state.update(weight.tobytes())
    for module in (augmentation, preprocessing):
        state.update(inspect.getsource(module).encode())
    precision = str(ov.Core().get_property("CPU", "INFERENCE_PRECISION_HINT"))
    versions = ov.__version__, precision, cv2.__version__, np.__version__
    for text in (*versions, settings.resize, str(BASES[settings.base].view_size)):
        state.update(text.encode() + b"\0")
    return state.hexdigest()
