"""Camera files of other programs, each written here as that program writes it: cameras come back exactly."""

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatar.capture import CaptureError
from avatar.capture.calibration import Calibration
from avatar.capture.camera_files import read_calibrations
from avatar.geometry import axis_angles_from_matrices, quats_from_matrices

OPENGL = np.diag([1.0, -1.0, -1.0])


def centre_intrinsics(camera: Calibration) -> np.ndarray:
    """With pixel centres at integers, as OpenCV has them."""
    return camera.intrinsics_px - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])


def rotation_vector(camera: Calibration) -> np.ndarray:
    """Rodrigues' vector, by OpenCV."""
    return cv2.Rodrigues(camera.camera_from_world[:3, :3])[0]


def write_easymocap(cameras: Sequence[Calibration], folder: Path) -> Path:
    """By ``cv2.FileStorage``, as EasyMocap does; names are quoted, and ``none`` stands between them."""
    intri, extri = (cv2.FileStorage(str(folder / f"{name}.yml"), cv2.FILE_STORAGE_WRITE) for name in ("intri", "extri"))
    for storage in intri, extri:
        storage.startWriteStruct("names", cv2.FileNode_SEQ)
        for camera in cameras:
            storage.write("", camera.name)
            storage.write("", "none")
        storage.endWriteStruct()
    for camera in cameras:
        assert camera.size is not None
        intri.write(f"K_{camera.name}", centre_intrinsics(camera))
        intri.write(f"dist_{camera.name}", camera.distortion[None])
        intri.write(f"H_{camera.name}", camera.size[0])
        intri.write(f"W_{camera.name}", float(camera.size[1]))
        extri.write(f"R_{camera.name}", rotation_vector(camera))
        extri.write(f"Rot_{camera.name}", np.full((3, 3), 7.0))
        extri.write(f"T_{camera.name}", camera.camera_from_world[:3, 3:])
    for storage in intri, extri:
        storage.release()
    return folder / "intri.yml"


def write_easymocap_by_hand(cameras: Sequence[Calibration], folder: Path) -> Path:
    """Unquoted names, matrices over several lines, CRLF, ``D_`` and ``Rot_`` only, no sizes."""

    def matrix(key: str, values: np.ndarray) -> str:
        data = ",\n     ".join(repr(float(value)) for value in values.ravel())
        rows, columns = values.shape
        return f"{key}: !!opencv-matrix\n  rows: {rows}\n  cols: {columns}\n  dt: d\n  data: [ {data} ]\n"

    names = "%YAML:1.0\n---\nnames:\n" + "".join(f"  - {camera.name}\n" for camera in cameras)
    intri = extri = names
    for camera in cameras:
        intri += matrix(f"K_{camera.name}", centre_intrinsics(camera))
        intri += matrix(f"D_{camera.name}", camera.distortion[:, None])
        extri += matrix(f"Rot_{camera.name}", camera.camera_from_world[:3, :3])
        extri += matrix(f"T_{camera.name}", camera.camera_from_world[:3, 3:])
    (folder / "intri.yml").write_bytes(intri.replace("\n", "\r\n").encode())
    (folder / "extri.yml").write_text(extri)
    return folder


def write_toml(cameras: Sequence[Calibration], folder: Path) -> Path:
    """Pose2Sim's, with four coefficients."""
    lines = []
    for camera in cameras:
        assert camera.size is not None
        lines += [f"[cam_{camera.name}]", f'name = "{camera.name}"', f"size = [{camera.size[1]}.0, {camera.size[0]}.0]"]
        lines += [f"matrix = {centre_intrinsics(camera).tolist()}", f"distortions = {camera.distortion[:4].tolist()}"]
        lines += [f"rotation = {rotation_vector(camera).ravel().tolist()}"]
        lines += [f"translation = {camera.camera_from_world[:3, 3].tolist()}", "fisheye = false", ""]
    path = folder / "Calib.toml"
    path.write_text("\n".join([*lines, "[metadata]", "adjusted = false", "error = 0.0", ""]))
    return path


