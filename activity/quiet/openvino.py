"""OpenVINO, without reports of its use to Google Analytics."""

import sys

# OpenVINO and NNCF report where this package is found, and have no setting that only turns it off.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402

__all__ = ["ov"]
