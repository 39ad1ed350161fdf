"""Pictures: whole files only, cropped to the person, kept in bounded memory."""

import json
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatar.capture import CaptureError, MissingFileError, PictureConfig, read_capture
from avatar.capture.picture_files import picture_size, read_image, read_mask
from avatar.capture.pictures import PictureLoader, person_box
from avatar.structs import Box, Capture


def test_pixels_are_rgb_and_whole_pictures_exact(drawn: Capture, folder: Path) -> None:
    frame, expected = read_capture(folder).load_frame(2, 0, False), drawn.load_frame(2, 0, False)
    torch.testing.assert_close(frame.image, expected.image, atol=0, rtol=0)
    assert torch.equal(frame.is_foreground, expected.is_foreground)
    assert frame.crop is None
    assert (frame.frame_id, frame.camera_id, frame.pose.frame_id, frame.camera.name) == (2, 0, 2, "Camera_B1")
    torch.testing.assert_close(frame.pose.local_quats, drawn.poses.local_quats[2])


def test_crops_hold_the_person_and_a_margin(drawn: Capture, folder: Path) -> None:
    capture = read_capture(folder, pictures=PictureConfig(margin_px=3))
    whole, frame = capture.load_frame(1, 2, False), capture.load_frame(1, 2, True)
    # The ellipse has half axes 12 and 6 about row 20 and column 21, exclusive.
    assert frame.crop == Box(top=9 - 3, left=16 - 3, bottom=32 + 3, right=27 + 3)
    assert frame.image.shape == (29, 17, 3) == (frame.camera.height, frame.camera.width, 3)
    torch.testing.assert_close(frame.image, whole.image[6:35, 13:30], atol=0, rtol=0)
    torch.testing.assert_close(
        frame.camera.intrinsics_px[:2, 2], whole.camera.intrinsics_px[:2, 2] - torch.tensor([13.0, 6.0])
    )


def test_margins_end_at_the_border_and_an_empty_mask_keeps_the_picture(folder: Path) -> None:
    capture = read_capture(folder, pictures=PictureConfig(margin_px=1000))
    assert capture.load_frame(0, 0, True).crop == Box(top=0, left=0, bottom=40, right=48)
    assert person_box(np.zeros((4, 6), bool)) == Box(top=0, left=0, bottom=4, right=6)


def test_the_background_is_black_unless_kept(folder: Path) -> None:
    picture = folder / "Camera_B1" / "000000.png"
    cv2.imwrite(str(picture), np.full((40, 48, 3), (10, 20, 30), np.uint8))
    masked = read_capture(folder).load_frame(0, 0, False)
    kept = read_capture(folder, pictures=PictureConfig(keep_background=True)).load_frame(0, 0, False)
    assert torch.equal(masked.image.any(-1), masked.is_foreground)
    torch.testing.assert_close(kept.image[0, 0], torch.tensor([30.0, 20.0, 10.0]) / 255)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[0, 13], [5, 0]], np.uint8),
        np.array([[0, 255], [255, 0]], np.uint8),
        np.array([[[0, 0, 0], [0, 0, 4]], [[9, 9, 9], [0, 0, 0]]], np.uint8),
        np.array([[[0, 0, 0, 255], [1, 1, 1, 255]], [[1, 1, 1, 0], [0, 0, 0, 0]]], np.uint8),
        np.array([[0, 256], [65535, 0]], np.uint16),
    ],
    ids=["labels", "0/255", "colours", "alpha", "16 bit"],
)
def test_masks_are_true_where_not_zero(tmp_path: Path, labels: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), labels)
    assert read_mask(tmp_path / "mask.png").tolist() == [[False, True], [True, False]]


