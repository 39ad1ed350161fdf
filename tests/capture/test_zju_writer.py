"""What is written as ZJU-MoCap is published: read by the set's own conventions, and to the bit by our reader."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatar.capture import CaptureError, PictureConfig, SmplPoses, read_capture, write_zju_mocap
from avatar.capture.easymocap import read_easymocap
from avatar.capture.zju_writer import write_npy_dict, write_params
from avatar.geometry import project, transform_points
from avatar.structs import Capture

POINTS = np.array([[0.1, -0.2, 0.9], [0.0, 0.3, 1.4], [0.0, 0.0, 0.2]])


@pytest.fixture
def folder(drawn: Capture, tmp_path: Path) -> Path:
    """The drawn capture, whose vertices are three points that rise."""
    capture = replace(drawn, cameras=tuple(replace(camera, name=f"cam {camera.name}") for camera in drawn.cameras))

    def load_frame(frame: int, camera: int, cropped: bool):
        found = drawn.load_frame(frame, camera, cropped)
        return replace(found, camera=capture.cameras[camera])

    capture = replace(capture, load_frame=load_frame)
    write_zju_mocap(capture, tmp_path / "ellipse", vertices_world=lambda frame: POINTS + 0.1 * frame)
    return tmp_path / "ellipse"


def test_it_comes_back_to_the_bit(drawn: Capture, folder: Path) -> None:
    capture = read_capture(folder, pictures=PictureConfig(keep_background=True))
    assert (capture.name, capture.frame_rate_hz, capture.rig) == (drawn.name, drawn.frame_rate_hz, drawn.rig)
    assert dict(capture.splits) == dict(drawn.splits)
    for camera, expected in zip(capture.cameras, drawn.cameras, strict=True):
        assert camera.name == f"cam {expected.name}"
        assert (camera.height, camera.width) == (expected.height, expected.width)
        assert torch.equal(camera.intrinsics_px, expected.intrinsics_px)
        assert torch.equal(camera.camera_from_world, expected.camera_from_world)
    assert torch.equal(capture.poses.local_quats, drawn.poses.local_quats)
    assert torch.equal(capture.poses.root_position_world, drawn.poses.root_position_world)
    assert torch.equal(capture.shape.values, drawn.shape.values)
    for pair in ((frame, camera) for frame in range(4) for camera in range(3)):
        found, wanted = capture.load_frame(*pair, False), drawn.load_frame(*pair, False)
        assert torch.equal(found.is_foreground, wanted.is_foreground)
        assert torch.equal((found.image * 255).round(), (wanted.image * 255).round())


def test_other_programs_read_it_by_the_sets_conventions(drawn: Capture, folder: Path) -> None:
    """``annots.npy`` by NumPy, millimetres, integer pixel centres, and OpenCV's projection."""
    annots = np.load(folder / "annots.npy", allow_pickle=True).item()
    cams = annots["cams"]
    assert sorted(cams) == ["D", "K", "R", "T"]
    assert len(annots["ims"]) == 4
    for index, camera in enumerate(drawn.cameras):
        k, d, r, t = (np.array(cams[key][index]) for key in "KDRT")
        assert (k.shape, d.shape, r.shape, t.shape) == ((3, 3), (5, 1), (3, 3), (3, 1))
        assert np.array_equal(d, np.zeros((5, 1)))
        assert np.linalg.det(r) == pytest.approx(1, abs=1e-6)
        vertices = np.load(folder / "new_vertices" / "2.npy")
        assert vertices.dtype == np.float32
        np.testing.assert_allclose(vertices[:, 2], -(POINTS[:, 2] + 0.2), atol=1e-6)
        seen = cv2.projectPoints(vertices.astype(np.float64), cv2.Rodrigues(r)[0], t / 1000, k, d)[0].reshape(-1, 2)
        points = torch.from_numpy(POINTS + 0.2).float()
        wanted, _ = project(transform_points(camera.camera_from_world, points), camera.intrinsics_px)
        np.testing.assert_allclose(seen + 0.5, wanted.numpy(), atol=1e-3)
        path = annots["ims"][2]["ims"][index]
        assert path == f"Camera_B{index + 1}/000002.png"
        frame = drawn.load_frame(2, index, False)
        image = cv2.imread(str(folder / path))
        assert image is not None
        assert np.array_equal(image[..., ::-1], (frame.image * 255).round().byte().numpy())
        for masks, label in ("mask", 255), ("mask_cihp", 5):
            mask = cv2.imread(str(folder / masks / path), cv2.IMREAD_UNCHANGED)
            assert mask is not None
            assert mask.dtype == np.uint8
            assert np.array_equal(mask, label * frame.is_foreground.numpy().astype(np.uint8))


