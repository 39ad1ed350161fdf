"""A small capture, drawn on the spot: an ellipse of a person before three cameras on a circle."""

import math
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatar.capture import NO_BODY, CaptureError, read_capture, write_capture, write_zju_mocap
from avatar.capture.smpl_poses import SmplPoses
from avatar.geometry import look_at, matrices_from_quats, quats_from_axis_angles, quats_from_matrices
from avatar.structs import Camera, Capture, Frame, Pose, Shape, Split

HEIGHT, WIDTH, FRAMES, CAMERAS, JOINTS = 40, 48, 4, 3, 5
MUTATIONS = 50
SECONDS = 2.0


def draw_capture() -> Capture:
    """Three cameras, four time steps; the person fills the middle and moves to the right."""
    generator = torch.Generator().manual_seed(0)
    poses = Pose(
        local_quats=quats_from_axis_angles(torch.randn(FRAMES, JOINTS, 3, generator=generator)),
        root_position_world=torch.randn(FRAMES, 3, generator=generator),
    )
    cameras = tuple(camera_on_circle(index) for index in range(CAMERAS))
    rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        assert not cropped
        is_foreground = ((rows - 20) / 12) ** 2 + ((columns - 20 - frame_id) / 6) ** 2 < 1
        channels = (rows * 6 + camera_id, columns * 5, torch.full_like(rows, 40 * frame_id))
        image = torch.stack(channels, dim=-1).float() / 255 * is_foreground[..., None]
        pose = replace(poses[frame_id], frame_id=frame_id)
        return Frame(
            camera=cameras[camera_id],
            image=image,
            is_foreground=is_foreground,
            pose=pose,
            frame_id=frame_id,
            camera_id=camera_id,
        )

    train = Split(name="train_dense", frame_ids=(0, 1, 2), camera_ids=(0, 2))
    test = Split(name="test_novel_view", frame_ids=(0, 3), camera_ids=(1,))
    return Capture(
        name="ellipse",
        cameras=cameras,
        poses=poses,
        shape=Shape(names=("age", "weight"), values=torch.tensor([0.25, 0.75])),
        splits={split.name: split for split in (train, test)},
        frame_rate_hz=12.5,
        load_frame=load_frame,
    )


def camera_on_circle(index: int) -> Camera:
    """Three metres from the middle, every 120 degrees."""
    angle = 2 * math.pi * index / CAMERAS
    eye = torch.tensor([3 * math.cos(angle), 3 * math.sin(angle), 1.0])
    return Camera(
        name=f"Camera_B{index + 1}",
        camera_from_world=look_at(eye, torch.tensor([0.0, 0.0, 0.9]), torch.tensor([0.0, 0.0, 1.0])),
        intrinsics_px=torch.tensor([[60.0, 0.0, 23.7], [0.0, 61.0, 20.4], [0.0, 0.0, 1.0]]),
        height=HEIGHT,
        width=WIDTH,
    )


@pytest.fixture(scope="session")
def drawn() -> Capture:
    """The capture in memory."""
    return draw_capture()