def encoded(suffix: str, options: tuple[int, ...] = ()) -> bytes:
    """A noisy picture of 30 x 50 pixels as a file."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


JPEGS = {
    "baseline": (),
    "progressive": (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": (cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
}


@pytest.mark.parametrize("kind", JPEGS)
def test_every_kind_of_jpeg_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(".jpg", JPEGS[kind]) + b"trailing bytes")
    assert picture_size(path) == (30, 50)
    assert read_image(path).shape == (30, 50, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_pictures_cut_anywhere_are_refused(tmp_path: Path, suffix: str) -> None:
    data, path = encoded(suffix), tmp_path / f"a{suffix}"
    for length in [*range(0, len(data) - 1, 97), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(CaptureError, match=rf"a{suffix}: "):
            read_image(path)
        path.write_bytes(data[:length] + bytes(len(data) - length))
        with pytest.raises(CaptureError, match=rf"a{suffix}: "):
            read_image(path)


def test_a_thumbnails_end_is_not_the_pictures_end(tmp_path: Path) -> None:
    thumbnail, data = encoded(".jpg"), encoded(".jpg")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2) + thumbnail
    (tmp_path / "a.jpg").write_bytes(data[:2] + segment + data[2:])
    assert read_image(tmp_path / "a.jpg").shape == (30, 50, 3)
    (tmp_path / "a.jpg").write_bytes(data[:2] + segment + data[2:-20])
    with pytest.raises(CaptureError, match="truncated"):
        read_image(tmp_path / "a.jpg")


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    png = bytearray(encoded(".png"))
    png[16:24] = (65535).to_bytes(4) * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4)
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(CaptureError, match="65535 x 65535 pixels"):
        read_image(tmp_path / "a.png")


def test_other_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"GIF89a")
    with pytest.raises(CaptureError, match=r"a\.jpg: is neither JPEG nor PNG"):
        read_image(tmp_path / "a.jpg")


def test_masks_and_pictures_of_another_size_are_refused(folder: Path) -> None:
    capture = read_capture(folder)
    cv2.imwrite(str(folder / "mask" / "Camera_B1" / "000001.png"), np.zeros((20, 48), np.uint8))
    cv2.imwrite(str(folder / "Camera_B3" / "000001.png"), np.zeros((40, 24, 3), np.uint8))
    with pytest.raises(
        CaptureError, match=r"mask/Camera_B1/000001\.png: expected 40 x 48 pixels \(h x w\), got 20 x 48"
    ):
        capture.load_frame(1, 0, True)
    with pytest.raises(CaptureError, match=r"Camera_B3/000001\.png: expected 40 x 48 pixels"):
        capture.load_frame(1, 2, True)


def test_missing_files_are_named_when_asked_for(folder: Path) -> None:
    (folder / "mask" / "Camera_B1" / "000001.png").unlink()
    capture = read_capture(folder)
    capture.load_frame(0, 0, True)
    with pytest.raises(FileNotFoundError, match=r"mask/Camera_B1/000001\.png: no such file"):
        capture.load_frame(1, 0, True)
    with pytest.raises(MissingFileError, match=r"Camera_B2/000001\.jpg"):
        capture.load_frame(1, 1, True)
    with pytest.raises(MissingFileError, match=r"mask/Camera_B1/000001\.png"):
        read_capture(folder, split="train_dense")
    assert read_capture(folder, split="test_novel_view").name == "ellipse"


def test_unknown_frames_and_cameras_are_refused(folder: Path) -> None:
    capture = read_capture(folder)
    for frame_id, camera_id in (4, 0), (-1, 0), (0, 3):
        with pytest.raises(ValueError, match=r"expected a (frame|camera) from 0 to"):
            capture.load_frame(frame_id, camera_id, True)


def test_pictures_are_decoded_once_within_the_bound(folder: Path) -> None:
    one_picture = 40 * 48 * 4
    capture = read_capture(folder, pictures=PictureConfig(cache_bytes=2 * one_picture))
    loader = capture.load_frame
    assert isinstance(loader, PictureLoader)
    first = capture.load_frame(0, 0, False)
    first.image.zero_()
    (folder / "Camera_B1" / "000000.png").unlink()
    assert capture.load_frame(0, 0, False).image.any(), "kept pictures must not change with what was handed out"
    capture.load_frame(1, 0, False)
    capture.load_frame(0, 0, False)
    capture.load_frame(2, 0, False)
    assert loader.kept_bytes == 2 * one_picture
    capture.load_frame(0, 0, False)
    (folder / "Camera_B1" / "000001.png").unlink()
    with pytest.raises(FileNotFoundError):
        capture.load_frame(1, 0, False)


def test_no_memory_means_no_cache(folder: Path) -> None:
    capture = read_capture(folder, pictures=PictureConfig(cache_bytes=0))
    capture.load_frame(0, 0, True)
    assert isinstance(capture.load_frame, PictureLoader)
    assert capture.load_frame.kept_bytes == 0


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match=r"PictureConfig\.margin_px: expected zero or more, got -1"):
        PictureConfig(margin_px=-1)


def test_files_are_given_where_they_hold_the_very_pixels(folder: Path) -> None:
    whole = read_capture(folder, pictures=PictureConfig(keep_background=True)).load_frame
    assert isinstance(whole, PictureLoader)
    path = folder / "Camera_B3" / "000001.png"
    assert whole.file_of(1, 2) == path
    assert np.array_equal(read_image(path), (whole(1, 2, False).image * 255).round().byte().numpy())
    black = read_capture(folder).load_frame
    assert isinstance(black, PictureLoader)
    assert black.file_of(1, 2) is None, "the background is black in pictures, and not in the file"


def test_files_are_not_given_where_a_lens_is_undone(folder: Path) -> None:
    cameras = json.loads((folder / "cameras.json").read_text())
    cameras["Camera_B1"]["D"] = [-0.2, 0.0, 0.0, 0.0, 0.0]
    (folder / "cameras.json").write_text(json.dumps(cameras))
    loader = read_capture(folder, pictures=PictureConfig(keep_background=True)).load_frame
    assert isinstance(loader, PictureLoader)
    assert loader.file_of(0, 0) is None
    assert loader.file_of(0, 2) is not None


def test_what_is_there_is_known(folder: Path) -> None:
    loader = read_capture(folder).load_frame
    assert isinstance(loader, PictureLoader)
    assert loader.has(0, 0)
    (folder / "mask" / "Camera_B1" / "000000.png").unlink()
    assert not loader.has(0, 0)
    assert not loader.has(3, 0)
