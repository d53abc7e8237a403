"""The annotated video, checked before it stands under its name."""

import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np

from activity.errors import UserError
from activity.files import atomic_write
from activity.prediction.observation import Prediction
from activity.prediction.output import Output
from activity.prediction.outputs.sound import LONGEST, join
from activity.quiet.opencv import cv2
from activity.quiet.pyav import av
from activity.video.backends import Colour, Format
from activity.video.boxes import boxes
from activity.video.reader import Frame
from activity.video.sources import OWN_MARK, is_picture

JPEG_QUALITY, PHOTO_QUALITY = 85, 95
# x264's fastest way. A constant quantizer saves the analysis of each picture that a constant rate
# factor needs, up to a third of the time; videos are about as large as with the factor of 23.
H264 = {"preset": "ultrafast", "qp": "23", "threads": "2"}
# Until the video is whole it is written in pieces, of which a killed run loses only the last one.
PIECES = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
SECONDS_PER_PIECE = 2.0
# Colours of which nothing is known are those of standard television, as OpenCV reads them.
TELEVISION = Colour(primaries=2, transfer=2, matrix=6, full_range=False)
STANDARD_MATRICES = (2, 5, 6)  # unknown, 625 and 525 lines: one rule under three numbers
Interpolation = av.video.reformatter.Interpolation
# FFmpeg's usual conversion from BGR rounds down, too.
ROUNDED = Interpolation.BILINEAR | Interpolation.ACCURATE_RND


class MotionJpegWriter:
    """Encodes `.avi`, as the tutorial does: a row of JPEG files at a constant rate.

    All pictures get the size of the first. To keep the time, a picture stands for those that
    follow until the next one comes, and is left out where the next one comes too soon; the first
    one stands for those before it, too.
    """

    def __init__(self, path: Path, format: Format, first: Frame, begin: float) -> None:
        # An absolute path, or FFmpeg takes what is before a colon for a protocol.
        self._path, self._fps = str(path.absolute()), format.base_fps
        self._size, self._begin = first.picture.shape[1::-1], begin
        codec, encoded = cv2.VideoWriter.fourcc(*"MJPG"), (cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1)
        self._encoder = cv2.VideoWriter(
            self._path, cv2.CAP_FFMPEG, codec, self._fps, self._size, encoded
        )
        if not self._encoder.isOpened():
            raise _unwritable(self._size)
        self._last = np.zeros(0, np.uint8)
        self.written = 0

    def add(self, frame: Frame) -> None:
        """Append a frame."""
        place = round((frame.time - self._begin) * self._fps)
        # OpenCV's JPEG encoder takes less than half the time of its video encoder, FFmpeg.
        quality = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
        encoded = cv2.imencode(".jpg", _resized(frame.picture, self._size), quality)[1]
        for _ in range(self.written, place):
            self._encoder.write(self._last if self.written else encoded)
        self._last = encoded
        if self.written <= place:
            self._encoder.write(self._last)
            self.written = place + 1

    def finish(self, _: float) -> int:
        """Finish the file, so that players can open it; return how many frames it holds."""
        self._encoder.release()
        capture = cv2.VideoCapture(self._path, cv2.CAP_FFMPEG)
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))