def write_caliscope(cameras: Sequence[Calibration], folder: Path) -> Path:
    """Nested tables and rotation matrices."""
    lines = []
    for camera in cameras:
        assert camera.size is not None
        lines += [f'[cameras."{camera.name}"]', f"size = [{camera.size[1]}, {camera.size[0]}]", "rotation_count = 0"]
        lines += [f"matrix = {centre_intrinsics(camera).tolist()}", f"distortions = {camera.distortion.tolist()}"]
        lines += [f"rotation = {camera.camera_from_world[:3, :3].tolist()}"]
        lines += [f"translation = {camera.camera_from_world[:3, 3].tolist()}", ""]
    path = folder / "camera_array.toml"
    path.write_text("\n".join(lines))
    return path


def write_qualisys(cameras: Sequence[Calibration], folder: Path) -> Path:
    """64ths of pixels, an offset field of view, camera centres in millimetres; beside a camera that takes no videos."""
    entries = ['<camera serial="0" model="Oqus 300"/>']
    for camera in reversed(cameras):
        assert camera.size is not None
        k, axes = centre_intrinsics(camera), OPENGL @ camera.camera_from_world[:3, :3]
        turn = " ".join(f'r{i + 1}{j + 1}="{float(axes[i, j])!r}"' for i in range(3) for j in range(3))
        place = " ".join(
            f'{key}="{float(1000 * value)!r}"' for key, value in zip("xyz", camera.centre_world, strict=True)
        )
        lens = dict(zip(("radialDistortion1", "radialDistortion2"), camera.distortion, strict=False))
        lens |= dict(zip(("tangentalDistortion1", "tangentalDistortion2"), camera.distortion[2:], strict=False))
        lens |= {"focalLengthU": 64 * k[0, 0], "focalLengthV": 64 * k[1, 1]}
        lens |= {"centerPointU": 64 * (k[0, 2] + 7), "centerPointV": 64 * (k[1, 2] + 3)}
        words = " ".join(f'{key}="{float(value)!r}"' for key, value in lens.items())
        entries.append(
            f'<camera serial="{camera.name}" model="Miqus Video" avg-residual="0.5">'
            f'<fov_video left="7" right="{camera.size[1] + 6}" top="3" bottom="{camera.size[0] + 2}"/>'
            f"<transform {turn} {place}/><intrinsic {words}/></camera>"
        )
    path = folder / "demo.qca.txt"
    body = "".join(entries)
    path.write_text(f'<?xml version="1.0" encoding="UTF-8"?><calibration><cameras>{body}</cameras></calibration>')
    return path


def quat(camera: Calibration) -> list[float]:
    """The rotation as ``wxyz``."""
    return quats_from_matrices(torch.from_numpy(camera.camera_from_world[:3, :3])).tolist()


def write_colmap_text(cameras: Sequence[Calibration], folder: Path) -> Path:
    """The second line of a picture is empty, or holds points; names may hold blanks."""
    sensors, views = ["# Camera list"], ["# Image list with two lines of data per image:"]
    for index, camera in enumerate(cameras):
        assert camera.size is not None
        (fx, _, cx), (_, fy, cy), _ = camera.intrinsics_px.tolist()
        numbers = [camera.size[1], camera.size[0], fx, fy, cx, cy, *camera.distortion[:4].tolist()]
        sensors.append(f"{index + 5} OPENCV " + " ".join(map(repr, numbers)))
        place = [*quat(camera), *camera.camera_from_world[:3, 3].tolist()]
        views += [f"{index} " + " ".join(map(repr, place)) + f" {index + 5} {camera.name}", "1.5 2.5 -1" * index]
    (folder / "cameras.txt").write_text("\n".join(sensors) + "\n")
    (folder / "images.txt").write_text("\n".join(views) + "\n")
    return folder


def write_colmap_binary(cameras: Sequence[Calibration], folder: Path) -> Path:
    """In ``sparse/0``."""
    place = folder / "sparse" / "0"
    place.mkdir(parents=True)
    sensors = views = struct.pack("<Q", len(cameras))
    for index, camera in enumerate(cameras):
        assert camera.size is not None
        (fx, _, cx), (_, fy, cy), _ = camera.intrinsics_px.tolist()
        sensors += struct.pack("<IiQQ", index + 5, 4, camera.size[1], camera.size[0])
        sensors += struct.pack("<8d", fx, fy, cx, cy, *camera.distortion[:4])
        views += struct.pack("<I7dI", index, *quat(camera), *camera.camera_from_world[:3, 3], index + 5)
        views += camera.name.encode() + b"\0" + struct.pack("<Q", index)
        views += index * struct.pack("<ddq", 1.5, 2.5, -1)
    (place / "cameras.bin").write_bytes(sensors)
    (place / "images.bin").write_bytes(views)
    return folder


