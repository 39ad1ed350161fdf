"""Sets in HDF5 files: PeopleSnapshot and DNA-Rendering, and what such files may not do."""

import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from avatar.capture import CaptureError, SmplPoses, read_capture
from avatar.capture.hdf5 import Hdf5File
from avatar.structs import Capture, Pose

h5py = pytest.importorskip("h5py", reason="needs the extra hdf5")

PELVIS = np.array([0.0, -0.25, 0.03])
UP_IS_Y = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])


@pytest.fixture
def snapshot(drawn: Capture, tmp_path: Path) -> Path:
    """The drawing's first camera, which is the world here; six poses for four masks."""
    folder, camera = tmp_path / "female-9-casual", drawn.cameras[0]
    folder.mkdir()
    frames = [drawn.load_frame(frame, 0, False) for frame in range(4)]
    with av.open(str(folder / "female-9-casual.mp4"), "w") as container:
        stream = container.add_stream("libx264", 30, {"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = camera.height, camera.width, "yuv420p"
        stream.time_base = Fraction(1, 30)
        for index, frame in enumerate(frames):
            pixels = (frame.image * 255).round().byte().numpy()
            picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    (fx, _, cx), (_, fy, cy), _ = camera.intrinsics_px.tolist()
    values: dict[str, Any] = {"camera_t": np.zeros(3), "camera_rt": np.zeros(3), "camera_f": np.array([fx, fy])}
    values |= {"camera_c": np.array([cx - 0.5, cy - 0.5]), "camera_k": np.zeros(5)}
    values |= {"width": camera.width, "height": camera.height}
    (folder / "camera.pkl").write_bytes(pickle.dumps(values, protocol=2))
    with h5py.File(folder / "masks.hdf5", "w") as file:
        masks = np.stack([frame.is_foreground.numpy() for frame in frames]).astype(np.int8)
        file.create_dataset("masks", data=masks, compression="gzip", chunks=(1, *masks.shape[1:]))
    with h5py.File(folder / "reconstructed_poses.hdf5", "w") as file:
        for key, array in snapshot_body().items():
            file[key] = array
    return folder


def snapshot_body() -> dict[str, np.ndarray]:
    """float32, two poses more than masks."""
    generator = np.random.default_rng(0)
    shapes = {"pose": (6, 72), "trans": (6, 3), "betas": (10,)}
    return {key: generator.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}


def test_people_snapshot_is_read(
    snapshot: Path,
    drawn: Capture,
    pose_from_smpl: Callable[[SmplPoses], Pose],
    assert_root: Callable[..., None],
    assert_joint: Callable[..., None],
) -> None:
    capture = read_capture(snapshot, pose_from_smpl=pose_from_smpl)
    assert (capture.rig, capture.name, capture.num_frames) == ("smpl_female", "female-9-casual", 4)
    assert capture.split("train_dense").frame_ids == (0, 1, 2)
    np.testing.assert_allclose(capture.cameras[0].intrinsics_px, drawn.cameras[0].intrinsics_px, atol=1e-4)
    np.testing.assert_allclose(capture.cameras[0].camera_from_world[:3, :3], [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    values = snapshot_body()
    for frame in range(4):
        read, expected = (made.load_frame(frame, 0, False) for made in (capture, drawn))
        np.testing.assert_array_equal(read.is_foreground, expected.is_foreground)
        assert (read.image - expected.image).abs().median() < 0.02
        place = PELVIS + values["trans"][frame + 2]
        assert_root(
            capture.pose(frame), values["pose"][frame + 2, :3], place, np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
        )
        assert_joint(capture.pose(frame), 23, values["pose"][frame + 2, -3:])


@pytest.fixture
def sequence(drawn: Capture, tmp_path: Path) -> Path:
    """The drawing as a pair of files, in a y-up world 1.25 times as large as the body's."""
    folder = tmp_path / "0012_11"
    folder.mkdir()
    numbers = {"Camera_5mp": (0, 7), "Camera_12mp": (48,)}
    with h5py.File(folder / "0012_11.smc", "w") as main, h5py.File(folder / "0012_11_annots.smc", "w") as annots:
        main.attrs["gender"] = "male"
        flat = [(group, number) for group, listed in numbers.items() for number in listed]
        for index, (group, number) in enumerate(flat):
            camera = drawn.cameras[index]
            intrinsics, transform = (
                matrix.double().numpy().copy() for matrix in (camera.intrinsics_px, camera.camera_from_world)
            )
            intrinsics[:2, 2] -= 0.5
            transform = np.linalg.inv(transform)
            place = annots.create_group(f"Camera_Parameter/{number:02d}")
            turned = np.eye(4)
            turned[:3, :3], turned[:3, 3] = UP_IS_Y @ transform[:3, :3], 1.25 * UP_IS_Y @ transform[:3, 3]
            place["K"], place["D"], place["RT"] = intrinsics, np.zeros(5), turned
            for frame in range(4):
                drawing = drawn.load_frame(frame, index, False)
                pixels = (drawing.image * 255).round().byte().numpy()[..., ::-1]
                encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
                main[f"{group}/{number}/color/{frame}"] = encoded.ravel()
                mask = np.repeat(drawing.is_foreground.byte().numpy()[..., None] * np.uint8(255), 3, 2)
                annots[f"Mask/{number}/mask/{frame}"] = cv2.imencode(".png", mask)[1].ravel()
        for key, array in smplx_body().items():
            annots[f"SMPLx/{key}"] = array
    return folder


def smplx_body() -> dict[str, np.ndarray]:
    """Four frames."""
    generator = np.random.default_rng(0)
    shapes = {"betas": (4, 10), "fullpose": (4, 55, 3), "transl": (4, 3), "expression": (4, 10)}
    return {key: generator.normal(size=shape) for key, shape in shapes.items()} | {"scale": np.array(1.25)}


def test_dna_rendering_is_read(
    sequence: Path,
    assert_as_drawn: Callable[[Capture], None],
    pose_from_smpl: Callable[[SmplPoses], Pose],
    assert_root: Callable[..., None],
    assert_joint: Callable[..., None],
) -> None:
    asked: list[SmplPoses] = []
    capture = read_capture(sequence, pose_from_smpl=lambda read: (asked.append(read), pose_from_smpl(read))[1])
    assert_as_drawn(capture)
    assert [camera.name for camera in capture.cameras] == ["0", "7", "48"]
    assert (capture.rig, capture.name, capture.frame_rate_hz) == ("smplx_male", "0012_11", 15.0)
    values = smplx_body()
    assert asked[0].hands is not None
    np.testing.assert_array_equal(asked[0].hands[:, 1], values["fullpose"][:, 40:].reshape(4, 45))
    for frame in range(4):
        place = PELVIS + values["transl"][frame] / 1.25
        assert_root(capture.pose(frame), values["fullpose"][frame, 0], place, UP_IS_Y.T)
        assert_joint(capture.pose(frame), 21, values["fullpose"][frame, 21])


def test_missing_pictures_are_named(sequence: Path) -> None:
    with h5py.File(sequence / "0012_11.smc", "a") as main:
        del main["Camera_5mp/7/color/2"]
    with pytest.raises(FileNotFoundError, match="has no picture Camera_5mp/7/color/2"):
        read_capture(sequence, split="train_dense")


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual", "text", "huge"])
def test_nothing_is_followed_out_of_the_file(tmp_path: Path, kind: str) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["a"] = np.arange(3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        match kind:
            case "external link":
                file["a"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "a")
            case "soft link":
                file["b"] = np.arange(3)
                file["a"] = h5py.SoftLink("/b")
            case "external storage":
                file.create_dataset("a", (3,), "u1", external=[("/etc/passwd", 0, 3)])
            case "virtual":
                layout = h5py.VirtualLayout((3,), "i8")
                layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "a", (3,))
                file.create_virtual_dataset("a", layout)
            case "text":
                file["a"] = "text"
            case _:
                file.create_dataset("a", (2**40,), "u1", chunks=(2**20,), compression="gzip")
    with pytest.raises(CaptureError, match=r"a\.h5: a: "):
        Hdf5File(tmp_path / "a.h5").array("a")


@pytest.mark.parametrize("name", ["snapshot", "sequence"])
def test_damage_ends_in_one_line_or_does_no_harm(
    name: str, request: pytest.FixtureRequest, damage_set: Callable[..., list[str]]
) -> None:
    folder: Path = request.getfixturevalue(name)

    assert len(damage_set(folder, lambda capture: [(0, camera) for camera in range(len(capture.cameras))])) > 5
