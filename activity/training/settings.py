"""Every choice of a training in one place; benchmarks/README.md has what each is worth."""

from dataclasses import dataclass

from activity.training.bases import IMAGENET


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters, and what else the trained model depends on besides the images."""

    # The split is the tutorial's, and never changes, so that scores can be compared.
    test_share: float = 0.25
    split_seed: int = 42

    # The base, and what it sees: each training image once as it is and in so many random views.
    base: str = "resnet50"  # one of bases.BASES
    weights: str = IMAGENET  # or the path of a file
    resize: str = "crop"  # or "squash", as the tutorial does: model_file.RESIZE_RULES
    views: int = 6

    # The head is the tutorial's.
    hidden_units: int = 512
    dropout: float = 0.5

    # Its optimizer is not: AdamW, whose rate falls to zero along half a cosine.
    epochs: int = 25
    learning_rate: float = 1e-3
    label_smoothing: float = 0.1  # scraped images have wrong labels, too
    # Large batches are fast, but of few images a head would take too few steps with them.
    steps_an_epoch: int = 20
    smallest_batch: int = 16
    largest_batch: int = 256

    # How sure the model may be is found out by cross-validation, with heads trained for so many
    # epochs: they tell the same as after 25 (benchmarks/README.md).
    folds: int = 4
    fold_epochs: int = 8
    # The share of held-out pictures that would be taken for unknown, and the most classes that are
    # left out to see what that is worth: each takes a head of its own.
    refused_share: float = 0.05
    most_left_out: int = 8

    # The copy for OpenVINO, and the training images that the ranges of its activations come from.
    precision: str = "int8"  # or "float"
    calibration_images: int = 150

    seed: int = 0  # of views, head, folds and calibration of the copy

    def batch_size(self, rows: int) -> int:
        """Return how many of `rows` features make one step of the head's training."""
        return min(self.largest_batch, max(self.smallest_batch, rows // self.steps_an_epoch))
