"""The head: its training on features, and its assembly with the base into one model."""

from collections.abc import Sequence

import numpy as np

from activity.cli import Progress
from activity.quiet.keras import keras
from activity.training.augmentation import PLAIN
from activity.training.backbone import FeatureExtractor
from activity.training.dataset import Picture
from activity.training.settings import Settings


class FeatureBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of ((N, F) features, (N, classes) one-hot labels), read from the cache as needed.

    One row for each of the `views` of each picture. With a `seed`, they are shuffled each epoch.
    `targets` holds the class indices of the rows in their first order.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        pictures: Sequence[Picture],
        views: Sequence[int],
        labels: Sequence[str],
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self._cache = extractor.cache
        self._keys = [extractor.key(picture, view) for picture in pictures for view in views]
        indices = [labels.index(picture.label) for picture in pictures]
        self.targets = np.repeat(indices, len(views))
        self.features, self.classes = extractor.features, len(labels)
        self._batch_size = batch_size
        self._order = np.arange(len(self._keys))
        self._random = None if seed is None else np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._keys) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        features = self._cache.read([self._keys[row] for row in rows])
        return features, keras.utils.to_categorical(self.targets[rows], self.classes)

    def on_epoch_end(self) -> None:
        """Shuffle; Keras calls it."""
        if self._random is not None:
            self._random.shuffle(self._order)


def compute_features(
    extractor: FeatureExtractor,
    train: Sequence[Picture],
    test: Sequence[Picture],
    labels: Sequence[str],
    settings: Settings,
) -> tuple[FeatureBatches, FeatureBatches]:
    """Compute what the cache lacks, and return the features of training and test part.

    Training images have all their views, test images the plain one.
    """
    views = range(settings.views + 1)
    missing = extractor.missing(train, views) + extractor.missing(test, [PLAIN])
    total = sum(len(absent) for _, absent in missing)
    print(
        f"features: {len(train)} training images with {len(views)} views each and "
        f"{len(test)} test images, {total} to compute"
    )
    with Progress(total, "views") as progress:
        extractor.fill(missing, progress.update)
    size = settings.batch_size(len(train) * len(views))
    return (
        FeatureBatches(extractor, train, views, labels, size, settings.seed),
        FeatureBatches(extractor, test, [PLAIN], labels, size),
    )


def build_head(features: int, classes: int, settings: Settings) -> keras.Model:
    """Return the tutorial's head after its pooling: (N, features) to probabilities."""
    return keras.Sequential(
        [
            keras.Input((features,)),
            keras.layers.Dense(settings.hidden_units, activation="relu"),
            keras.layers.Dropout(settings.dropout),
            keras.layers.Dense(classes, activation="softmax"),
        ],
        name="head",
    )


def compiled_head(train: FeatureBatches, epochs: int, settings: Settings) -> keras.Model:
    """Return a new head, ready to be trained for so many epochs."""
    keras.utils.set_random_seed(settings.seed)
    head = build_head(train.features, train.classes, settings)
    schedule = keras.optimizers.schedules.CosineDecay(settings.learning_rate, epochs * len(train))
    head.compile(
        optimizer=keras.optimizers.AdamW(schedule),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=["accuracy"],
    )
    return head


def predict_with_another_head(
    extractor: FeatureExtractor,
    settings: Settings,
    train: Sequence[Picture],
    asked: Sequence[Picture],
) -> np.ndarray:
    """Train a head on some pictures; return what it says of others, (N, classes) probabilities.

    The classes are those of the former, in alphabetical order. All features have to be in the
    cache.
    """
    labels = sorted({picture.label for picture in train})
    views = range(settings.views + 1)
    size = settings.batch_size(len(train) * len(views))
    batches = FeatureBatches(extractor, train, views, labels, size, settings.seed)
    epochs = min(settings.epochs, settings.fold_epochs)
    head = compiled_head(batches, epochs, settings)
    head.fit(batches, epochs=epochs, shuffle=False, verbose=0)
    keys = [extractor.key(picture, PLAIN) for picture in asked]
    # Called, not asked to predict: TensorFlow would compile that for each of the heads, and warn.
    found = [
        keras.ops.convert_to_numpy(head(extractor.cache.read(keys[start : start + size])))
        for start in range(0, len(keys), size)
    ]
    return np.concatenate(found)


def cool(head: keras.Model, temperature: float) -> None:
    """Divide the logits of a head by a temperature, in its last layer."""
    last = head.layers[-1]
    last.set_weights([weight / temperature for weight in last.get_weights()])


def train_head(
    train: FeatureBatches, test: FeatureBatches, settings: Settings
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a head and return it with its history: four lists of one number an epoch.

    The test part is only measured after each epoch, as the tutorial does; nothing is chosen by it.
    """
    epochs = settings.epochs
    head = compiled_head(train, epochs, settings)

    def print_epoch(epoch: int, logs: dict[str, float]) -> None:
        print(
            f"epoch {epoch + 1:{len(str(epochs))}}/{epochs}"
            f"  training: loss {logs['loss']:.4f}, accuracy {logs['accuracy']:.4f}"
            f"  test: loss {logs['val_loss']:.4f}, accuracy {logs['val_accuracy']:.4f}",
            flush=True,
        )

    fitted = head.fit(
        train,
        validation_data=test,
        epochs=epochs,
        shuffle=False,  # the batches shuffle themselves
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=print_epoch)],
    )
    history = {name: [float(value) for value in values] for name, values in fitted.history.items()}
    return head, history


def assemble(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Join both into one model: RGB 0..255 (N, size, size, 3) to probabilities (N, classes)."""
    probabilities = backbone.output
    for layer in head.layers:  # not the head as a whole, whose optimizer would come with it
        probabilities = layer(probabilities)
    return keras.Model(backbone.input, probabilities, name="activity")