def test_easymocap_reads_the_same_cameras(folder: Path) -> None:
    cams = np.load(folder / "annots.npy", allow_pickle=True).item()["cams"]
    intri, extri = (cv2.FileStorage(str(folder / name), cv2.FILE_STORAGE_READ) for name in ("intri.yml", "extri.yml"))
    names = intri.getNode("names")
    assert [names.at(index).string() for index in range(names.size())] == ["Camera_B1", "Camera_B2", "Camera_B3"]
    for index, read in enumerate(read_easymocap(folder)):
        assert np.array_equal(intri.getNode(f"K_{read.name}").mat(), cams["K"][index])
        assert np.array_equal(extri.getNode(f"Rot_{read.name}").mat(), cams["R"][index])
        assert extri.getNode(f"R_{read.name}").mat().shape == (3, 1)
        np.testing.assert_allclose(1000 * extri.getNode(f"T_{read.name}").mat(), cams["T"][index], rtol=1e-12)
        assert (intri.getNode(f"H_{read.name}").real(), intri.getNode(f"W_{read.name}").real()) == (40, 48)
        assert read.size == (40, 48)
        np.testing.assert_allclose(read.camera_from_world[:3, :3], cams["R"][index], atol=1e-6)


def test_tables_name_nothing_that_an_older_numpy_lacks(folder: Path) -> None:
    data = (folder / "annots.npy").read_bytes()
    assert b"numpy._core" not in data
    assert data.startswith(b"\x93NUMPY\x01\x00")
    assert data[128:130] == b"\x80\x02", "protocol 2"


def test_params_have_the_sets_form(tmp_path: Path) -> None:
    turns = np.random.default_rng(0).normal(size=(2, 24, 3))
    smpl = SmplPoses(
        rig="smpl_neutral",
        betas=np.array([0.5, -1.0]),
        turns=turns,
        offsets=np.array([[1.0, 2, 3], [4, 5, 6]]),
        placement="about_origin",
    )
    write_params(tmp_path / "new_params", smpl)
    read = np.load(tmp_path / "new_params" / "1.npy", allow_pickle=True).item()
    assert {key: value.shape for key, value in read.items()} == {
        "poses": (1, 72),
        "Rh": (1, 3),
        "Th": (1, 3),
        "shapes": (1, 10),
    }
    assert np.array_equal(read["Rh"][0], turns[1, 0])
    assert np.array_equal(read["poses"][0], [0, 0, 0, *turns[1, 1:].ravel()])
    assert read["Th"][0].tolist() == [4, 5, 6]
    assert read["shapes"][0].tolist() == [0.5, -1.0] + 8 * [0.0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rig": "smplx_neutral"}, "expected smpl_neutral placed about the origin, got smplx_neutral"),
        ({"placement": "about_pelvis"}, "got smpl_neutral, about_pelvis"),
        ({"betas": np.ones(12)}, "expected at most 10 shape parameters, got 12"),
    ],
)
def test_bodies_that_the_set_cannot_have_are_refused(
    tmp_path: Path, changes: dict[str, np.ndarray | str], problem: str
) -> None:
    smpl = SmplPoses(
        rig="smpl_neutral",
        betas=np.zeros(10),
        turns=np.zeros((1, 24, 3)),
        offsets=np.zeros((1, 3)),
        placement="about_origin",
    )
    with pytest.raises(ValueError, match=problem):
        write_params(tmp_path / "new_params", replace(smpl, **changes))


def test_a_failure_leaves_nothing(drawn: Capture, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_zju_mocap(drawn, tmp_path / "new", vertices_world=lambda _: POINTS, on_picture=interrupt)
    assert not list(tmp_path.iterdir())


def test_up_and_names_are_checked(folder: Path) -> None:
    path = folder / "splits.json"
    whole = path.read_text()
    for old, new, problem in (
        ('"up": "-z"', '"up": "y"', r"splits\.json: up: expected 'z' or '-z', got 'y'"),
        ('"cam Camera_B1", ', "", r"splits\.json: cameras: expected 3 entries, got 2"),
        ('"cam Camera_B1", ', '"cam Camera_B2", ', r"splits\.json: cameras: a name is listed twice"),
    ):
        path.write_text(whole.replace(old, new, 1))
        with pytest.raises(CaptureError, match=problem):
            read_capture(folder)


def test_the_table_is_a_plain_dictionary(tmp_path: Path) -> None:
    write_npy_dict(tmp_path / "a.npy", {"text": "é", "list": [1, 2.5], "array": np.arange(3.0)})
    read = np.load(tmp_path / "a.npy", allow_pickle=True).item()
    assert (read["text"], read["list"], read["array"].tolist()) == ("é", [1, 2.5], [0, 1, 2])


def test_damaged_files_are_refused_by_name(
    folder: Path, damage: Callable[[Path, Callable[[], object]], list[str]]
) -> None:
    def use() -> None:
        capture = read_capture(folder)
        for camera in range(3):
            capture.load_frame(1, camera, True)

    assert damage(folder, use)
