"""Videos: every frame is found by its number, in any order, whatever the first time stamp and the key frames are."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avatar.capture import CaptureError
from avatar.capture.picture_files import MaskRule
from avatar.capture.video_files import Video, VideoFiles, VideoNames
from avatar.structs import Split

COUNT, HEIGHT, WIDTH = 40, 48, 64


def grey(index: int) -> int:
    """The brightness of a frame."""
    return 20 + 5 * index


def write_video(path: Path, *, start: int = 0, gap: int | None = None) -> None:
    """H.264 with frames between frames; ``start`` shifts all time stamps, ``gap`` leaves one frame out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, {"crf": "5", "g": "12", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 25)
        for index in range(COUNT):
            if index == gap:
                continue
            pixels = np.full((HEIGHT, WIDTH, 3), grey(index), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
            frame.pts = index + start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("start", [0, 7])
def test_frames_are_found_in_any_order(tmp_path: Path, start: int) -> None:
    write_video(tmp_path / "a.mp4", start=start)
    video = Video(tmp_path / "a.mp4")
    assert (video.height, video.width, video.frame_rate_hz) == (HEIGHT, WIDTH, 25.0)
    for index in [0, 1, 2, 30, 11, 12, 13, 39, 0, 23, 24, 5]:
        picture = video.picture(index)
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert abs(float(picture.mean()) - grey(index)) < 2
    video.close()


def test_frames_that_are_not_there_are_named(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", gap=20)
    video = Video(tmp_path / "a.mp4")
    for index in (20, COUNT, 10_000):
        with pytest.raises(CaptureError, match=rf"a\.mp4: has no frame {index}"):
            video.picture(index)
    assert abs(float(video.picture(21).mean()) - grey(21)) < 2


def test_damaged_videos_end_in_one_line(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.mp4", np.random.default_rng(0)
    write_video(path)
    whole = path.read_bytes()
    refused = 0
    for _ in range(50):
        data = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(max(1, len(data)), size=20):
            data[place % max(1, len(data))] = rng.integers(256) if data else 0
        path.write_bytes(data)
        try:
            Video(path).picture(17)
        except CaptureError as error:
            refused += str(error).startswith(str(path))
    assert refused > 12


def test_sources_keep_few_videos_open(tmp_path: Path) -> None:
    cameras = 11
    for camera in range(cameras):
        write_video(tmp_path / f"{camera}.mp4")
    names = VideoNames(images=[[f"{camera}.mp4"] for camera in range(cameras)], masks=[["0.mp4"]] * cameras)
    source = VideoFiles(tmp_path, names, MaskRule(above=100))
    for camera in [*range(cameras), 0]:
        assert source.size(camera) == (HEIGHT, WIDTH)
        assert abs(float(source.image(3, camera)[1].mean()) - grey(3)) < 2
    assert [source.mask(frame, 1)[1].all() for frame in (10, 30)] == [False, True]
    (tmp_path / "5.mp4").unlink()
    assert VideoFiles(tmp_path, names, MaskRule()).size(5) is None
    with pytest.raises(FileNotFoundError, match=r"5\.mp4"):
        source.check(Split(name="all", frame_ids=(0,), camera_ids=(4, 5)))
