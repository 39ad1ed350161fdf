"""Pictures of a rig with any calibration that we read and a body file of ours."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.capture import CaptureError, read_capture
from avatar.capture.body_parameters import BodyParameters, write_body
from avatar.capture.calibrated_folder import camera_name
from avatar.geometry import quats_from_matrices
from avatar.structs import Capture


@pytest.fixture
def folder(drawn: Capture, tmp_path: Path, write_pictures: Callable[..., None]) -> Path:
    """The drawing with COLMAP's model of the first picture of each camera."""
    root = tmp_path / "rig"
    write_pictures(
        root,
        lambda frame, camera: f"images/cam{camera}/{frame:06d}.jpg",
        lambda frame, camera: f"mask/cam{camera}/{frame:06d}.png",
    )
    write_body(root / "body_default.npz", BodyParameters(rig=drawn.rig, shape=drawn.shape, poses=drawn.poses))
    sensors, views = [], []
    for index, camera in enumerate(drawn.cameras):
        (fx, _, cx), (_, fy, cy), _ = camera.intrinsics_px.double().tolist()
        sensors.append(f"{index} PINHOLE {camera.width} {camera.height} {fx!r} {fy!r} {cx!r} {cy!r}")
        transform = camera.camera_from_world.double()
        numbers = [*quats_from_matrices(transform[:3, :3]).tolist(), *transform[:3, 3].tolist()]
        views += [" ".join([str(index), *map(repr, numbers), str(index), f"cam{index}/000000.jpg"]), "1 2 -1"]
    (root / "sparse" / "0").mkdir(parents=True)
    (root / "sparse" / "0" / "cameras.txt").write_text("\n".join(sensors) + "\n")
    (root / "sparse" / "0" / "images.txt").write_text("\n".join(views) + "\n")
    return root


def test_colmaps_cameras_and_our_body(folder: Path, drawn: Capture, assert_as_drawn: Callable[[Capture], None]) -> None:
    capture = read_capture(folder)
    assert_as_drawn(capture)
    assert (capture.name, capture.rig) == ("rig", drawn.rig)
    torch.testing.assert_close(capture.poses.local_quats, drawn.poses.local_quats, atol=1e-6, rtol=0)


def test_other_calibrations_do_as_well(
    folder: Path, drawn: Capture, assert_as_drawn: Callable[[Capture], None]
) -> None:
    for path in (folder / "sparse" / "0").iterdir():
        path.unlink()
    lines = []
    for index, camera in enumerate(drawn.cameras):
        intrinsics, transform = camera.intrinsics_px.double().numpy().copy(), camera.camera_from_world.double().numpy()
        intrinsics[:2, 2] -= 0.5
        lines += [f"[cam{index}]", f"matrix = {intrinsics.tolist()}", f"rotation = {transform[:3, :3].tolist()}"]
        lines += [f"translation = {transform[:3, 3].tolist()}", f"size = [{camera.width}.0, {camera.height}.0]"]
    (folder / "Calib.toml").write_text("\n".join(lines))
    assert_as_drawn(read_capture(folder))


def test_names_of_cameras() -> None:
    names = {"cam1/000000.jpg": "cam1", "images/a/b/0.png": "a/b", "cam1.jpg": "cam1", "cam1": "cam1", "c\\0.png": "c"}
    assert {picture: camera_name(picture) for picture in names} == names


@pytest.mark.parametrize("name", ["../cam1/0.jpg", "/etc/cam1/0.jpg", "cam0/000001.jpg"])
def test_unusable_names_are_refused(folder: Path, name: str) -> None:
    path = folder / "sparse" / "0" / "images.txt"
    path.write_text(path.read_text().replace("cam1/000000.jpg", name))
    with pytest.raises(CaptureError, match=r"may lead outside|two pictures of one camera"):
        read_capture(folder)


def test_damage_ends_in_one_line_or_does_no_harm(
    folder: Path, damage: Callable[[Path, Callable[[], object]], list[str]]
) -> None:
    def use() -> None:
        capture = read_capture(folder)
        for camera in range(len(capture.cameras)):
            assert np.isfinite(capture.load_frame(0, camera, True).camera.intrinsics_px.numpy()).all()

    assert len(damage(folder, use)) > 5
