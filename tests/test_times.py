"""Times are those of a player: in tables, on the page, and in the annotated video.

The oracles are Chromium, which says when it shows what, and FFmpeg's own times.
"""

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import BUNDLED, rows, run_script
from footage import Footage, drawn, frames_of
from selenium.webdriver import Chrome

from activity.video.reader import VideoReader

# When the pictures begin and the sound begins and ends, in seconds as the container counts.
LATE = {
    "late.mp4": (1.8, 0.0, 6.0), "late.mov": (0.52, 0.0, 4.0), "late.mkv": (1.8, 0.0, 6.0),
    "late.webm": (1.8, 0.0, 6.0), "sound_later.mp4": (0.0, 1.2, 5.0),
    "all_late.mkv": (5.0, 5.0, 9.0), "late.ts": (3.2, 1.4, 6.0), "late.flv": (0.8, 0.0, 4.0),
    "late.mpg": (1.6, 0.6, 5.0),
}  # fmt: skip
FRAMES, FPS = 60, 25


def write(path: Path, begin: float, sound_begin: float, sound_end: float) -> None:
    """Write a clip with sound that begins at another time."""
    video = {".webm": "libvpx", ".mpg": "mpeg2video"}.get(path.suffix, "libx264")
    audio = {".webm": "libopus", ".mpg": "mp2"}.get(path.suffix, "aac")
    with av.open(path, "w") as made:
        pictures = made.add_stream(video, FPS, {"b": "2M"} if path.suffix == ".mpg" else {})
        assert isinstance(pictures, av.VideoStream)
        pictures.width, pictures.height, pictures.pix_fmt = 80, 64, "yuv420p"
        pictures.codec_context.max_b_frames = 0
        sound = made.add_stream(audio, 48_000, layout="mono")
        assert isinstance(sound, av.AudioStream)
        packets: list[Any] = []
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(drawn(number, (64, 80)), "bgr24")
            frame.pts, frame.time_base = round(begin * FPS) + number, Fraction(1, FPS)
            packets += pictures.encode(frame)
        packets += pictures.encode(None)
        for place in range(round(sound_begin * 48_000), round(sound_end * 48_000), 1152):
            part = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), "fltp", "mono")
            part.sample_rate, part.pts, part.time_base = 48_000, place, Fraction(1, 48_000)
            packets += sound.encode(part)
        packets += sound.encode(None)
        for packet in sorted(packets, key=lambda it: it.dts * it.time_base):
            made.mux(packet)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("late")
    for name, times in LATE.items():
        write(folder / name, *times)
    Footage(begin=100).write(folder / "begins_at_100.mp4")
    with av.open(folder / "sound_later.mp4") as source, av.open(folder / "cut.mp4", "w") as made:
        # As `ffmpeg -ss -c copy`: what is before the cut is hidden by an edit list.
        for stream in source.streams:
            made.add_stream_from_template(stream)
        for packet in source.demux():
            if packet.dts is not None and packet.pts is not None:
                shift = round(Fraction(6, 10) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = made.streams[packet.stream.index]
                made.mux(packet)
    return folder


@pytest.mark.parametrize("name", LATE)
def test_times_are_ffmpeg_s_from_the_beginning_that_a_player_has(name: str, clips: Path) -> None:
    with av.open(clips / name) as container:
        assert container.start_time is not None
        is_as_it_is = name.endswith(("mp4", "mov", "mkv", "webm"))
        zero = 0 if is_as_it_is else container.start_time / av.time_base
        times = [float(frame.time) - zero for frame in container.decode(video=0)]
    for start in (0.0, times[20]):
        with VideoReader(clips / name, start) as reader:
            found = frames_of(reader)
            assert reader.loss == ""
            if is_as_it_is:  # the others guess
                assert reader.expected == pytest.approx(len(found), abs=2)
        first = 20 if start else 0
        assert [number for *_, number in found] == list(range(first, FRAMES))
        assert [time for _, time, _ in found] == pytest.approx(times[first:], abs=0.001)


SHOWN = """
const [source, times, done] = arguments, video = document.createElement("video"), shown = [];
const at = (time) => new Promise((resolve) => {
  video.requestVideoFrameCallback((_, frame) => resolve(frame.mediaTime));
  video.currentTime = time;
});
video.muted = true;
video.preload = "auto";
video.src = source;
document.body.replaceChildren(video);
video.onerror = () => done(String(video.error.message));
video.oncanplay = async () => {
  video.oncanplay = null;
  for (const time of times) shown.push(await at(time));
  done([shown, video.duration]);
};
"""


def shown(browser: Chrome, path: Path, times: list[float]) -> tuple[list[float], float]:
    """Return the times of the frames that a browser shows at times, and when the video ends."""
    page = path.with_name("empty.html")
    page.write_text("<!doctype html><body></body>")
    browser.get(page.as_uri())
    answer = browser.execute_async_script(SHOWN, path.as_uri(), times)
    browser.get("about:blank")
    assert not isinstance(answer, str), answer
    return answer[0], answer[1]


@pytest.mark.parametrize("name", [*LATE, "begins_at_100.mp4", "cut.mp4"])
def test_table_page_and_video_say_what_a_browser_shows(
    name: str, clips: Path, chromium: Chrome, tmp_path: Path
) -> None:
    outputs = {kind: tmp_path / f"made.{kind}" for kind in ("mp4", "csv", "html", "json")}
    names = zip(("--output", "--csv", "--page", "--json"), outputs.values(), strict=True)
    options = [each for pair in names for each in pair]
    done = run_script("predict_video.py", *BUNDLED, "-i", clips / name, *options, "--no-preview")
    assert (done.returncode, done.stderr) == (0, "")
    times = [float(row["time_s"]) for row in rows(outputs["csv"])]
    segments = json.loads(outputs["json"].read_text())["segments"]
    assert segments[0]["start"] == times[0]
    assert segments[-1]["end"] == pytest.approx(times[-1] + 1 / FPS, abs=0.002)
    some = times[::9]
    middles = [time + 0.5 / FPS for time in some]
    if name.endswith(("mp4", "mkv", "webm", "mov")):  # what a browser plays
        assert shown(chromium, clips / name, middles)[0] == pytest.approx(some, abs=0.002)
    begin = float(re.search(r'"begin":([\d.]+)', outputs["html"].read_text())[1])  # type: ignore[index]
    found, end = shown(chromium, outputs["mp4"], [middle - begin for middle in middles])
    assert found == pytest.approx([time - begin for time in some], abs=0.002)
    with av.open(clips / name) as source:
        assert source.duration is not None
        without_begin = 100 * (name == "begins_at_100.mp4")
        assert begin + end == pytest.approx(source.duration / av.time_base + without_begin, abs=0.1)
