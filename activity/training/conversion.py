"""Copies of Keras models for OpenVINO, which runs them several times faster on CPUs."""

import random
import warnings
from collections.abc import Sequence

from activity.quiet.keras import keras, tf
from activity.quiet.nncf import nncf
from activity.quiet.openvino import ov
from activity.training.bases import BASES
from activity.training.dataset import Picture, plain_images
from activity.training.settings import Settings

# How OpenVINO 2026.4 finds out TensorFlow's version fails on Python 3.13 (its pull request 32482).
ov.frontend.tensorflow.utils.get_environment_setup = lambda _: {"tensorflow": tf.__version__}


def convert(model: keras.Model) -> ov.Model:
    """Return an OpenVINO copy: RGB uint8 (N, height, width, 3) to float32 (N, outputs)."""
    with warnings.catch_warnings(action="ignore"):  # Keras, on how OpenVINO calls it
        converted = ov.convert_model(model)
    preprocessor = ov.preprocess.PrePostProcessor(converted)
    preprocessor.input().tensor().set_element_type(ov.Type.u8)
    return preprocessor.build()


def quantize(model: ov.Model, pictures: Sequence[Picture], settings: Settings) -> ov.Model:
    """Return a copy of a base and its head with weights and activations in int8.

    The ranges of the activations are measured on a random few of the training's `pictures`. This is
    NNCF's post-training quantization with its mixed preset, for activations that are not symmetric,
    less what it costs more in accuracy than it gains in speed (benchmarks/README.md).
    """
    base = BASES[settings.base]
    count = min(len(pictures), settings.calibration_images)
    drawn = random.Random(settings.seed).sample(pictures, count)
    samples = [image[None] for image in plain_images(drawn, settings.resize, base.input_size)]
    model.reshape([1, base.input_size, base.input_size, 3])
    # The extremes over all images, not the means of each image's extremes.
    ranges = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
    return nncf.quantize(
        model, nncf.Dataset(samples), preset=nncf.QuantizationPreset.MIXED, subset_size=count,
        ignored_scope=nncf.IgnoredScope(names=_kept_in_float(model, base.float_convolutions)),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            disable_bias_correction=True, activations_range_estimator_params=ranges
        ),
    )  # fmt: skip


def _kept_in_float(model: ov.Model, float_convolutions: range) -> list[str]:
    """Name the operations whose int8 version would cost labels, and that take little time."""
    names = []
    depths: dict[str, int] = {}  # how many convolutions lead to the output of an operation
    for operation in model.get_ordered_ops():
        name, kind = operation.get_friendly_name(), operation.get_type_name()
        sources = [value.get_source_output().get_node() for value in operation.inputs()]
        depth = max((depths[source.get_friendly_name()] for source in sources), default=0)
        convolution = kind in ("Convolution", "GroupConvolution")
        depths[name] = depth + convolution
        fragile = convolution and depth in float_convolutions
        residual_sum = kind == "Add" and "Constant" not in [s.get_type_name() for s in sources]
        if fragile or residual_sum or kind in ("MatMul", "MaxPool", "ReduceMean"):
            names.append(name)
    return names
