"""From videos to labelled videos: the rooms that `predict_video.py` walks through."""