def write_transforms(cameras: Sequence[Calibration], folder: Path) -> Path:
    """nerfstudio's: one lens for all, focal lengths per frame, OpenGL cameras."""
    frames = []
    for camera in cameras:
        matrix = np.linalg.inv(camera.camera_from_world) @ np.diag([1.0, -1.0, -1.0, 1.0])
        (fx, _, cx), (_, fy, cy), _ = camera.intrinsics_px.tolist()
        frames.append({"file_path": camera.name, "transform_matrix": matrix.tolist(), "fl_x": fx, "fl_y": fy})
        frames[-1] |= {"cx": cx, "cy": cy}
    lens = dict(zip(("k1", "k2", "p1", "p2"), cameras[0].distortion.tolist(), strict=False))
    path = folder / "transforms.json"
    path.write_text(json.dumps({"camera_model": "OPENCV", "w": 1024, "h": 960, "fl_x": 1.0, **lens, "frames": frames}))
    return path


def write_annots(cameras: Sequence[Calibration], folder: Path) -> Path:
    """ZJU-MoCap's: columns, millimetres, pictures in a folder a camera."""
    cams = {
        "K": [centre_intrinsics(camera) for camera in cameras],
        "R": [camera.camera_from_world[:3, :3] for camera in cameras],
        "T": [1000 * camera.camera_from_world[:3, 3:] for camera in cameras],
        "D": [camera.distortion[:, None] for camera in cameras],
    }
    ims = [{"ims": [f"{camera.name}/000000.jpg" for camera in cameras]}]
    np.save(folder / "annots.npy", np.array({"cams": cams, "ims": ims}), allow_pickle=True)
    return folder / "annots.npy"


WRITERS: dict[str, Callable[[Sequence[Calibration], Path], Path]] = {
    "EasyMocap": write_easymocap,
    "EasyMocap by hand": write_easymocap_by_hand,
    "Pose2Sim": write_toml,
    "caliscope": write_caliscope,
    "Qualisys": write_qualisys,
    "COLMAP text": write_colmap_text,
    "COLMAP binary": write_colmap_binary,
    "nerfstudio": write_transforms,
    "ZJU-MoCap": write_annots,
}


WITHOUT_SIZES = ("EasyMocap by hand", "ZJU-MoCap")


