"""Compare views, optimizers and mini-batches by cross-validation inside the training part.

    python -m benchmarks.training_choices --dataset DIR --base BASE --weights PATH

The test part is never touched. Each choice trains a head four times, each time on three quarters of
the training part, and is measured on the plain views of the last quarter.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from activity.quiet.keras import keras
from activity.training import dataset, layout
from activity.training.backbone import FeatureExtractor, build_backbone
from activity.training.bases import BASES, IMAGENET
from activity.training.feature_cache import FeatureCache
from activity.training.head import build_head
from activity.training.settings import Settings
from activity.training.split import split
from train import TrainingFiles

FOLDS = 4
BATCH_SIZE = 128

Optimizer = Callable[[int], keras.optimizers.Optimizer]  # from the number of steps


def cosine(rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Let the learning rate fall from `rate` to zero along half a cosine."""
    return keras.optimizers.schedules.CosineDecay(rate, steps)


def adamw(rate: float, decay: float = 4e-3) -> Optimizer:
    """Return a factory of AdamW with a cosine schedule."""
    return lambda steps: keras.optimizers.AdamW(cosine(rate, steps), weight_decay=decay)


def sgd(rate: float) -> Optimizer:
    """Return a factory of SGD with momentum and a cosine schedule."""
    return lambda steps: keras.optimizers.SGD(cosine(rate, steps), momentum=0.9)


def tutorial(_steps: int) -> keras.optimizers.Optimizer:
    """Make the tutorial's SGD: 1e-4, momentum 0.9, decayed by 1e-4 / epochs per step."""
    rate = keras.optimizers.schedules.InverseTimeDecay(1e-4, 1, 1e-4 / 25)
    return keras.optimizers.SGD(rate, momentum=0.9)


USUAL = adamw(1e-3)


@dataclass
class Choice:
    """One way to train the head, by default with AdamW at 1e-3."""

    name: str
    views: list[int]
    optimizer: Optimizer = USUAL
    smoothing: float = 0.0
    epochs: int = 25


VIEWS = 12
# As augmentation.view makes them: odd views are crops, even ones affine distortions.
CROPS = [*range(1, VIEWS + 1, 2)]
AFFINE = [*range(2, VIEWS + 1, 2)]
MIXED = [*range(VIEWS + 1)]
CHOICES = [
    Choice("6 + 6 mixed", MIXED),
    Choice("6 + 6 mixed, label smoothing 0.1", MIXED, smoothing=0.1),
    Choice("6 + 6 mixed, label smoothing 0.2", MIXED, smoothing=0.2),
    Choice("6 + 6 mixed, weight decay 0.1", MIXED, adamw(1e-3, 0.1)),
    Choice("6 + 6 mixed, AdamW 3e-4", MIXED, adamw(3e-4)),
    Choice("6 + 6 mixed, 10 epochs", MIXED, epochs=10),
    Choice("6 + 6 mixed, SGD 1e-2", MIXED, sgd(1e-2)),
    Choice("6 + 6 mixed, the tutorial's SGD 1e-4", MIXED, tutorial),
    Choice("no augmentation", [0]),
    Choice("6 crops", [0, *CROPS]),
    Choice("6 affine, the tutorial's", [0, *AFFINE]),
    Choice("3 + 3 mixed", [*range(7)]),
]


def main() -> None:
    """Run the comparison and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--base", choices=BASES, default=Settings.base)
    parser.add_argument("--weights", default=IMAGENET)
    parser.add_argument("--cache", type=Path, default=Path(".cache/features.sqlite"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    settings = Settings(base=args.base, seed=args.seed)
    data = dataset.load(layout.find_annotations(args.dataset, layout.ALL), TrainingFiles().frames)
    pictures = split(data, settings).train
    labels = sorted({picture.label for picture in pictures})
    truth = np.array([labels.index(picture.label) for picture in pictures])
    cache = FeatureCache(args.cache)
    extractor = FeatureExtractor(build_backbone(BASES[args.base], args.weights), cache, settings)
    missing = extractor.missing(pictures, range(VIEWS + 1))
    with tqdm(total=sum(len(views) for _, views in missing), unit="view") as progress:
        extractor.fill(missing, progress.update)
    features = np.stack(
        [
            cache.read([extractor.key(picture, view) for view in range(VIEWS + 1)])
            for picture in pictures
        ]
    )

    folds = list(
        StratifiedGroupKFold(FOLDS, shuffle=True, random_state=args.seed).split(
            truth, truth, [picture.group for picture in pictures]
        )
    )
    print(f"{len(pictures)} training images, {FOLDS} folds, seed {args.seed}")
    print("| choice | accuracy, mean of the folds | lowest, highest |\n|---|---|---|")
    for choice in CHOICES:
        accuracies = []
        for train, held_out in folds:
            keras.utils.set_random_seed(args.seed)
            head = build_head(extractor.features, len(labels), settings)
            rows = features[np.ix_(train, choice.views)].reshape(-1, features.shape[2])
            one_hot = keras.utils.to_categorical(
                np.repeat(truth[train], len(choice.views)), len(labels)
            )
            steps = choice.epochs * -(-len(rows) // BATCH_SIZE)
            loss = keras.losses.CategoricalCrossentropy(label_smoothing=choice.smoothing)
            head.compile(optimizer=choice.optimizer(steps), loss=loss)
            head.fit(rows, one_hot, batch_size=BATCH_SIZE, epochs=choice.epochs, verbose=0)
            predicted = head.predict(features[held_out, 0], verbose=0).argmax(axis=1)
            accuracies.append(float(np.mean(predicted == truth[held_out])))
        print(
            f"| {choice.name} | {np.mean(accuracies):.2%} "
            f"| {min(accuracies):.2%}, {max(accuracies):.2%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
