"""Films that decode to the pictures they were made of."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from avatar.export import write_gif, write_png, write_video


def film(count: int, height: int, width: int) -> list[np.ndarray]:
    """A smooth picture with saturated patches that move."""
    rows, columns = np.mgrid[:height, :width]
    frames = []
    for i in range(count):
        picture = np.stack([rows * 2, columns * 2, rows + columns], axis=-1) % 256
        picture[10:30, 10 + 4 * i : 30 + 4 * i] = (220, 30, 40)
        frames.append(picture.astype(np.uint8))
    return frames


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_film_comes_back(tmp_path: Path) -> None:
    frames = film(6, 96, 128)
    write_video(tmp_path / "a.mp4", iter(frames), 12.5)
    read = decoded(tmp_path / "a.mp4")
    assert len(read) == 6
    patch = read[0][14:26, 14:26].astype(float).mean((0, 1))
    assert patch == pytest.approx([220, 30, 40], abs=4)  # the colour matrix is the one that players assume
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate or 0) == 12.5
        assert stream.codec_context.colorspace == 1


def test_tensors_and_odd_sizes(tmp_path: Path) -> None:
    frames = [torch.from_numpy(f).float() / 255 for f in film(2, 95, 127)]
    write_video(tmp_path / "a.mp4", frames, 30.0)
    assert decoded(tmp_path / "a.mp4")[0].shape == (96, 128, 3)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        write_video(tmp_path / "a.mp4", [], 30.0)
    with pytest.raises(ValueError, match="frames of 96 x 128, got"):
        write_video(tmp_path / "a.mp4", [*film(1, 96, 128), *film(1, 64, 64)], 30.0)
    with pytest.raises(ValueError, match="more than 0"):
        write_video(tmp_path / "a.mp4", film(1, 96, 128), 0.0)
    assert not list(tmp_path.iterdir())


def test_gif_comes_back(tmp_path: Path) -> None:
    frames = film(6, 95, 127)
    write_gif(tmp_path / "a.gif", iter(frames), 12.5)
    read = decoded(tmp_path / "a.gif")
    assert len(read) == 6
    assert read[0].shape == (95, 127, 3)
    assert read[5][14:26, 34:46].astype(float).mean((0, 1)) == pytest.approx([220, 30, 40], abs=12)
    with av.open(str(tmp_path / "a.gif")) as container:
        times = [float(frame.time or 0) for frame in container.decode(video=0)]
    assert times == pytest.approx([0.08 * i for i in range(6)], abs=0.005)
    with pytest.raises(ValueError, match="at least one frame"):
        write_gif(tmp_path / "b.gif", [], 30.0)
    assert not (tmp_path / "b.gif").exists()


def test_png_is_exact(tmp_path: Path) -> None:
    picture = film(1, 20, 40)[0]
    write_png(tmp_path / "a.png", picture)
    write_png(tmp_path / "b.png", torch.from_numpy(picture).float() / 255)
    for name in ("a.png", "b.png"):
        read = cv2.imread(str(tmp_path / name))
        assert read is not None
        assert np.array_equal(read[..., ::-1], picture)
