"""The sound of a clip, put beside its labelled pictures."""

import heapq
import math
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activity.quiet.pyav import av
from activity.video.backends import Sound
from activity.video.backends.pyav import demux, open_container

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream, Packet
    from av.container import InputContainer, OutputContainer

# What browsers, phones and editors play in .mp4, and the lowest rate there, in Hz; the rest becomes
# AAC.
PLAYED = {"aac": 0, "mp3": 16_000, "opus": 0}
USUAL_RATE = 48_000  # Hz, for sound at a rate that AAC does not have
LARGEST_GAP = 0.02  # seconds too few or too many between packets, which nobody hears
AT_ONCE = {"movflags": "faststart"}  # it begins to play before all of it is loaded


def join(pieces: Path, film: Path, sound: Sound | None, begin: float, end: float) -> int:
    """Make a film of its pieces and of the clip's sound; return how many frames it has.

    `begin` and `end` are the seconds of the clip between which the pieces were made. Sound that
    cannot be read, or cannot be in such a film, is left out.
    """
    try:
        return _join(pieces, film, sound, begin, end)
    except OSError:  # as of a full disk
        raise
    except av.FFmpegError:
        return _join(pieces, film, None, begin, end)


def _join(pieces: Path, film: Path, sound: Sound | None, begin: float, end: float) -> int:
    with ExitStack() as stack:
        encoded = stack.enter_context(av.open(pieces.absolute(), "r"))
        out = stack.enter_context(av.open(film.absolute(), "w", "mp4", AT_ONCE))
        pictures = encoded.streams.video[0]
        video = out.add_stream_from_template(pictures)
        tracks: list[Iterator[Packet[Any]]] = [demux(encoded, pictures)]
        if sound:
            with suppress(av.FFmpegError, ValueError):
                clip = stack.enter_context(open_container(sound.address))
                tracks.append(_add_sound(clip, out, sound.origin + begin, sound.origin + end))
        out.start_encoding()
        frames = 0
        timed = ((packet for packet in track if packet.dts is not None) for track in tracks)
        for packet in heapq.merge(*timed, key=_seconds):
            if packet.stream is pictures:
                packet.stream = video
                frames += 1
                out.mux(packet)
            else:
                with suppress(av.FFmpegError):  # it is damaged
                    out.mux(packet)
    return frames


def _add_sound(
    clip: "InputContainer", out: "OutputContainer", begin: float, end: float
) -> Iterator["Packet[Any]"]:
    """Add a track to a film; return its packets, of the sound between two times of the clip."""
    stream = clip.streams.best("audio")
    if not isinstance(stream, av.AudioStream) or not stream.codec_context:
        raise ValueError("nothing decodes it")
    codec = stream.codec_context
    if codec.sample_rate >= PLAYED.get(codec.codec.canonical_name, math.inf):
        return _copied(clip, stream, out.add_stream_from_template(stream), begin, end)
    rates = av.Codec("aac", "w").audio_rates or ()
    rate = codec.sample_rate if codec.sample_rate in rates else USUAL_RATE
    layout = "mono" if codec.channels == 1 else "stereo"
    return _encoded(clip, stream, out.add_stream("aac", rate, layout=layout), begin, end)


def _copied(
    clip: "InputContainer", stream: "AudioStream", track: "AudioStream", begin: float, end: float
) -> Iterator["Packet[Any]"]:
    """Yield packets as they are, with their times in the film."""
    sample = av.rational.AVRational(1, stream.rate)  # the clip may count whole packets only
    shift = round(begin * stream.rate)
    last = -math.inf
    for packet in demux(clip, stream):
        packet.rescale_ts(sample)
        if packet.pts is None or packet.dts is None or packet.dts <= last:
            continue
        # One packet more, as the next one needs it to be decoded; the container hides it.
        if packet.pts + 2 * (packet.duration or 0) <= shift:
            continue
        if packet.pts >= end * stream.rate:
            break
        last = packet.dts
        packet.pts -= shift
        packet.dts -= shift
        packet.stream = track
        yield packet


def _encoded(
    clip: "InputContainer", stream: "AudioStream", track: "AudioStream", begin: float, end: float
) -> Iterator["Packet[Any]"]:
    """Yield the sound as AAC."""
    done = 0  # samples
    # Broadcasts change between stereo and more channels, and decoders give what they like.
    for _, alike in groupby(_decoded(clip, stream, end), _kind):
        with suppress(av.FFmpegError, ValueError):  # nobody knows how to mix it
            for frame in _fitted(alike, track, begin, end, done):
                done += frame.samples
                yield from track.encode(frame)
    yield from track.encode(None)


def _decoded(clip: "InputContainer", stream: "AudioStream", end: float) -> Iterator["AudioFrame"]:
    for packet in demux(clip, stream):
        if packet.pts is not None and packet.pts * packet.time_base >= end:
            break
        with suppress(av.FFmpegError):  # it is damaged
            for frame in packet.decode():
                assert isinstance(frame, av.AudioFrame)
                yield frame


def _kind(frame: "AudioFrame") -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _fitted(
    frames: Iterator["AudioFrame"], track: "AudioStream", begin: float, end: float, done: int
) -> Iterator["AudioFrame"]:
    """Yield frames of one kind as those of a track that has some samples already."""
    first = next(frames)
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_abuffer(
            sample_rate=first.sample_rate, format=first.format, layout=first.layout.name,
            time_base=first.time_base,
        ),
        graph.add("aformat", f"fltp:{track.rate}:{track.layout.name}"),
        graph.add("asettb", f"1/{track.rate}"),  # the clip may count whole packets only
        graph.add("atrim", f"{begin:.6f}:{end:.6f}"),
        graph.add("asetpts", f"PTS-{begin}/TB"),
        # Silence stands for what is missing, so that the rest stays in step.
        graph.add("aresample", f"async=1:min_hard_comp={LARGEST_GAP}:first_pts={done}"),
        graph.add("abuffersink"),
    ).configure()  # fmt: skip
    for frame in chain([first], frames, [None]):
        graph.push(frame)
        with suppress(av.BlockingIOError, av.EOFError):
            while True:
                ready = graph.pull()
                assert isinstance(ready, av.AudioFrame)
                yield ready


def _seconds(packet: "Packet[Any]") -> float:
    return float((packet.dts or 0) * packet.time_base)
