"""The preview window, which also takes the keys that pause and end the run."""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from activity.prediction.observation import Prediction
from activity.prediction.output import Output
from activity.quiet.opencv import cv2
from activity.video.reader import Frame
from activity.video.sources import source_title

WINDOW = "preview"
QUIT = (ord("q"), ord("Q"), 27)  # 27 is Esc
PAUSE = ord(" ")
FLAGS = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
LARGEST = (1280, 720)  # pixels; larger frames are scaled down, to fit on a laptop's screen


class Preview(Output):
    """A window that shows frames while they are made, and takes the wish to end the run.

    In real time, frames are shown no faster than they were filmed. Where no window can be opened
    it says so in one line. Among several clips the window stays for the next one.
    """

    name = "preview"
    draws = True
    local = "the clips are labelled by other processes"
    _trial: ClassVar[subprocess.Popen[bytes] | None] = None
    _said: ClassVar = False  # that no window can be opened
    _begun = False

    @classmethod
    def add_options(cls, group: argparse._ArgumentGroup) -> None:
        """Add the options of the window: whether it keeps to real time, None for no window."""
        add = group.add_mutually_exclusive_group().add_argument
        add("--no-preview", dest=cls.name, action="store_const", const=None, default=False,
            help="open no window; in it space pauses, and q or Esc ends the run")  # fmt: skip
        add("--realtime", dest=cls.name, action="store_true",
            help="show frames no faster than they were filmed")  # fmt: skip

    @classmethod
    def check(cls, path: Any, source: str) -> None:
        """Begin to find out whether a window can be opened, if that is not known."""
        if Preview._trial is None:
            # Without a display Qt aborts the whole process, so another one tries it first.
            Preview._trial = subprocess.Popen(
                [sys.executable, "-c", f"import cv2; cv2.namedWindow('{WINDOW}')"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Show frames, and close the window, unless there may be another clip."""
        try:
            yield
        finally:
            is_last = self._begun and (not self.clip.several or self.clip.stop.wanted)
            if is_last and self._is_visible():
                cv2.destroyWindow(WINDOW)

    def add(self, frame: Frame, _: Prediction) -> None:
        """Show a frame, and act on the keys pressed since the last one."""
        if self._trial and self._trial.wait() != 0:
            if not Preview._said:
                why = "no window can be opened here (no display, or a headless OpenCV?)"
                print(f"preview off: {why}")
            Preview._said = True
            return
        if not self._begun:
            if not self._is_visible():
                cv2.namedWindow(WINDOW, FLAGS)
            cv2.setWindowTitle(WINDOW, f"{source_title(self.clip.source)} - space: pause, q: quit")
            size = frame.picture.shape[1::-1]
            scale = min(1.0, LARGEST[0] / size[0], LARGEST[1] / size[1])
            cv2.resizeWindow(WINDOW, *(round(side * scale) for side in size))
            self._begun, self._started = True, time.monotonic() - frame.time
        if self.path and (wait := self._started + frame.time - time.monotonic()) > 0:
            self._act_on(cv2.waitKey(max(1, round(1000 * wait))))
        cv2.imshow(WINDOW, frame.picture)
        self._act_on(cv2.waitKey(1))

    def _act_on(self, key: int) -> None:
        if key == PAUSE:
            paused, key = time.monotonic(), -1
            while key not in (PAUSE, *QUIT) and self._is_visible() and not self.clip.stop.wanted:
                key = cv2.waitKey(50)
            self._started += time.monotonic() - paused
        if key in QUIT or not self._is_visible():
            self.clip.stop.wanted = True

    def _is_visible(self) -> bool:
        try:
            return cv2.getWindowProperty(WINDOW, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # what Qt says once its last window has been closed with the mouse
            return False
