"""NNCF, which quantizes OpenVINO's models, without what it prints about its progress."""

import logging

import activity.quiet.openvino  # noqa: F401 (NNCF reports its use, too)

# isort: split
import nncf

nncf.set_log_level(logging.ERROR)

__all__ = ["nncf"]
