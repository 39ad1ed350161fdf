"""Frames of small videos that are written here."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avatar.prepare.video import VideoConfig, VideoFrame, read_video, synchronised_frames


def write(path: Path, times_ms: Sequence[int], height: int = 48, width: int = 64) -> None:
    """Frame i is grey ``10 i``, with a white patch at the top left."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 30, {"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for i, time_ms in enumerate(times_ms):
            picture = np.full((height, width, 3), 10 * i, np.uint8)
            picture[:16, :16] = 255
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def grey(frame: VideoFrame | None) -> int | None:
    return None if frame is None else round(frame.picture[-4:, -4:].mean() / 10)


def test_frames_come_in_order_with_their_times(tmp_path: Path) -> None:
    """Of a varying rate, beginning late."""
    write(tmp_path / "a.mp4", [500, 533, 567, 700, 733])
    frames = list(read_video(tmp_path / "a.mp4"))
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [grey(frame) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.033, 0.067, 0.2, 0.233], abs=2e-3)


def test_a_stream_without_times_goes_by_its_rate(tmp_path: Path) -> None:
    write(tmp_path / "a.h264", [0, 40, 80, 120])
    frames = list(read_video(tmp_path / "a.h264"))
    assert [grey(frame) for frame in frames] == [0, 1, 2, 3]
    steps = np.diff([frame.time_s for frame in frames])
    assert (steps > 0).all()
    assert np.ptp(steps) < 1e-6


@pytest.mark.parametrize(
    ("matrix", "shape", "corner"),
    [
        ((0, 1, -1, 0), (64, 48), (slice(0, 8), slice(40, 48))),  # clockwise
        ((0, -1, 1, 0), (64, 48), (slice(56, 64), slice(0, 8))),  # counter-clockwise
        ((-1, 0, 0, -1), (48, 64), (slice(40, 48), slice(56, 64))),
    ],
)
def test_pictures_are_turned_as_the_file_says(tmp_path: Path, matrix, shape, corner) -> None:
    """The rotation is written into the track's header by hand, as cameras held upright write it."""
    path = tmp_path / "a.mp4"
    write(path, [0, 33])
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    a, b, c, d = (number << 16 for number in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    frame = next(read_video(path))
    assert frame.picture.shape == (*shape, 3)
    assert frame.picture[corner].min() > 240
    assert (frame.picture > 128).all(axis=-1).sum() < 400


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.mp4: no such video"):
        next(read_video(tmp_path / "a.mp4"))
    (tmp_path / "b.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(ValueError, match=r"b\.mp4: cannot be decoded as a video .*copy it again"):
        next(read_video(tmp_path / "b.mp4"))
    write(tmp_path / "c.mp4", [0, 33, 67, 100])
    (tmp_path / "d.mp4").write_bytes((tmp_path / "c.mp4").read_bytes()[:700])
    with pytest.raises(ValueError, match=r"d\.mp4: "):
        list(read_video(tmp_path / "d.mp4"))
    with av.open(str(tmp_path / "e.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", 8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(ValueError, match=r"e\.wav: holds no video"):
        next(read_video(tmp_path / "e.wav"))


def test_limits_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", [0, 33, 67])
    with pytest.raises(ValueError, match=r"a\.mp4: expected at most 2 frames, got more"):
        list(read_video(tmp_path / "a.mp4", VideoConfig(max_frames=2)))
    with pytest.raises(ValueError, match=r"a\.mp4: has 48 x 64 pixels; from 1 to 1000 are read"):
        next(read_video(tmp_path / "a.mp4", VideoConfig(max_pixels=1000)))
    with pytest.raises(ValueError, match=r"VideoConfig\.max_frames: expected more than 0"):
        VideoConfig(max_frames=0)


def clock(times_s: Sequence[float] | np.ndarray) -> list[VideoFrame]:
    """Frames whose pictures say their number."""
    return [
        VideoFrame(index=i, time_s=float(time), picture=np.full((4, 4, 3), i, np.uint8))
        for i, time in enumerate(times_s)
    ]


def indices(rows) -> list[list[int | None]]:
    return [[None if frame is None else frame.index for frame in row] for row in rows]


def test_videos_side_by_side() -> None:
    """Thirty and sixty frames a second, the second video begins 0.1 s later and ends first."""
    thirty, sixty = clock(np.arange(30) / 30), clock(np.arange(24) / 60)
    rows = indices(synchronised_frames([thirty, sixty], np.array([0.0, 0.1]), 30.0))
    assert rows == [[3 + i, 2 * i] for i in range(12)]


def test_gaps_stay_gaps() -> None:
    whole, torn = clock(np.arange(12) / 30), clock(np.r_[0:4, 8:12] / 30)
    rows = indices(synchronised_frames([whole, torn], np.zeros(2), 30.0))
    assert [row[0] for row in rows] == list(range(12))
    assert [row[1] for row in rows] == [0, 1, 2, 3, 3, None, None, 4, 4, 5, 6, 7]


def test_moments_between_frames_take_the_nearest() -> None:
    rows = indices(synchronised_frames([clock(np.arange(10) / 10)], np.zeros(1), 4.0))
    assert rows == [[0], [2], [5], [7]] or rows == [[0], [3], [5], [8]] or rows == [[0], [2], [5], [8]]
    assert indices(synchronised_frames([clock([0.0])], np.zeros(1), 30.0)) == [[0]]
