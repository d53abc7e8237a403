"""From folders of images to a model: the rooms that `train.py` walks through."""
