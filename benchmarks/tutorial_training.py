"""The tutorial's way to train, reimplemented: the baseline of `benchmarks.training`.

    python -m benchmarks.tutorial_training --dataset DIR --weights PATH --steps 20

Every epoch runs every augmented image through the whole network, and every test image, too. Only
some steps of both are measured; the rest is extrapolated from their medians and means.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from activity.quiet.keras import keras, tf
from activity.quiet.opencv import cv2
from activity.training import dataset, layout
from activity.training.settings import Settings
from activity.training.split import split
from train import TrainingFiles

EPOCHS = 50
BATCH_SIZE = 32
INPUT_SIZE = 224  # pixels


class StepTimes(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes when each training step ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Note the time; Keras calls it."""
        self.ends.append(time.monotonic())


def build(classes: int, weights: str) -> keras.Model:
    """Return the tutorial's model: a frozen ResNet50 and its head, compiled with its SGD."""
    base = keras.applications.ResNet50(
        weights=weights, include_top=False, input_shape=(INPUT_SIZE, INPUT_SIZE, 3)
    )
    base.trainable = False
    layers = keras.layers
    outputs = layers.AveragePooling2D(pool_size=(7, 7))(base.output)
    outputs = layers.Dense(512, activation="relu")(layers.Flatten()(outputs))
    outputs = layers.Dense(classes, activation="softmax")(layers.Dropout(0.5)(outputs))
    model = keras.Model(base.input, outputs)
    optimizer = keras.optimizers.SGD(1e-4, momentum=0.9)
    model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return model


def main() -> None:
    """Measure and print the extrapolated time of the whole recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()

    started = time.monotonic()
    data = dataset.load(layout.find_annotations(args.dataset, layout.ALL), TrainingFiles().frames)
    parts = split(data, Settings())
    needed = parts.train[: BATCH_SIZE * args.steps]
    images = np.stack(
        [cv2.resize(dataset.read_picture(picture), (INPUT_SIZE, INPUT_SIZE)) for picture in needed]
    )
    one_hot = np.eye(len(data.labels))[[data.labels.index(picture.label) for picture in needed]]
    augmented = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=30,
        zoom_range=0.15,
        width_shift_range=0.2,
        height_shift_range=0.2,
        shear_range=0.15,
        horizontal_flip=True,
        fill_mode="nearest",
    )
    plain = tf.keras.preprocessing.image.ImageDataGenerator()
    model = build(len(data.labels), args.weights)
    loading = time.monotonic() - started

    times = StepTimes()
    batches = augmented.flow(images, one_hot, batch_size=BATCH_SIZE)
    model.fit(batches, steps_per_epoch=args.steps, verbose=0, callbacks=[times])
    step = statistics.median(np.diff(times.ends))

    batches = plain.flow(images, one_hot, batch_size=BATCH_SIZE)
    model.evaluate(batches, steps=1, verbose=0)  # compiles it
    started = time.monotonic()
    model.evaluate(batches, steps=args.steps // 2, verbose=0)
    test_step = (time.monotonic() - started) / (args.steps // 2)

    steps, test_steps = (-(-len(part) // BATCH_SIZE) for part in (parts.train, parts.test))
    epoch = steps * step + test_steps * test_step
    print(
        f"per training step {step:.2f} s, per test step {test_step:.2f} s, per epoch {epoch:.0f} s"
    )
    print(f"{EPOCHS} epochs take {loading + EPOCHS * epoch:.0f} s")


if __name__ == "__main__":
    main()
