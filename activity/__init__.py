"""What the two scripts are made of: packages for training and prediction, and what both need."""

__version__ = "0.17.0"
