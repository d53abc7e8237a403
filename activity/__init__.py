"""What the two scripts are made of: a wing for training, one for prediction, and what both need."""

__version__ = "0.15.0"
