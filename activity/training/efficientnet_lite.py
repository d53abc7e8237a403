"""EfficientNet-Lite2, which `keras.applications` does not have.

EfficientNet (Tan and Le 2019, arXiv:1905.11946) without what is slow on small devices or inexact
in int8: no squeeze-and-excitation, and ReLU6 in place of swish (Liu 2020, TensorFlow's blog,
"Higher accuracy on vision models with EfficientNet-Lite").
"""

from typing import NamedTuple

from activity.quiet.keras import keras

STEM_FILTERS = 32
HEAD_FILTERS = 1280


class Stage(NamedTuple):
    """Blocks of the same kind, one behind the other; the stride is that of the first."""

    repeats: int
    kernel: int
    stride: int
    expansion: int  # the channels of a block's input are multiplied by it
    filters: int


STAGES = (
    Stage(repeats=1, kernel=3, stride=1, expansion=1, filters=16),
    Stage(repeats=3, kernel=3, stride=2, expansion=6, filters=24),
    Stage(repeats=3, kernel=5, stride=2, expansion=6, filters=48),
    Stage(repeats=4, kernel=3, stride=2, expansion=6, filters=88),
    Stage(repeats=4, kernel=5, stride=1, expansion=6, filters=120),
    Stage(repeats=5, kernel=5, stride=2, expansion=6, filters=208),
    Stage(repeats=1, kernel=3, stride=1, expansion=6, filters=352),
)


def efficientnet_lite2(size: int) -> keras.Model:
    """Return the network without top, not trained: (N, size, size, 3) to maps (N, h, w, 1280).

    Its input is RGB, (x - 127) / 128 of 0..255.
    """
    layers = keras.layers
    image = keras.Input((size, size, 3))
    x = layers.Conv2D(STEM_FILTERS, 3, 2, padding="same", use_bias=False)(image)
    x = _normalized(x)
    for stage in STAGES:
        for index in range(stage.repeats):
            x = _inverted_residual(x, stage, stage.stride if index == 0 else 1)
    x = layers.Conv2D(HEAD_FILTERS, 1, use_bias=False)(x)
    return keras.Model(image, _normalized(x), name="efficientnet_lite2")


def _inverted_residual(x: keras.KerasTensor, stage: Stage, stride: int) -> keras.KerasTensor:
    """Widen, filter each channel, narrow (Sandler et al. 2018, arXiv:1801.04381)."""
    layers = keras.layers
    source, channels = x, x.shape[-1]
    if stage.expansion > 1:
        x = layers.Conv2D(channels * stage.expansion, 1, use_bias=False)(x)
        x = _normalized(x)
    x = layers.DepthwiseConv2D(stage.kernel, stride, padding="same", use_bias=False)(x)
    x = _normalized(x)
    x = layers.Conv2D(stage.filters, 1, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Add()([source, x]) if stride == 1 and channels == stage.filters else x


def _normalized(x: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.ReLU(6)(keras.layers.BatchNormalization()(x))
