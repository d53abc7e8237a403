"""The networks that a model can be built on, and all that depends on which one it is.

Keras is imported where a network is built: the names alone should not wait for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMAGENET = "imagenet"  # in place of the path of a weights file
LITE2_WEIGHTS = Path(__file__).parent / "weights" / "efficientnet_lite2.weights.h5"


@dataclass(frozen=True)
class Base:
    """A convolutional network that was trained on ImageNet."""

    title: str
    input_size: int  # pixels, what it was trained on
    # Of the augmented views. Smaller than the plain ones, they take half the time, and teach as
    # much: crops show things larger than they will be seen (Touvron et al. 2019, arXiv:1906.06423).
    view_size: int
    # The convolutions that the int8 copy leaves in float, by how many lie before them: eight bits
    # are too coarse for what the first ones give (benchmarks/README.md).
    float_convolutions: range
    # Builds it onto RGB 0..255 (N, size, size, 3), a tensor of Keras, with weights, "imagenet" or a
    # path; returns the maps (N, h, w, features).
    network: Callable[[Any, str], Any]


def _resnet50(rgb: Any, weights: str) -> Any:
    from activity.quiet.keras import keras

    network = keras.applications.ResNet50(
        weights=weights, include_top=False, input_shape=rgb.shape[1:]
    )
    # training=False keeps the statistics of ImageNet in the batch normalisation.
    return network(keras.applications.resnet50.preprocess_input(rgb), training=False)


def _efficientnet_lite2(rgb: Any, weights: str) -> Any:
    from activity.quiet.keras import keras
    from activity.training.efficientnet_lite import efficientnet_lite2

    network = efficientnet_lite2(rgb.shape[1])
    network.load_weights(LITE2_WEIGHTS if weights == IMAGENET else weights)
    return network(keras.layers.Rescaling(1 / 128, -127 / 128)(rgb), training=False)


BASES = {
    "resnet50": Base("ResNet50", 224, 160, range(1, 2), _resnet50),
    "efficientnet_lite2": Base("EfficientNet-Lite2", 260, 192, range(3), _efficientnet_lite2),
}
