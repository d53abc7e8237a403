"""Which pictures are frames of one clip: what names say, and what looks say to that."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.training.frame_names import clip_of, clips_by_name

# How people and programs call the frame `n` of a clip.
WAYS: list[Callable[[str, int], str]] = [
    lambda clip, n: f"{clip}_{n:04d}",
    lambda clip, n: f"{clip}-{n:06d}",
    lambda clip, n: f"{clip} ({n})",
    lambda clip, n: f"{clip}.mp4_{n:04d}",
    lambda clip, n: f"{clip}.mp4-{n}",
    lambda clip, n: f"{clip}_frame{n}",
    lambda clip, n: f"{clip}-FRAME-{n:03d}",
    lambda clip, n: f"{clip}-t={n / 4:.2f}",
    lambda clip, n: f"{clip}_{n / 8:010.3f}",  # as predict_video.py --ask
    lambda clip, n: f"{clip}_{n}s",
    lambda clip, n: f"{clip}@{n / 2:.1f}s",
    lambda clip, n: f"{clip}_{n // 60:02d}m{n % 60:02d}s",
    lambda clip, n: f"{clip}_{n // 3600:02d}-{n // 60 % 60:02d}-{n % 60:02d}",
    lambda clip, n: f"{clip}_{n // 3600:02d}_{n // 60 % 60:02d}_{n % 60:02d}",
    lambda clip, n: f"{clip}.mp4_snapshot_00.{n // 60 % 60:02d}.{n % 60:02d}",
    lambda clip, n: f"{clip}_mp4-{n:04d}_jpg.rf.{2654435761 * n:016x}",
    lambda clip, n: f"frame_{n:06d}_{clip}",
    lambda clip, n: f"f{n}-{clip}",
    lambda clip, n: f"{n:06d}_{clip}",
    lambda clip, n: f"{clip}/{n:04d}",
    lambda clip, n: f"{clip}/frame_{n}",
    lambda clip, n: f"{clip}/IMG_{n}",
    lambda clip, n: f"{clip}/{clip}_{n}",
    lambda clip, n: f"{clip}/deep/{n}",
]
CLIPS = [
    "match", "derby 2", "match7", "match_540p", "GX01_60fps", "IMG_1234", "VID_20210503_123456",
    "derby 2021-05-03", "set1_seq2_3", "v_Football_g01_c02", "Zürich", "final-cut.v2",
]  # fmt: skip


@given(
    st.sampled_from(WAYS), st.lists(st.sampled_from(CLIPS), min_size=2, max_size=2, unique=True),
    st.lists(st.integers(0, 3599), min_size=2, max_size=2, unique=True),
)  # fmt: skip
def test_frames_of_one_clip_have_one_name_but_for_the_number(
    way: Callable[[str, int], str], clips: list[str], numbers: list[int]
) -> None:
    (one, other), (n, m) = clips, numbers
    found = [
        clip_of(Path("data/football", f"{way(clip, number)}.jpg"), "football")
        for clip, number in ((one, n), (one, m), (other, n))
    ]
    assert found[0] is not None
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "name",
    [
        "00000037", "37", "IMG_1234", "DSC01234", "image (12)", "Photo 3", "frame_12", "img12.5",
        "IMG_20210503_123456", "PXL_20210503_123456789", "IMG-20210503-WA0012", "football_12",
        "vlcsnap-2021-05-03-12h30m45s123", "Screenshot 2021-05-03 at 12.30.45", "Football (7)",
        "portrait", "noon",
    ],
)  # fmt: skip
def test_a_plain_counter_names_no_clip(name: str) -> None:
    assert clip_of(Path("data/football", f"{name}.jpg"), "football") is None


def looks(clips: list[str], noise: float) -> np.ndarray:
    """Return a thumbnail for each file: what its clip looks like, and so much noise."""
    random = np.random.default_rng(0)
    scenes = {clip: random.uniform(0, 255, 768) for clip in dict.fromkeys(clips)}
    seen = [scenes[clip] + random.normal(0, noise, 768) for clip in clips]
    return np.clip(seen, 0, 255).astype(np.uint8)


def found_in(names: list[str], clips: list[str], noise: float = 25) -> list[str]:
    """Return the clips that are found for files of two classes, as text, '' for none."""
    files = [(Path("data", name), name.split("/")[0]) for name in names]
    return [str(each or "") for each in clips_by_name(files, looks(clips, noise))]


def test_names_propose_and_looks_confirm() -> None:
    names = [f"a/{clip}_{n:02d}.jpg" for clip in ("derby", "match") for n in range(9)]
    clips = [name.split("_")[0] for name in names]
    expected = ["derby_*"] * 9 + ["match_*"] * 9
    assert found_in(names, clips) == expected
    # Pictures from everywhere, however they are numbered, and a class with one name for all.
    assert found_in(names, names) == [""] * 18
    assert found_in(names[:9], clips[:9]) == [""] * 9
    # Pictures of another site beside them change nothing, nor does a clip that changes much.
    others = [f"a/soccer_{n}.jpg" for n in range(60)]
    assert found_in([*names, *others], [*clips, *others]) == expected + [""] * 60
    short = [f"a/x{n}_{k}.jpg" for n in range(2) for k in range(2)]
    assert found_in([*names, *short], [*clips, *short]) == [*expected, *["x0_*"] * 2, *["x1_*"] * 2]


def test_frames_of_a_clip_may_be_of_two_classes() -> None:
    """But where they have the same names, each class numbers its own clips."""
    names = [f"{'ab'[n % 2]}/{clip}_{n:02d}.jpg" for clip in ("c1", "c2") for n in range(12)]
    names.sort()
    clips = [name[2:4] for name in names]
    assert found_in(names, clips) == [f"{clip}_*" for clip in clips]
    names = [f"{label}/{clip}/{n}.jpg" for label in "ab" for clip in "12" for n in range(9)]
    clips = [name[:3] for name in names]
    assert found_in(names, clips) == [f"data/{clip}/*" for clip in clips]
