"""Every choice of a training in one place; benchmarks/README.md has what each is worth."""

from dataclasses import dataclass

from activity.cli import setting, whole_number
from activity.model_file import RESIZE_RULES
from activity.training.bases import BASES, IMAGENET


# Two lines per option read like a table.
# fmt: off
@dataclass(frozen=True)
class Settings:
    """The hyper-parameters, and what else the trained model depends on besides the images."""

    base: str = setting("resnet50", "--base", choices=BASES,
        help="network that the pictures go through: the tutorial's, or a smaller, faster and more "
        "accurate one that needs no download (default: resnet50)")
    weights: str = setting(IMAGENET, "--weights", metavar="imagenet|PATH",
        help="weights of the base, or a file of others (default: imagenet)")
    epochs: int = setting(25, "-e", "--epochs", type=whole_number(1, 10**6), metavar="N",
        help="passes over all views of the training images (default: 25)")
    views: int = setting(6, "--views", type=whole_number(0, 1000), metavar="N",
        help="augmented copies of each training image (default: 6)")
    precision: str = setting("int8", "--precision", choices=("int8", "float"),
        help="of the copy for OpenVINO: float is slower and closer to the model (default: int8)")
    resize: str = setting("crop", "--resize", choices=RESIZE_RULES,
        help="how images become square: 'squash' as in the tutorial (default: crop)")
    seed: int = setting(0, "--seed", type=whole_number(0, 2**32 - 1), metavar="N",
        help="for augmentation and head; the split never changes (default: 0)")

    # The split is the tutorial's, and never changes, so that scores can be compared.
    test_share: float = 0.25
    split_seed: int = 42

    # The head is the tutorial's.
    hidden_units: int = 512
    dropout: float = 0.5

    # Its optimizer is not: AdamW, whose rate falls to zero along half a cosine.
    learning_rate: float = 1e-3
    label_smoothing: float = 0.1  # scraped images have wrong labels, too
    # Large batches are fast, but of few images a head would take too few steps with them.
    steps_per_epoch: int = 20
    smallest_batch: int = 16
    largest_batch: int = 256

    # Confidence is calibrated by cross-validation, with heads trained for so many epochs: they tell
    # the same as after 25 (benchmarks/README.md).
    folds: int = 4
    fold_epochs: int = 8

    # The training images that the ranges of the int8 copy's activations come from.
    calibration_images: int = 150

    def batch_size(self, rows: int) -> int:
        """Return how many of `rows` features make one step of the head's training."""
        return min(self.largest_batch, max(self.smallest_batch, rows // self.steps_per_epoch))
# fmt: on
