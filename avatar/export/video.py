"""Pictures and films as files."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import av.error
import av.filter
import cv2
import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.atomic import replacing

Picture = UInt8[np.ndarray, "h w 3"] | Float[Tensor, "h w 3"]

BT709 = 1  # the code, in H.264, of HD colour: primaries, transfer and matrix alike
STUDIO_RANGE = 1


def write_video(path: Path, frames: Iterable[Picture], frames_per_second: float) -> None:
    """Write an MP4 that browsers play (H.264, yuv420p, crf 18), whole or not at all.

    Frames are sRGB, bytes or floats in [0, 1], all of one size; an odd size gets a black row or column more. Raises
    ValueError for no frames, frames of several sizes, or a rate that is not positive.
    """
    rate, (height, width), pictures = _checked(path, frames, frames_per_second)
    with replacing(path) as temporary, av.open(str(temporary), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate, {"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        coding = stream.codec_context
        coding.color_primaries = coding.color_trc = coding.colorspace = BT709
        coding.color_range = STUDIO_RANGE
        for picture in pictures:
            even = np.zeros((stream.height, stream.width, 3), np.uint8)
            even[:height, :width] = picture
            frame = av.VideoFrame.from_ndarray(even, "rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=BT709)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_gif(path: Path, frames: Iterable[Picture], frames_per_second: float) -> None:
    """Write a GIF that repeats without end, whole or not at all; its 256 colours are those that move most.

    Frames and errors are those of ``write_video``. Players count in hundredths of a second; few keep up with more than
    50 frames in one. All frames are held in memory, since one palette serves them all.
    """
    rate, (height, width), pictures = _checked(path, frames, frames_per_second)
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=1 / rate)
    split, sink = graph.add("split"), graph.add("buffersink")
    palette, painted = graph.add("palettegen", "stats_mode=diff"), graph.add("paletteuse", "dither=sierra2_4a")
    source.link_to(split)
    split.link_to(palette)
    split.link_to(painted, 1)
    palette.link_to(painted, 0, 1)
    painted.link_to(sink)
    graph.configure()
    with replacing(path) as temporary, av.open(str(temporary), "w") as container:
        stream = container.add_stream("gif", rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            graph.vpush(frame)
        graph.vpush(None)
        with suppress(av.error.EOFError):
            while True:
                container.mux(stream.encode(graph.vpull()))
        container.mux(stream.encode())


def _checked(
    path: Path, frames: Iterable[np.ndarray | Tensor], frames_per_second: float
) -> tuple[Fraction, tuple[int, int], Iterator[np.ndarray]]:
    """Rate, height and width, and the frames in 8 bits; ValueError for what is no film."""
    if not frames_per_second > 0:
        raise ValueError(f"frames_per_second: expected more than 0, got {frames_per_second}")
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise ValueError(f"{path}: expected at least one frame, got none")
    height, width = first.shape[:2]

    def of_one_size() -> Iterator[np.ndarray]:
        for index, picture in enumerate(chain([first], remaining)):
            if picture.shape[:2] != (height, width):
                raise ValueError(f"{path}: expected frames of {height} x {width}, got {picture.shape} at {index}")
            yield as_bytes(picture)

    return Fraction(frames_per_second).limit_denominator(1001), (height, width), of_one_size()


def write_png(path: Path, picture: Picture) -> None:
    """Write an sRGB picture, bytes or floats in [0, 1], as an 8-bit PNG, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", as_bytes(picture)[..., ::-1])[1].tobytes())


def as_bytes(picture: Picture) -> UInt8[np.ndarray, "h w 3"]:
    """The picture in 8 bits; floats are clamped to [0, 1] and rounded."""
    if isinstance(picture, np.ndarray):
        return picture
    return (picture.detach().clamp(0, 1) * 255).round().byte().cpu().numpy()
