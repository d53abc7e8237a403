"""What train.py and predict_video.py share, one module per step of the data flow."""

import os
import sys

# OpenVINO and NNCF report their use where this package is found, and work without it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
# FFmpeg's own messages would say in twenty lines what one line of ours says.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# A file of a few kB can claim to be a picture of gigabytes. These are 400 MB, enough for the 108
# megapixels of a phone; OpenCV's own limit is 3 GB.
MAX_PIXELS = 2**27
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)

try:
    import cv2  # noqa: F401 (every step needs it, and it is the one that a bare machine cannot load)
except ImportError as error:
    raise SystemExit(
        f"error: OpenCV cannot be loaded ({error}); install the system's libgl1 and libglib2.0-0, "
        "or the package opencv-python-headless in place of opencv-python"
    ) from error
