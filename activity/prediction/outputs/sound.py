"""The sound of a clip, put beside its labelled pictures."""

import heapq
import math
from contextlib import ExitStack, suppress
from itertools import chain, groupby, takewhile
from operator import attrgetter
from pathlib import Path
from typing import Any

from activity.quiet.pyav import av
from activity.video.backends.pyav import Packets, decoded, demux, filtered, open_container

# What browsers, phones and editors play in .mp4, by its lowest rate in Hz; the rest becomes AAC.
PLAYED = {"aac": 0, "mp3": 16_000, "opus": 0}
USUAL_RATE = 48_000  # Hz, for sound at a rate that AAC does not have
LARGEST_GAP = 0.02  # seconds too few or too many between packets, which nobody hears
KIND = attrgetter("format.name", "layout.name", "sample_rate")  # of a frame
FOREVER = 1e9  # seconds
LONGEST = 2**31 - 1  # ticks of a frame, as .mp4 counts them
AT_ONCE = {"movflags": "faststart"}  # it begins to play before all of it is loaded


def join(
    pieces: Path, video: Path, late: float, sound: str | None, begin: float, end: float
) -> int:
    """Make a video of its pieces and of the clip's sound; return how many frames it has.

    The pictures begin `late`, in seconds; the last one stays while the sound goes on. `sound` is
    the address of the clip, of which `begin` and `end` are seconds, as its container counts. Sound
    that cannot be read, or cannot be in such a video, is left out.
    """
    try:
        with ExitStack() as stack:
            encoded = stack.enter_context(av.open(pieces.absolute(), "r"))
            out = stack.enter_context(av.open(video.absolute(), "w", "mp4", AT_ONCE))
            pictures = encoded.streams.video[0]
            stream = out.add_stream_from_template(pictures)
            tracks = [demux(encoded, pictures)]
            if sound:
                with suppress(av.FFmpegError, ValueError):
                    clip = stack.enter_context(open_container(sound))
                    tracks.append(_add_sound(clip, out, begin, end))
            out.start_encoding()
            frames, last, sound_end = 0, None, 0.0
            timed = ((packet for packet in track if packet.dts is not None) for track in tracks)
            for packet in heapq.merge(*timed, key=lambda it: float((it.dts or 0) * it.time_base)):
                if packet.stream is pictures:
                    if last:
                        out.mux(last)
                    packet.stream, last = stream, packet
                    shift = round(late / packet.time_base)
                    packet.pts, packet.dts = (packet.pts or 0) + shift, (packet.dts or 0) + shift
                    frames += 1
                    continue
                sound_end = max(sound_end, _end_of(packet))
                with suppress(av.FFmpegError):  # it is damaged
                    out.mux(packet)
            if last:
                held = round((sound_end - _end_of(last)) / last.time_base)
                last.duration = min((last.duration or 0) + max(0, held), LONGEST)
                out.mux(last)
        return frames
    except OSError:  # as of a full disk
        raise
    except av.FFmpegError:
        if sound is None:
            raise
        return join(pieces, video, late, None, begin, end)


def _end_of(packet: "av.Packet[Any]") -> float:
    return float(((packet.pts or 0) + (packet.duration or 0)) * packet.time_base)


def _add_sound(
    clip: av.container.InputContainer, out: av.container.OutputContainer, begin: float, end: float
) -> Packets:
    """Add a track to a video; return its packets, of the sound between two times of the clip."""
    stream = clip.streams.best("audio")
    if not isinstance(stream, av.AudioStream) or not stream.codec_context:
        raise ValueError("nothing decodes it")
    codec = stream.codec_context
    if codec.sample_rate >= PLAYED.get(codec.codec.canonical_name, math.inf):
        return _copied(demux(clip, stream), out.add_stream_from_template(stream), begin, end)
    rates = av.Codec("aac", "w").audio_rates or ()
    rate = codec.sample_rate if codec.sample_rate in rates else USUAL_RATE
    layout = "mono" if codec.channels == 1 else "stereo"
    return _encoded(demux(clip, stream), out.add_stream("aac", rate, layout=layout), begin, end)


def _copied(packets: Packets, track: av.AudioStream, begin: float, end: float) -> Packets:
    """Yield packets as they are, with their times in the video."""
    sample = av.rational.AVRational(1, track.rate)  # the clip may count whole packets only
    shift, last = round(begin * track.rate), -math.inf
    for packet in packets:
        packet.rescale_ts(sample)
        if packet.pts is None or packet.dts is None or packet.dts <= last:
            continue
        # One packet more, as the next one needs it to be decoded; the container hides it.
        if packet.pts + 2 * (packet.duration or 0) <= shift:
            continue
        if packet.pts >= end * track.rate:
            break
        last = packet.dts
        packet.pts -= shift
        packet.dts -= shift
        packet.stream = track
        yield packet


def _encoded(packets: Packets, track: av.AudioStream, begin: float, end: float) -> Packets:
    """Yield the sound as AAC."""
    done = 0  # samples
    # Broadcasts change between stereo and more channels, and decoders give what they like.
    until = takewhile(lambda it: it.pts is None or it.pts * it.time_base < end, packets)
    for _, alike in groupby(decoded(until), KIND):
        with suppress(av.FFmpegError, ValueError):  # nobody knows how to mix it
            first = next(alike)
            graph = av.filter.Graph()
            graph.link_nodes(
                graph.add_abuffer(
                    sample_rate=first.sample_rate, format=first.format, layout=first.layout.name,
                    time_base=first.time_base,
                ),
                graph.add("aformat", f"fltp:{track.rate}:{track.layout.name}"),
                graph.add("asettb", f"1/{track.rate}"),  # the clip may count whole packets only
                graph.add("atrim", f"{begin:.6f}:{min(end, FOREVER):.6f}"),
                graph.add("asetpts", f"PTS-{begin}/TB"),
                # Silence stands for what is missing, so that the rest stays in step.
                graph.add("aresample", f"async=1:min_hard_comp={LARGEST_GAP}:first_pts={done}"),
                graph.add("abuffersink"),
            ).configure()  # fmt: skip
            for frame in chain([first], alike, [None]):
                for fitted in filtered(graph, frame):
                    done += fitted.samples
                    yield from track.encode(fitted)
    yield from track.encode(None)
