"""EfficientNet-Lite2, which `keras.applications` does not have.

EfficientNet (Tan and Le 2019, arXiv:1905.11946) without what is slow on small devices or inexact
in int8: no squeeze-and-excitation, and ReLU6 in place of swish (Liu 2020, TensorFlow's blog,
"Higher accuracy on vision models with EfficientNet-Lite").
"""

from activity.quiet.keras import keras

# Of each stage the number of blocks, their kernel, the stride of the first one, what the channels
# of a block's input are multiplied by, and the filters.
STAGES = (
    (1, 3, 1, 1, 16), (3, 3, 2, 6, 24), (3, 5, 2, 6, 48), (4, 3, 2, 6, 88), (4, 5, 1, 6, 120),
    (5, 5, 2, 6, 208), (1, 3, 1, 6, 352),
)  # fmt: skip


def efficientnet_lite2(size: int) -> keras.Model:
    """Return the network without top, not trained: (N, size, size, 3) to maps (N, h, w, 1280).

    Its input is RGB, (x - 127) / 128 of 0..255.
    """
    image = keras.Input((size, size, 3))
    stem = keras.layers.Conv2D(32, 3, 2, padding="same", use_bias=False)
    x = _normalized(stem(image))
    for blocks, kernel, stride, expansion, filters in STAGES:
        for index in range(blocks):
            x = _inverted_residual(x, kernel, stride if index == 0 else 1, expansion, filters)
    x = keras.layers.Conv2D(1280, 1, use_bias=False)(x)
    return keras.Model(image, _normalized(x), name="efficientnet_lite2")


def _inverted_residual(
    x: keras.KerasTensor, kernel: int, stride: int, expansion: int, filters: int
) -> keras.KerasTensor:
    """Widen, filter each channel, narrow (Sandler et al. 2018, arXiv:1801.04381)."""
    layers = keras.layers
    source, channels = x, x.shape[-1]
    if expansion > 1:
        x = _normalized(layers.Conv2D(channels * expansion, 1, use_bias=False)(x))
    x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)(x)
    x = layers.Conv2D(filters, 1, use_bias=False)(_normalized(x))
    x = layers.BatchNormalization()(x)
    return layers.Add()([source, x]) if stride == 1 and channels == filters else x


def _normalized(x: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.ReLU(6)(keras.layers.BatchNormalization()(x))