@pytest.fixture
def folder(drawn: Capture, tmp_path: Path) -> Path:
    """The capture as files, pictures without loss."""
    write_capture(drawn, tmp_path / "ellipse", suffix=".png")
    return tmp_path / "ellipse"


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Cut, with a piece missing, twice, overwritten, or with a number that is none or huge."""
    start, length = rng.randrange(len(data)), rng.randrange(1, 40)
    match rng.randrange(6):
        case 0:
            return data[:start]
        case 1:
            return data[:start] + data[start + length :]
        case 2:
            return data[: start + length] + data[start:]
        case 3:
            return data[:start] + rng.randbytes(length) + data[start + length :]
        case 4:
            digits = [place for place in range(len(data)) if data[place : place + 1].isdigit()] or [start]
            place = rng.choice(digits)
            word = rng.choice([b"nan", b"1e999", b"-9", b"9999999999999999", b'"x"', b"[[", b"null"])
            return data[:place] + word + data[place + 1 :]
        case _:
            flipped = bytearray(data)
            for _ in range(rng.choice([1, 8])):
                flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return bytes(flipped)


@pytest.fixture(scope="session")
def damage() -> Callable[[Path, Callable[[], object]], list[str]]:
    """Damages files of a folder, one of them at a time, fifty times in all, and uses the folder each time.

    Whatever is refused is refused quickly, in one line that names a file of the folder. Returns these lines.
    """

    def run(folder: Path, use: Callable[[], object]) -> list[str]:
        rng = random.Random(folder.name)
        files = sorted(file for file in folder.rglob("*") if file.is_file() and file.stat().st_size)
        refused = []
        for _ in range(MUTATIONS):
            file = rng.choice(files)
            whole = file.read_bytes()
            file.write_bytes(mutated(whole, rng))
            start = time.monotonic()
            try:
                use()
            except CaptureError as error:
                refused.append(str(error))
            assert time.monotonic() - start < SECONDS
            file.write_bytes(whole)
        assert all(str(folder) in message and "\n" not in message for message in refused), refused
        return refused

    return run


@pytest.fixture
def damage_set(
    damage: Callable[[Path, Callable[[], object]], list[str]], pose_from_smpl: Callable[[SmplPoses], Pose]
) -> Callable[[Path, Callable[[Capture], Iterable[tuple[int, int]]]], list[str]]:
    """The same for a published set, of which it loads these pictures, by time step and camera."""

    def run(folder: Path, pictures: Callable[[Capture], Iterable[tuple[int, int]]]) -> list[str]:
        def use() -> None:
            capture = read_capture(folder, pose_from_smpl=pose_from_smpl)
            for frame, camera in pictures(capture):
                capture.load_frame(frame, camera, True)

        return damage(folder, use)

    return run


@pytest.fixture
def write_pictures(drawn: Capture) -> Callable[..., None]:
    """Writes all drawn pictures and masks below a folder, by ``(frame, camera)`` to their names."""

    def write(
        folder: Path, image: Callable[[int, int], str], mask: Callable[[int, int], str], label: int = 255
    ) -> None:
        for frame in range(FRAMES):
            for camera in range(CAMERAS):
                drawing = drawn.load_frame(frame, camera, False)
                pixels = (drawing.image * 255).round().byte().numpy()[..., ::-1]
                is_foreground = drawing.is_foreground.byte().numpy() * np.uint8(label)
                for path, values in (
                    (folder / image(frame, camera), pixels),
                    (folder / mask(frame, camera), is_foreground),
                ):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    options = [cv2.IMWRITE_JPEG_QUALITY, 100] if path.suffix == ".jpg" else []
                    assert cv2.imwrite(str(path), values, options)

    return write


@pytest.fixture
def assert_as_drawn(drawn: Capture, tmp_path: Path) -> Callable[[Capture], None]:
    """Cameras and masks agree with the drawing exactly, pictures but for their compression.

    And what both our writers make of the capture is the same capture to the bit.
    """

    def check(capture: Capture) -> None:
        for camera, expected in zip(capture.cameras, drawn.cameras, strict=True):
            assert (camera.height, camera.width) == (expected.height, expected.width)
            torch.testing.assert_close(camera.intrinsics_px, expected.intrinsics_px, atol=1e-5, rtol=0)
            torch.testing.assert_close(camera.camera_from_world, expected.camera_from_world, atol=2e-6, rtol=0)
        for frame in range(FRAMES):
            for camera in range(CAMERAS):
                read, expected = (made.load_frame(frame, camera, False) for made in (capture, drawn))
                assert (read.is_foreground == expected.is_foreground).float().mean() > 0.98
                assert (read.image - expected.image).abs().median() < 0.02
        if capture.rig != NO_BODY:
            assert_written_and_read(capture, Path(mkdtemp(dir=tmp_path)))

    return check


def assert_written_and_read(capture: Capture, place: Path) -> None:
    """In both layouts that we write."""
    pairs = [(frame, camera) for frame in range(capture.num_frames) for camera in range(len(capture.cameras))]
    write_capture(capture, place / "avatar", suffix=".png", pairs=pairs)
    write_zju_mocap(capture, place / "zju", vertices_world=lambda _: np.zeros((1, 3)))
    for again in (read_capture(place / layout) for layout in ("avatar", "zju")):
        assert (again.name, again.rig, dict(again.splits)) == (capture.name, capture.rig, dict(capture.splits))
        assert again.frame_rate_hz == capture.frame_rate_hz
        for camera, expected in zip(again.cameras, capture.cameras, strict=True):
            assert (camera.name, camera.height, camera.width) == (expected.name, expected.height, expected.width)
            assert torch.equal(camera.intrinsics_px, expected.intrinsics_px)
            assert torch.equal(camera.camera_from_world, expected.camera_from_world)
        assert torch.equal(again.poses.local_quats, capture.poses.local_quats)
        assert torch.equal(again.poses.root_position_world, capture.poses.root_position_world)
        assert torch.equal(again.shape.values, capture.shape.values)
        for pair in pairs:
            read, expected = (some.load_frame(*pair, False) for some in (again, capture))
            assert torch.equal(read.image, expected.image)
            assert torch.equal(read.is_foreground, expected.is_foreground)


PELVIS = np.array([0.0, -0.25, 0.03])
# The bodies of the family are y-up and face +z in their files, z-up and face -y in the house.
HOUSE_FROM_MODEL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@pytest.fixture
def pose_from_smpl() -> Callable[[SmplPoses], Pose]:
    """Poses in the world of their file, of a body whose pelvis is at ``PELVIS`` for every shape; by SciPy."""

    def convert(read: SmplPoses) -> Pose:
        turns = Rotation.from_rotvec(read.turns.reshape(-1, 3)).as_matrix().reshape(*read.turns.shape, 3)
        pelvis = turns[:, 0] @ PELVIS if read.placement == "about_origin" else PELVIS
        local = HOUSE_FROM_MODEL @ turns @ HOUSE_FROM_MODEL.T
        local[:, 0] = turns[:, 0] @ HOUSE_FROM_MODEL.T
        return Pose(
            local_quats=quats_from_matrices(torch.from_numpy(local)),
            root_position_world=torch.from_numpy(pelvis + read.offsets),
        )

    return convert


@pytest.fixture
def assert_root() -> Callable[..., None]:
    """A pose has its root turned by a rotation vector of a file, and its pelvis at a place, of a turned world."""

    def check(pose: Pose, turn: np.ndarray, place: np.ndarray, house_from_world: np.ndarray) -> None:
        matrix = Rotation.from_rotvec(np.ravel(turn)).as_matrix()
        np.testing.assert_allclose(pose.root_position_world.numpy(), house_from_world @ place, atol=1e-6)
        found = matrices_from_quats(pose.local_quats[0]).numpy()
        np.testing.assert_allclose(found, house_from_world @ matrix @ HOUSE_FROM_MODEL.T, atol=1e-6)

    return check


@pytest.fixture
def assert_joint() -> Callable[..., None]:
    """A joint but the root is turned by a rotation vector of a file."""

    def check(pose: Pose, joint: int, turn: np.ndarray) -> None:
        matrix = Rotation.from_rotvec(np.ravel(turn)).as_matrix()
        found = HOUSE_FROM_MODEL.T @ matrices_from_quats(pose.local_quats[joint]).numpy() @ HOUSE_FROM_MODEL
        np.testing.assert_allclose(found, matrix, atol=1e-6)

    return check
