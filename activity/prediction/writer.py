"""Frames out: the annotated video, checked before it stands under its name."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from activity.errors import UserError
from activity.files import written_whole
from activity.prediction.smoothing import Prediction
from activity.prediction.sound import join
from activity.quiet.opencv import cv2
from activity.quiet.pyav import av
from activity.video.backends import Colour, Format
from activity.video.reader import Frame

Interpolation = av.video.reformatter.Interpolation

JPEG_QUALITY = 85
# x264's fastest way. A constant quantizer saves the analysis of each picture that a constant rate
# factor needs, up to a third of the time; films are about as large as with the factor of 23.
H264 = {"preset": "ultrafast", "qp": "23", "threads": "2"}
# Until the film is whole it is written in pieces, of which a killed run loses only the last one.
PIECES = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
SECONDS_A_PIECE = 2.0
# Colours of which nothing is known are those of standard television, as OpenCV reads them.
TELEVISION = Colour(primaries=2, transfer=2, matrix=6, full_range=False)
STANDARD_MATRICES = (2, 5, 6)  # unknown, 625 and 525 lines: one rule under three numbers
# FFmpeg's usual conversion from BGR rounds down, too.
ROUNDED = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
LONGEST = 2**31 - 1  # ticks of a frame, as .mp4 counts them


class MotionJpegWriter:
    """Encodes `.avi`, as the tutorial does: a row of JPEG files at a constant rate.

    All pictures get the size of the first. To keep the time, a picture stands for those that
    follow until the next one comes, and is left out where the next one comes too soon.
    """

    def __init__(self, path: Path, format: Format) -> None:
        self._path, self._fps = path, format.base_fps
        self._encoder: cv2.VideoWriter | None = None
        self._last = np.zeros(0, np.uint8)
        self.written = 0

    def add(self, frame: Frame, _: Prediction) -> None:
        """Append a frame."""
        picture = frame.picture
        if self._encoder is None:
            self._size = (picture.shape[1], picture.shape[0])
            self._begin = frame.time
            self._encoder = self._open()
        picture = _resized(picture, self._size)
        place = round((frame.time - self._begin) * self._fps)
        while self.written < place:
            self._write(self._last)
        # OpenCV's JPEG encoder (libjpeg-turbo) takes less than half the time of its video
        # encoder (FFmpeg).
        self._last = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]
        if self.written == place:
            self._write(self._last)

    def _write(self, encoded: np.ndarray) -> None:
        assert self._encoder is not None
        self._encoder.write(encoded)
        self.written += 1

    def _open(self) -> cv2.VideoWriter:
        fourcc = cv2.VideoWriter.fourcc(*"MJPG")
        encoded = (cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1)
        path = str(self._path.absolute())  # or FFmpeg takes what is before a colon for a protocol
        encoder = cv2.VideoWriter(path, cv2.CAP_FFMPEG, fourcc, self._fps, self._size, encoded)
        if not encoder.isOpened():
            raise _unwritable(self._path, self._size)
        return encoder

    def finish(self) -> int:
        """Finish the file, so that players can open it; return how many frames it holds."""
        if self._encoder is not None:
            self._encoder.release()
        capture = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG)
        found = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        capture.release()
        return found


class H264Writer:
    """Encodes `.mp4`: H.264 that plays everywhere, each frame at its own time, with the sound.

    All pictures get the size of the first, made even. Colours mean the same as in the source.
    """

    def __init__(self, path: Path, format: Format) -> None:
        self._path, self._format = path, format
        self._colour = format.colour or TELEVISION
        self._container: av.container.OutputContainer | None = None
        self._time = 0.0
        self.written = 0

    def add(self, frame: Frame, _: Prediction) -> None:
        """Append a frame."""
        picture = frame.picture
        if self._container is None:
            self._size = (picture.shape[1], picture.shape[0])
            self._begin, self._next_piece = frame.time, 0.0
            self._last, self._length = -1, 1 / self._format.fps
            self._open()
        else:
            self._length = frame.time - self._time
        self._time = frame.time
        encoded = self._converted(_with_even_sides(_resized(picture, self._size)))
        if self._format.colour is not None:
            # FFmpeg's conversion to BGR, which all readers use, rounds down: by one on average.
            luma = np.frombuffer(memoryview(encoded.planes[0]), np.uint8)
            cv2.convertScaleAbs(luma, luma, beta=1)
        time = frame.time - self._begin
        encoded.time_base = self._format.time_base
        self._last = encoded.pts = max(self._last + 1, round(time / self._format.time_base))
        if time >= self._next_piece:
            encoded.pict_type = av.video.frame.PictureType.I
            self._next_piece = time + SECONDS_A_PIECE
        self._write(encoded)
        self.written += 1

    def _open(self) -> None:
        container = av.open(self._path.absolute(), "w", options=PIECES)
        rate = Fraction(self._format.fps).limit_denominator(1001)
        self._stream = container.add_stream("libx264", rate, options=H264)
        codec = self._stream.codec_context
        codec.width, codec.height = (side + side % 2 for side in self._size)
        codec.pix_fmt = "yuvj420p" if self._colour.full_range else "yuv420p"
        codec.time_base = self._format.time_base
        codec.gop_size = 2**30  # pieces begin by the clock
        codec.color_primaries = self._colour.primaries
        codec.color_trc = self._colour.transfer
        codec.colorspace = self._colour.matrix
        try:
            codec.open()
        except av.FFmpegError as error:
            raise _unwritable(self._path, self._size) from error
        container.start_encoding()
        self._container = container  # where that failed, more would crash the process

    def _converted(self, picture: np.ndarray) -> av.VideoFrame:
        """Return an (H, W, 3) uint8 BGR picture in the colours of the film."""
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
        assert self._container is not None
        for packet in self._stream.encode(frame):
            packet.duration = min(round(self._length / self._format.time_base), LONGEST)
            self._container.mux(packet)

    def finish(self) -> int:
        """Make one whole of the pieces, with the sound; return how many frames it holds."""
        if self._container is None:
            return 0
        self._write(None)
        self._container.close()
        _require_whole(self._path)
        whole = self._path.with_suffix(".new")
        try:
            end = self._time + self._length
            frames = join(self._path, whole, self._format.sound, self._begin, end)
            whole.replace(self._path)
        finally:
            whole.unlink(missing_ok=True)
        return frames


Writer = MotionJpegWriter | H264Writer
WRITERS: dict[str, type[Writer]] = {".avi": MotionJpegWriter, ".mp4": H264Writer}


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return picture if picture.shape[1::-1] == size else cv2.resize(picture, size)


def _with_even_sides(picture: np.ndarray) -> np.ndarray:
    """Repeat the last row or column of a picture with an odd side, which H.264 cannot have."""
    bottom, right = picture.shape[0] % 2, picture.shape[1] % 2
    if not bottom and not right:
        return picture
    return cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE)


def _require_whole(film: Path) -> None:
    """Raise `OSError` if an .mp4 is cut off: FFmpeg says nothing if a disk gets full at the end."""
    with film.open("rb") as file:
        size, end = file.seek(0, os.SEEK_END), 0
        while end < size:
            file.seek(end)
            length, _, longer = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
            end += max(8, longer if length == 1 else length)
    if end != size:
        raise OSError("it was cut off")


def _unwritable(path: Path, size: tuple[int, int]) -> UserError:
    return UserError(f"no video of {size[0]}x{size[1]} pixels can be written to {path}")


@contextmanager
def video_writer(path: Path, format: Format) -> Iterator[Writer]:
    """Give a writer whose video, of a source of this format, stands at `path` once it is whole.

    Raises `UserError` if the file lacks frames in the end: OpenCV drops them without a word, for
    example when the disk is full.
    """
    with written_whole(path) as partial:
        writer = WRITERS[path.suffix.lower()](partial, format)
        try:
            yield writer
        finally:
            found = writer.finish()
        if found != writer.written:
            raise UserError(
                f"{path} was not kept: it holds {found} of {writer.written} frames; "
                "is the disk full?",
                path,
            )
