"""What footage adds to pictures: train on videos, on pictures and on both, test on other videos.

    python -m benchmarks.footage --clips DIR --dataset DIR [--base NAME] [--weights PATH]

Both folders hold a folder for each class. In each draw one video of each class is left out, in
turn, so that with as many draws as videos a class each one is. The features are computed once.
"""

import argparse
import contextlib
import io
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from activity.training import dataset, head, layout
from activity.training.backbone import FeatureExtractor, build_backbone
from activity.training.bases import BASES, IMAGENET
from activity.training.dataset import Picture
from activity.training.evaluation import by_clip
from activity.training.feature_cache import FeatureCache
from activity.training.settings import Settings
from train import LABELS, TrainingFiles


def left_out(clips: Sequence[Picture], draw: int) -> set[Path]:
    """Return the videos that a draw leaves out, one of each class."""
    videos: dict[str, list[Path]] = {}
    for picture in clips:
        of_class = videos.setdefault(picture.label, [])
        if picture.source not in of_class:
            of_class.append(picture.source)
    return {of_class[draw % len(of_class)] for of_class in videos.values()}


def main() -> None:
    """Run all draws and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--base", choices=BASES, default=Settings.base)
    parser.add_argument("--weights", default=IMAGENET)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--cache", type=Path, default=TrainingFiles.cache)
    args = parser.parse_args()

    settings = Settings(base=args.base, weights=args.weights)
    frames = TrainingFiles(cache=args.cache).frames
    clips, pictures = (
        dataset.load(layout.find_annotations(folder, LABELS), frames).pictures
        for folder in (args.clips, args.dataset)
    )
    totals: dict[str, list[int]] = {}
    print("| draw | trained on | pictures and frames | right by clip | by frame |")
    print("|---|---|---|---|---|")
    with closing(FeatureCache(args.cache)) as cache:
        base = build_backbone(BASES[args.base], args.weights)
        extractor = FeatureExtractor(base, cache, settings)
        for draw in range(args.draws):
            out = left_out(clips, draw)
            test = [picture for picture in clips if picture.source in out]
            footage = [picture for picture in clips if picture.source not in out]
            for name, train in {
                "videos": footage,
                "pictures": pictures,
                "both": [*pictures, *footage],
            }.items():
                with contextlib.redirect_stdout(io.StringIO()):
                    batches = head.compute_features(extractor, train, test, LABELS)
                    trained, _ = head.train_head(*batches, settings)
                found = by_clip(test, trained.predict(batches[1], verbose=0), LABELS)
                assert found is not None
                right = [
                    found["clips"] - len(found["wrong"]),
                    round(found["frame_accuracy"] * found["frames"]),
                ]
                counts = [*right, found["clips"], found["frames"]]
                total = totals.setdefault(name, [0, 0, 0, 0])
                totals[name] = [sum(pair) for pair in zip(total, counts, strict=True)]
                print(
                    f"| {draw + 1} | {name} | {len(train)} | {counts[0]} of {counts[2]} | "
                    f"{counts[1]} of {counts[3]} |",
                    flush=True,
                )
    for name, (videos, right_frames, all_videos, all_frames) in totals.items():
        print(
            f"| all | {name} | | {videos} of {all_videos}, {videos / all_videos:.0%} | "
            f"{right_frames} of {all_frames}, {right_frames / all_frames:.1%} |"
        )


if __name__ == "__main__":
    main()
