"""Frames of videos, for training and prediction."""
