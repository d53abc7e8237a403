"""Comparisons that print their tables; README.md holds what they printed."""