@pytest.mark.parametrize("name", WRITERS)
def test_cameras_come_back(cameras: list[Calibration], tmp_path: Path, name: str) -> None:
    read = read_calibrations(WRITERS[name](cameras, tmp_path))
    assert [camera.name for camera in read] == ["01", "02", "10"]
    for camera, expected in zip(read, cameras, strict=True):
        assert camera.size == (None if name in WITHOUT_SIZES else (960, 1024))
        np.testing.assert_allclose(camera.intrinsics_px, expected.intrinsics_px, atol=1e-9, rtol=0)
        np.testing.assert_allclose(camera.camera_from_world, expected.camera_from_world, atol=1e-9, rtol=0)
        np.testing.assert_allclose(camera.distortion, expected.distortion, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", WRITERS)
def test_damage_ends_in_one_line_or_does_no_harm(
    cameras: list[Calibration],
    tmp_path: Path,
    name: str,
    damage: Callable[[Path, Callable[[], object]], list[str]],
) -> None:
    path = WRITERS[name](cameras, tmp_path)

    def use() -> None:
        for camera in read_calibrations(path):
            assert np.isfinite(camera.camera(8, 8).camera_from_world.numpy()).all()

    assert len(damage(tmp_path, use)) > 12


def test_annots_go_by_what_lies_beside_them(cameras: list[Calibration], tmp_path: Path) -> None:
    """As in the capture: names, up, and where pixel centres are."""
    path = write_annots(cameras, tmp_path)
    about = {"cameras": ["Camera_B1", "Camera_B2", "Camera_B3"], "up": "-z", "pixel_origin": "corner"}
    (tmp_path / "splits.json").write_text(json.dumps(about))
    read = read_calibrations(path)
    assert [camera.name for camera in read] == about["cameras"]
    np.testing.assert_allclose(read[0].intrinsics_px, centre_intrinsics(cameras[0]), atol=1e-9)
    np.testing.assert_allclose(read[0].centre_world, cameras[0].centre_world * [1, -1, -1], atol=1e-9)


def test_the_qualisys_demo_agrees_with_its_own_toml(tmp_path: Path) -> None:
    """data_formats.md 5.4: the first axis and the centre of cam01 of Pose2Sim's demo; the translation is its toml's."""
    forward, up = np.array([-0.710, 0.591, -0.383]), np.array([-0.435, 0.059, 0.899])
    axes = np.stack([[0.5536, 0.8047, 0.2144], up, -forward])
    u, _, vt = np.linalg.svd(axes)
    transform = np.column_stack([OPENGL @ u @ vt, np.zeros(3)])
    transform[:, 3] = -transform[:, :3] @ [1.4602, -1.9092, 1.8965]
    camera = Calibration.checked(
        "26578", Path("x"), intrinsics_px=np.diag([1.0, 1.0, 1.0]), camera_from_world=transform, size=(1920, 1088)
    )
    (read,) = read_calibrations(write_qualisys([camera], tmp_path))
    np.testing.assert_allclose(read.camera_from_world[:3, 3], [0.32110, 0.95633, 2.89071], atol=2e-3)
    np.testing.assert_allclose(read.camera_from_world[2, :3], forward, atol=2e-3)


def test_millimetres_are_noticed_and_converted(cameras: list[Calibration], tmp_path: Path) -> None:
    path = write_toml([camera.scaled_world(1000.0) for camera in cameras], tmp_path)
    with pytest.raises(CaptureError, match=r"Calib\.toml: its cameras would stand \d+ m apart; give the unit"):
        read_calibrations(path)
    for camera, expected in zip(read_calibrations(path, 0.001), cameras, strict=True):
        np.testing.assert_allclose(camera.camera_from_world, expected.camera_from_world, atol=1e-9)


def test_a_camera_that_looks_down_minus_z_in_opengl_looks_forward(tmp_path: Path) -> None:
    entry = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}
    (tmp_path / "transforms.json").write_text(
        json.dumps({"camera_angle_x": np.pi / 2, "w": 200, "h": 100, "frames": [entry]})
    )
    (read,) = read_calibrations(tmp_path / "transforms.json")
    assert read.camera_from_world[2].tolist() == [0.0, 0.0, -1.0, 0.0]
    np.testing.assert_allclose(read.intrinsics_px, [[100, 0, 100], [0, 100, 50], [0, 0, 1]], atol=1e-9)


def test_metacaps_transforms_are_opencv_in_millimetres(cameras: list[Calibration], tmp_path: Path) -> None:
    matrix = np.linalg.inv(cameras[0].camera_from_world)
    matrix[:3, 3] *= 1000
    k = np.eye(4)
    k[:3, :3] = cameras[0].intrinsics_px
    frame = {"file_path": "a", "transform_matrix": matrix.tolist(), "intrinsic_matrix": k.tolist()}
    (tmp_path / "transforms.json").write_text(json.dumps({"from_na": True, "w": 1024, "h": 960, "frames": [frame]}))
    (read,) = read_calibrations(tmp_path / "transforms.json")
    np.testing.assert_allclose(read.camera_from_world, cameras[0].camera_from_world, atol=1e-9)
    np.testing.assert_allclose(read.intrinsics_px, cameras[0].intrinsics_px, atol=1e-9)


def test_a_lone_opencv_camera_needs_its_unit(cameras: list[Calibration], tmp_path: Path) -> None:
    path = tmp_path / "left.yml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("camera_matrix", centre_intrinsics(cameras[0]))
    storage.write("distortion_coefficients", cameras[0].distortion[None])
    storage.write("rvec", rotation_vector(cameras[0]))
    storage.write("tvec", cameras[0].camera_from_world[:3, 3:] / 0.05)
    storage.release()
    with pytest.raises(CaptureError, match=r"left\.yml: does not say the unit"):
        read_calibrations(path)
    (read,) = read_calibrations(path, 0.05)
    np.testing.assert_allclose(read.camera_from_world, cameras[0].camera_from_world, atol=1e-9)


