"""Clips of three sports, and the programs that draw them."""
