"""OpenCV, silent, and with a limit to what an image may claim to be."""

import os

from activity.errors import UserError

# OpenCV's and FFmpeg's own messages would say in twenty lines what one line of ours says.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# A small file can claim any size. This is enough for full-frame cameras (61 million) and most
# phones. While it is decoded it takes 6 to 14 bytes per pixel, so up to 900 MB per thread.
# OpenCV's own limit is 2 ** 30. It reads the variable when it is imported.
MAX_IMAGE_PIXELS = 65_000_000
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_IMAGE_PIXELS)

try:
    import cv2
except ImportError as error:
    raise UserError(
        f"OpenCV cannot be loaded ({error}); install the system's libgl1 and libglib2.0-0, "
        "or the package opencv-python-headless instead of opencv-python"
    ) from error

__all__ = ["MAX_IMAGE_PIXELS", "cv2"]