class H264Writer:
    """Encodes `.mp4`: H.264 that plays everywhere, each frame at its own time, with the sound.

    All pictures get the size of the first, made even. Colours mean the same as in the source.
    """

    def __init__(self, path: Path, format: Format, first: Frame, begin: float) -> None:
        self._path, self._format, self._colour = path, format, format.colour or TELEVISION
        self._size = first.picture.shape[1::-1]
        self._begin = self._time = first.time
        self._late = first.time - begin
        self._length, self._next_piece, self._last = 1 / format.fps, 0.0, -1
        self.written = 0
        self._container = av.open(path.absolute(), "w", options=PIECES)
        rate = Fraction(format.fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate, options=H264)
        codec = self._stream.codec_context
        codec.width, codec.height = (side + side % 2 for side in self._size)
        codec.pix_fmt = "yuvj420p" if self._colour.full_range else "yuv420p"
        codec.time_base = format.time_base
        codec.gop_size = 2**30  # pieces begin by the clock
        codec.color_primaries, codec.color_trc = self._colour.primaries, self._colour.transfer
        codec.colorspace = self._colour.matrix
        try:
            codec.open()
        except av.FFmpegError as error:
            raise _unwritable(self._size) from error
        self._container.start_encoding()

    def add(self, frame: Frame) -> None:
        """Append a frame."""
        if self.written:
            self._length = frame.time - self._time
        self._time = frame.time
        picture = _resized(frame.picture, self._size)
        bottom, right = picture.shape[0] % 2, picture.shape[1] % 2
        if bottom or right:  # H.264 has even sides only
            picture = cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        encoded = self._converted(picture)
        if self._format.colour is not None:
            # FFmpeg's conversion to BGR, which all readers use, rounds down: by one on average.
            luma = np.frombuffer(memoryview(encoded.planes[0]), np.uint8)
            cv2.convertScaleAbs(luma, luma, beta=1)
        time = frame.time - self._begin
        encoded.time_base = self._format.time_base
        self._last = encoded.pts = max(self._last + 1, round(time / self._format.time_base))
        if time >= self._next_piece:
            encoded.pict_type = av.video.frame.PictureType.I
            self._next_piece = time + SECONDS_PER_PIECE
        self._write(encoded)
        self.written += 1

    def _converted(self, picture: np.ndarray) -> av.VideoFrame:
        """Return an (H, W, 3) uint8 BGR picture in the colours of the video."""
        if self._colour.matrix in STANDARD_MATRICES and not self._colour.full_range:
            # OpenCV knows only this one, and converts it in a third of FFmpeg's time.
            planes: np.ndarray = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
            # Without a copy PyAV mistakes the height if a quarter of it is no whole number.
            view, copy = av.VideoFrame.from_numpy_buffer, av.VideoFrame.from_ndarray
            return (view if len(picture) % 4 == 0 else copy)(planes, "yuv420p")
        return av.VideoFrame.from_numpy_buffer(picture, "bgr24").reformat(
            format=self._stream.codec_context.pix_fmt,
            dst_colorspace=5 if self._colour.matrix in STANDARD_MATRICES else self._colour.matrix,
            interpolation=ROUNDED,
        )

    def _write(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            packet.duration = min(round(self._length / self._format.time_base), LONGEST)
            self._container.mux(packet)

    def finish(self, end: float) -> int:
        """Make one whole of the pieces, with the sound; return how many frames it holds.

        The last picture stays while the sound goes on, until `end`, a time of the clip.
        """
        self._write(None)
        self._container.close()
        with self._path.open("rb") as file:
            end_of_boxes = max((box.end for box in boxes(file)), default=0)
            if end_of_boxes != file.seek(0, 2):  # FFmpeg says nothing of a disk that gets full
                raise OSError("it was cut off")
        whole = self._path.with_suffix(".new")
        try:
            origin, begin = self._format.origin, self._begin - self._late
            stretch = (origin + begin, origin + max(end, self._time + self._length))
            frames = join(self._path, whole, self._late, self._format.sound, *stretch)
            whole.replace(self._path)
        finally:
            whole.unlink(missing_ok=True)
        return frames


class PictureWriter:
    """Encodes `.jpg` or `.png`: the one frame of a photo."""

    def __init__(self, path: Path, *_: object) -> None:
        self._path, self.written = path, 0

    def add(self, frame: Frame) -> None:
        """Write the frame."""
        quality = (cv2.IMWRITE_JPEG_QUALITY, PHOTO_QUALITY)
        encoded = cv2.imencode(self._path.suffix.lower(), frame.picture, quality)[1]
        self._path.write_bytes(encoded.tobytes())
        self.written += 1

    def finish(self, _: float) -> int:
        """Return how many frames the file holds."""
        return self.written


Writer = H264Writer | MotionJpegWriter | PictureWriter
VIDEOS: dict[str, type[Writer]] = {".mp4": H264Writer, ".avi": MotionJpegWriter}
PHOTOS: dict[str, type[Writer]] = dict.fromkeys((".jpg", ".jpeg", ".png"), PictureWriter)


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return picture if picture.shape[1::-1] == size else cv2.resize(picture, size)


def _unwritable(size: tuple[int, int]) -> UserError:
    return UserError(f"no video of {size[0]}x{size[1]} pixels can be written; choose another size")


class Video(Output):
    """The annotated video, `.mp4` or `.avi`, or photo, `.jpg` or `.png`."""

    name = "output"
    help = (
        "annotated video, .mp4 (H.264, with the clip's sound) or .avi (MJPG), of a photo .jpg or "
        ".png (default, if nothing else is asked for: output/<name of the clip>.mp4 or .jpg)"
    )
    endings: ClassVar = (*VIDEOS, *PHOTOS)
    flags: ClassVar = ("-o",)
    draws = True
    _writer: Writer | None = None

    @classmethod
    def endings_of(cls, source: str) -> Sequence[str]:
        """Return those of videos or those of photos."""
        return tuple(PHOTOS if is_picture(source) else VIDEOS)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Write frames; the video stands at its path once it is whole.

        Raises `UserError` if it lacks frames in the end: OpenCV drops them without a word, for
        example when the disk is full.
        """
        with atomic_write(self.path) as self._partial:
            try:
                yield
            finally:
                end = 0.0 if self.clip.stop.wanted else self.clip.settings.end or math.inf
                found = self._writer.finish(end) if self._writer else 0
            assert self._writer  # as a clip without a frame is an error
            if found != self._writer.written:
                held = f"it holds {found} of {self._writer.written} frames"
                raise UserError(f"{self.path} was not kept: {held}; is the disk full?")
            # The mark by which folders pass the video over, in a box that players skip.
            box = b""
            if isinstance(self._writer, H264Writer):
                box = struct.pack(">I4s", 8 + len(OWN_MARK), b"free")
            elif isinstance(self._writer, MotionJpegWriter):
                box = struct.pack("<4sI", b"JUNK", len(OWN_MARK))
            with self._partial.open("ab") as file:
                file.write(box + OWN_MARK)

    def add(self, frame: Frame, _: Prediction) -> None:
        """Append a frame."""
        if self._writer is None:
            writer = (VIDEOS | PHOTOS)[self.path.suffix.lower()]
            begin = self.clip.begin(frame.time)
            self._writer = writer(self._partial, self.clip.format, frame, begin)
        self._writer.add(frame)
