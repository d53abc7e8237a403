"""What train.py and predict_video.py share, one module per step of the data flow."""

import os
import sys

# OpenVINO and NNCF report their use where this package is found, and work without it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
# OpenCV's and FFmpeg's own messages would say in twenty lines what one line of ours says.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# A small file can claim any size. This is enough for full-frame cameras (61 million) and most
# telephones. While it is decoded it takes 6 bytes a pixel, so 400 MB a thread; with 16 bits a
# channel 1 GB. OpenCV's own limit is 2 ** 30. It reads the variable when it is imported.
MAX_IMAGE_PIXELS = 65_000_000
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_IMAGE_PIXELS)

try:
    import cv2  # noqa: F401 (every step needs it, and it is the one that a bare machine cannot load)
except ImportError as error:
    raise SystemExit(
        f"error: OpenCV cannot be loaded ({error}); install the system's libgl1 and libglib2.0-0, "
        "or the package opencv-python-headless in place of opencv-python"
    ) from error
