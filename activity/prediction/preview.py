"""The preview window, which also takes the keys that pause and end the run."""

import subprocess
import sys
import time
from typing import Self

from activity.prediction.smoothing import Prediction
from activity.quiet.opencv import cv2
from activity.video.reader import Frame
from activity.video.sources import source_title
from activity.video.stop import Stop


class Preview:
    """A window that shows frames while they are made, and asks for the end of the run.

    If `realtime`, frames are shown no faster than they were filmed. Where no window can be opened
    it says so in one line and shows nothing.
    """

    NAME = "preview"
    QUIT = (ord("q"), ord("Q"), 27)  # 27 is Esc
    PAUSE = ord(" ")
    # Larger frames are scaled down, so that the window fits on a laptop's screen.
    LARGEST = (1280, 720)

    def __init__(self, stop: Stop, realtime: bool = False) -> None:
        self._stop = stop
        self._realtime = realtime
        self._open = False
        self._possible = True
        # Without a display Qt aborts the whole process, so another one tries it first.
        self._trial = subprocess.Popen(
            [sys.executable, "-c", "import cv2; cv2.namedWindow('preview')"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._trial.wait()
        if self._open and self._is_visible():
            cv2.destroyWindow(self.NAME)

    def begin(self, source: str) -> None:
        """Announce the next clip."""
        self._title = f"{source_title(source)} - space: pause, q: quit"
        self._begun = False

    def add(self, frame: Frame, _: Prediction) -> None:
        """Show a frame, and act on the keys pressed since the last one."""
        if not self._begun:
            self._open_for(frame)
        if not self._possible:
            return
        if self._realtime and (wait := self._started + frame.time - time.monotonic()) > 0:
            self._act_on(cv2.waitKey(max(1, round(1000 * wait))))
        cv2.imshow(self.NAME, frame.picture)
        self._act_on(cv2.waitKey(1))

    def _act_on(self, key: int) -> None:
        if key == self.PAUSE:
            key = self._pause()
        if key in self.QUIT or not self._is_visible():
            self._stop.wanted = True

    def _pause(self) -> int:
        """Wait for the key that ends the pause, and return it."""
        paused = time.monotonic()
        key = -1
        while key not in (self.PAUSE, *self.QUIT) and self._is_visible() and not self._stop.wanted:
            key = cv2.waitKey(50)
        self._started += time.monotonic() - paused
        return key

    def _is_visible(self) -> bool:
        try:
            return cv2.getWindowProperty(self.NAME, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # what Qt says once its last window has been closed with the mouse
            return False

    def _open_for(self, frame: Frame) -> None:
        self._begun = True
        if self._possible and self._trial.wait() != 0:
            self._possible = False
            print("preview off: no window can be opened here (no display, or a headless OpenCV?)")
        if not self._possible:
            return
        height, width = frame.picture.shape[:2]
        scale = min(1.0, self.LARGEST[0] / width, self.LARGEST[1] / height)
        if not self._open:
            flags = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
            cv2.namedWindow(self.NAME, flags)
            self._open = True
        cv2.setWindowTitle(self.NAME, self._title)
        cv2.resizeWindow(self.NAME, round(width * scale), round(height * scale))
        self._started = time.monotonic() - frame.time
