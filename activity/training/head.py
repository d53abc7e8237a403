"""The head: its training on features, and its assembly with the base into one model."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from activity.cli import Progress
from activity.quiet.keras import keras
from activity.training.augmentation import PLAIN
from activity.training.backbone import FeatureExtractor
from activity.training.dataset import Picture
from activity.training.settings import Settings


class FeatureBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of ((N, F) features, (N, classes) one-hot labels), read from the cache as needed.

    One row for each of the `views` of each picture. `size` is that of a batch, by default as the
    settings have it for so many rows. With a `seed`, they are shuffled each epoch.
    """

    def __init__(
        self, extractor: FeatureExtractor, pictures: Sequence[Picture], views: Sequence[int],
        labels: Sequence[str], size: int | None = None, seed: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._cache, self.features, self.classes = extractor.cache, extractor.features, len(labels)
        self._rows = [
            (extractor.key(each, view), labels.index(each.label))
            for each in pictures for view in views
        ]  # fmt: skip
        self.size = size or extractor.settings.batch_size(len(self._rows))
        self._random = None if seed is None else np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._rows) // self.size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._rows[index * self.size : (index + 1) * self.size]
        keys, targets = zip(*rows, strict=True)
        return self._cache.read(keys), keras.utils.to_categorical(targets, self.classes)

    def on_epoch_end(self) -> None:
        """Shuffle; Keras calls it."""
        if self._random is not None:
            self._random.shuffle(self._rows)


def compute_features(
    extractor: FeatureExtractor, train: Sequence[Picture], test: Sequence[Picture],
    labels: Sequence[str],
) -> tuple[FeatureBatches, FeatureBatches]:  # fmt: skip
    """Compute the features that the cache lacks; return those of training and test part.

    Training images have all their views, test images the plain one.
    """
    views = range(extractor.settings.views + 1)
    missing = extractor.missing(train, views) + extractor.missing(test, [PLAIN])
    total = sum(len(absent) for _, absent in missing)
    print(
        f"features: {len(train)} training images with {len(views)} views each and {len(test)} test "
        f"images, {total} to compute"
    )
    with Progress(total, "views") as progress:
        extractor.fill(missing, progress.update)
    batches = FeatureBatches(extractor, train, views, labels, seed=extractor.settings.seed)
    return batches, FeatureBatches(extractor, test, [PLAIN], labels, batches.size)


def build_head(features: int, classes: int, settings: Settings) -> keras.Model:
    """Return the tutorial's head after its pooling: (N, features) to probabilities."""
    layers = (
        keras.Input((features,)),
        keras.layers.Dense(settings.hidden_units, activation="relu"),
        keras.layers.Dropout(settings.dropout),
        keras.layers.Dense(classes, activation="softmax"),
    )
    return keras.Sequential(layers, name="head")


def train_head(
    train: FeatureBatches, test: FeatureBatches | None, settings: Settings
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a head and return it with its history: lists of one number per epoch.

    The test part, if there is one, is only measured and printed after each epoch, as the tutorial
    does; nothing is chosen by it.
    """
    epochs, width = settings.epochs, len(str(settings.epochs))
    keras.utils.set_random_seed(settings.seed)
    head = build_head(train.features, train.classes, settings)
    schedule = keras.optimizers.schedules.CosineDecay(settings.learning_rate, epochs * len(train))
    head.compile(
        optimizer=keras.optimizers.AdamW(schedule),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=["accuracy"],
    )
    printing = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: print(
            f"epoch {epoch + 1:{width}}/{epochs}"
            f"  training: loss {logs['loss']:.4f}, accuracy {logs['accuracy']:.4f}"
            f"  test: loss {logs['val_loss']:.4f}, accuracy {logs['val_accuracy']:.4f}",
            flush=True,
        )
    )
    fitted = head.fit(
        train, epochs=epochs, validation_data=test, callbacks=[printing] if test else [], verbose=0,
        shuffle=False,  # the batches shuffle themselves
    )  # fmt: skip
    return head, fitted.history


def predict_with_another_head(
    extractor: FeatureExtractor, train: Sequence[Picture], others: Sequence[Picture]
) -> np.ndarray:
    """Train a head on some pictures; return its (N, classes) probabilities of others.

    The classes are those of the former, sorted. All features have to be in the cache.
    """
    settings, labels = extractor.settings, sorted({picture.label for picture in train})
    views = range(settings.views + 1)
    batches = FeatureBatches(extractor, train, views, labels, seed=settings.seed)
    epochs = min(settings.epochs, settings.fold_epochs)
    head, _ = train_head(batches, None, replace(settings, epochs=epochs))
    unseen = FeatureBatches(extractor, others, [PLAIN], labels, batches.size)
    # Called, as TensorFlow would compile a `predict` for each of the heads, and warn.
    return np.concatenate([head(unseen[index][0]).numpy() for index in range(len(unseen))])


def scale_temperature(head: keras.Model, temperature: float) -> None:
    """Divide the logits of a head by a temperature, in its last layer."""
    last = head.layers[-1]
    last.set_weights([weight / temperature for weight in last.get_weights()])


def assemble(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Join both into one model: RGB 0..255 (N, size, size, 3) to probabilities (N, classes)."""
    probabilities = backbone.output
    for layer in head.layers:  # not the head as a whole, whose optimizer would come with it
        probabilities = layer(probabilities)
    return keras.Model(backbone.input, probabilities, name="activity")
