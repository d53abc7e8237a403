"""Compare ways to label a video, end to end: speed, ratio to the tutorial's loop, and memory.

    python -m benchmarks.prediction CLIP... --models resnet50/activity.keras lite2/activity.keras

Beside each model stand its int8 copy and its lb.pickle; the first one is a ResNet50, which the
tutorial's loop takes. Each way runs as a process of its own, all in turn, several rounds; medians
are printed. Frames/s count from the first frame to the last: reading, the model, averaging, drawing
and writing. The tutorial's loop writes .avi.
"""

import argparse
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from activity.quiet.opencv import cv2
from activity.video.reader import VideoReader
from benchmarks.processes import PYTHON, interleaved, median, processor

TIMES = 10  # how many times longer the clip is on which memory must not grow


def main() -> None:
    """Run the comparison and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--models", nargs="+", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    print(f"{processor()}; median of {args.rounds} rounds\n")
    print("| clip | way | frames/s | ratio | peak memory, MB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        video, output = Path(folder, "out.mp4"), Path(folder, "out.avi")
        for clip in args.clips:
            long = Path(folder, "long.mp4")
            # In a process of its own: a peak of this one would count as one of those that it runs.
            with ProcessPoolExecutor(1) as process:
                width, height = process.submit(repeat, clip, long).result()
            loop = [PYTHON, "-m", "benchmarks.tutorial_loop", clip, args.models[0], output]
            ways: dict[str, list[object]] = {"the tutorial's loop": loop}
            for model in args.models:
                int8, name = model.with_suffix(".xml"), model.parent.name
                script = [PYTHON, "predict_video.py", "--no-preview", "--overwrite",
                          "-l", model.with_name("lb.pickle")]  # fmt: skip
                fast = [*script, "-m", int8]
                turning = [*fast, "--smoothing", "hmm", "--stride", "auto", "-o", video]
                ways |= {
                    f"{name}, Keras": [*script, "-m", model, "-i", clip, "-o", video],
                    f"{name}, int8, to .mp4": [*fast, "-i", clip, "-o", video],
                    f"{name}, int8, to .avi": [*fast, "-i", clip, "-o", output],
                    f"{name}, int8, no video": [
                        *fast, "-i", clip, "--json", Path(folder, "r.json"),
                    ],
                    f"{name}, int8, to .mp4, clip {TIMES} times as long": [
                        *fast, "-i", long, "-o", video,
                    ],
                    f"{name}, int8, hmm, stride auto, to .mp4": [*turning, "-i", clip],
                    f"{name}, int8, hmm, stride auto, to .mp4, clip {TIMES} times as long": [
                        *turning, "-i", long,
                    ],
                    f"{name}, the int8 model alone": [
                        PYTHON, "-m", "benchmarks.bare_inference", int8, 5,
                    ],
                }  # fmt: skip
            runs = interleaved(ways, args.rounds)
            baseline = median(runs["the tutorial's loop"], lambda run: run.rate)
            for way, results in runs.items():
                rate = median(results, lambda run: run.rate)
                peak = median(results, lambda run: run.peak)
                figures = f"{rate:.1f} | {rate / baseline:.1f} | {peak:.0f}"
                print(f"| {width}x{height} | {way} | {figures} |", flush=True)


def repeat(clip: Path, path: Path) -> tuple[int, int]:
    """Write a clip that shows another one `TIMES` times; return its width and height."""
    with VideoReader(clip) as reader:
        fps, size = reader.format.fps, (reader.width, reader.height)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    for _ in range(TIMES):
        with VideoReader(clip) as reader:
            for frame in reader:
                writer.write(frame.picture)
    writer.release()
    return size


if __name__ == "__main__":
    main()
