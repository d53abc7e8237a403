"""The example clips are what the script draws."""

import numpy as np
import pytest
from conftest import ROOT

from activity.video.reader import VideoReader
from tools.example_clips.draw import CLIPS, CUTS, FRAMES, filmed
from tools.example_clips.scene import FPS, HEIGHT, WIDTH


@pytest.mark.parametrize("name", CLIPS)
def test_the_clip_is_the_drawn_one(name: str) -> None:
    scene, elsewhere = CLIPS[name]
    with VideoReader(ROOT / "example_clips" / f"{name}.mp4") as reader:
        assert reader.format.fps == FPS
        frames = [frame.picture for frame in reader]
    assert len(frames) == FRAMES
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    for number in (0, CUTS[2], FRAMES - 1):
        drawn, other = scene(number / FPS), elsewhere(number / FPS)
        if number in CUTS:
            drawn, other = other, drawn
        frame = frames[number].astype(int)
        assert np.abs(frame - filmed(drawn, number)).mean() < 4  # what the codec costs
        assert np.abs(frame - filmed(other, number)).mean() > 20