def test_colmap_models_become_opencvs(tmp_path: Path) -> None:
    """Radial distortion keeps its coefficients; fisheyes are marked; what OpenCV cannot undo is refused."""
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 0 7 cam 1.png\n\n")
    lines = {
        "SIMPLE_PINHOLE 100 50 10 5 6": ((10, 10, 5, 6), [0, 0, 0, 0, 0], False),
        "SIMPLE_RADIAL 100 50 10 5 6 .1": ((10, 10, 5, 6), [0.1, 0, 0, 0, 0], False),
        "RADIAL 100 50 10 5 6 .1 .2": ((10, 10, 5, 6), [0.1, 0.2, 0, 0, 0], False),
        "OPENCV_FISHEYE 100 50 10 11 5 6 .1 .2 .3 .4": ((10, 11, 5, 6), [0.1, 0.2, 0.3, 0.4], True),
        "RADIAL_FISHEYE 100 50 10 5 6 .1 .2": ((10, 10, 5, 6), [0.1, 0.2, 0, 0], True),
        "FULL_OPENCV 100 50 10 11 5 6 1 2 3 4 5 6 7 8": ((10, 11, 5, 6), [1, 2, 3, 4, 5, 6, 7, 8], False),
    }
    for line, (numbers, lens, is_fisheye) in lines.items():
        (tmp_path / "cameras.txt").write_text(f"# comment\n7 {line}\n")
        (read,) = read_calibrations(tmp_path)
        assert (read.name, read.size, read.is_fisheye) == ("cam 1.png", (50, 100), is_fisheye)
        assert tuple(read.intrinsics_px[[0, 1, 0, 1], [0, 1, 2, 2]]) == numbers
        np.testing.assert_allclose(read.distortion, lens)
    (tmp_path / "cameras.txt").write_text("7 FOV 100 50 10 11 5 6 .1\n")
    with pytest.raises(CaptureError, match="the model FOV cannot be undone; run COLMAP's image_undistorter"):
        read_calibrations(tmp_path)


def test_hostile_xml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.qca.txt").write_text('<!DOCTYPE x [<!ENTITY a "b">]><calibration>&a;</calibration>')
    with pytest.raises(CaptureError, match="has a document type"):
        read_calibrations(tmp_path / "a.qca.txt")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("calib.txt", "", "is no calibration that avatar reads"),
        ("annots.npy", "", r"annots\.npy: "),
        ("gone.toml", None, "no such calibration"),
        ("a.toml", "[metadata]\nerror = 0.1\n", "has no cameras"),
        ("transforms.json", '{"frames": [{"file_path": "../x", "transform_matrix": []}]}', "expected 16 numbers"),
    ],
)
def test_what_is_no_calibration_is_named(tmp_path: Path, name: str, content: str | None, problem: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(CaptureError, match=problem):
        read_calibrations(tmp_path / name)


def test_a_missing_size_is_the_pictures_and_stays_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    frame = {"file_path": "./r_0", "transform_matrix": np.eye(4).tolist(), "fl_x": 10.0}
    path = tmp_path / "set" / "transforms.json"
    path.write_text(json.dumps({"frames": [frame]}))
    cv2.imwrite(str(path.parent / "r_0.png"), np.zeros((4, 6, 3), np.uint8))
    assert read_calibrations(path)[0].size == (4, 6)
    cv2.imwrite(str(tmp_path / "out.png"), np.zeros((4, 6, 3), np.uint8))
    path.write_text(json.dumps({"frames": [frame | {"file_path": "../out"}]}))
    with pytest.raises(CaptureError, match="may lead outside"):
        read_calibrations(path)


def test_rotation_vectors_agree_with_opencv(cameras: list[Calibration]) -> None:
    for camera in cameras:
        ours = axis_angles_from_matrices(torch.from_numpy(camera.camera_from_world[:3, :3])).numpy()
        np.testing.assert_allclose(rotation_vector(camera).ravel(), ours, atol=1e-9)
