"""The int8 copy of a trained model, for CPUs."""

import logging
import random
import warnings
from collections.abc import Iterable, Sequence

import nncf
import numpy as np
import openvino as ov

from activity.dataset import Picture
from activity.runtime import keras

CALIBRATION_PICTURES = 300


def calibration_pictures(train: Sequence[Picture], seed: int) -> list[Picture]:
    """Draw the training pictures that the ranges of the activations are measured on."""
    return random.Random(seed).sample(train, min(len(train), CALIBRATION_PICTURES))


def quantize(model: keras.Model, images: Iterable[np.ndarray]) -> ov.Model:
    """Return an OpenVINO copy of an end-to-end model with int8 weights and activations.

    It takes one image, RGB uint8 (1, height, width, 3), and gives its probabilities (1, classes).
    The ranges of the activations come from `images`, (height, width, 3) uint8. This is NNCF's
    post-training quantization with its mixed preset, for activations that are not symmetric.
    """
    with warnings.catch_warnings(action="ignore"):  # Keras, on how OpenVINO calls it
        converted = ov.convert_model(model)
    converted.reshape([1, *model.input_shape[1:]])
    preprocessor = ov.preprocess.PrePostProcessor(converted)
    preprocessor.input().tensor().set_element_type(ov.Type.u8)
    nncf.set_log_level(logging.ERROR)
    return nncf.quantize(
        preprocessor.build(),
        nncf.Dataset([image[None] for image in images]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=CALIBRATION_PICTURES,
    )
