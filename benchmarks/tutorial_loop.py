"""The tutorial's way to label a video, reimplemented: the baseline of `benchmarks.prediction`.

    python -m benchmarks.tutorial_loop CLIP MODEL.keras OUTPUT.avi

One `model.predict` a frame, the mean over a deque computed anew for every frame, and reading,
predicting and writing one after the other.
"""

import sys
import time
from collections import deque
from pathlib import Path

import numpy as np

from activity.model_file import load_model
from activity.quiet.opencv import cv2


def main() -> None:
    """Label the clip and print the speed, without the time that loading takes."""
    clip, path, output = sys.argv[1:]
    model = load_model(Path(path))
    model.predict(np.zeros((1, 224, 224, 3), np.float32), verbose=0)  # compiles it
    last: deque[np.ndarray] = deque(maxlen=128)
    capture = cv2.VideoCapture(clip)
    writer = None
    frames = 0
    started = time.monotonic()
    while True:
        grabbed, frame = capture.read()
        if not grabbed:
            break
        annotated = frame.copy()
        image = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), (224, 224)).astype(np.float32)
        last.append(model.predict(image[None], verbose=0)[0])
        label = int(np.array(last).mean(axis=0).argmax())
        text = f"activity: {label}"
        cv2.putText(annotated, text, (35, 50), cv2.FONT_HERSHEY_SIMPLEX, 1.25, (0, 255, 0), 5)
        if writer is None:
            size = (frame.shape[1], frame.shape[0])
            writer = cv2.VideoWriter(output, cv2.VideoWriter.fourcc(*"MJPG"), 30, size)
        writer.write(annotated)
        frames += 1
    if writer is not None:
        writer.release()
    print(f"{frames} frames, {frames / (time.monotonic() - started):.1f} frames/s")


if __name__ == "__main__":
    main()
