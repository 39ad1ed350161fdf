"""A published set opened with the user's body model: the body stands where the cameras see it, or one line says why."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from avatar.body import add_body, load_body
from avatar.captures import open_capture, write_zju_capture
from avatar.geometry import look_at

SIZE, CAMERAS = 64, 4
DOWN = np.diag([1.0, -1.0, -1.0])
# A person's joints, y up and facing +z, in the order of SMPL: x and y of the middle and of the left side.
JOINTS = np.array(
    [
        *([0, -0.24], [0.06, -0.33], [-0.06, -0.33], [0, -0.13], [0.1, -0.71], [-0.1, -0.71], [0, 0.01]),
        *([0.09, -1.11], [-0.09, -1.11], [0, 0.06], [0.11, -1.17], [-0.11, -1.17], [0, 0.27], [0.08, 0.18]),
        *([-0.08, 0.18], [0, 0.36], [0.17, 0.22], [-0.17, 0.22], [0.43, 0.21], [-0.43, 0.21]),
        *([0.68, 0.22], [-0.68, 0.22], [0.77, 0.21], [-0.77, 0.21]),
    ]
)
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the family in the user's cache: an octahedron about every joint."""
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "cache"))
    corners = 0.09 * np.concatenate([np.eye(3), -np.eye(3)])
    vertices = (np.pad(JOINTS, ((0, 0), (0, 1)))[:, None] + corners).reshape(-1, 3)
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "SMPL_NEUTRAL.npz",
        v_template=vertices,
        f=(6 * np.arange(24)[:, None] + [[0, 1, 2]]).astype(np.uint32),
        shapedirs=random.normal(0, 0.003, (144, 3, 10)),
        posedirs=random.normal(0, 0.001, (144, 3, 207)),
        weights=np.kron(np.eye(24), np.ones((6, 1))),
        J_regressor=np.kron(np.eye(24), np.full((1, 6), 1 / 6)),
        kintree_table=np.array([PARENTS, range(24)]).astype(np.uint32),
    )
    add_body(tmp_path / "SMPL_NEUTRAL.npz")


def parameters(frame: int) -> dict[str, np.ndarray]:
    """A body that stands in a world that points down, and turns."""
    turn = Rotation.from_rotvec([0, 0, 0.5 * frame]) * Rotation.from_rotvec([-math.pi / 2, 0, 0])
    poses = np.random.default_rng(frame).normal(0, 0.1, (1, 72))
    poses[:, :3] = 0
    place = np.array([[0.1, 0.2 * frame, -1.2]])
    return {"poses": poses, "Rh": turn.as_rotvec()[None], "Th": place, "shapes": np.full((1, 10), 0.3)}


def vertices_by_hand(values: dict[str, np.ndarray], arrays: np.lib.npyio.NpzFile) -> np.ndarray:
    """SMPL's equations, and ``exp(Rh) v + Th``."""
    shaped = arrays["v_template"] + arrays["shapedirs"] @ values["shapes"][0]
    turns = Rotation.from_rotvec(values["poses"].reshape(24, 3)).as_matrix()
    bent = shaped + arrays["posedirs"] @ (turns[1:] - np.eye(3)).ravel()
    joints = arrays["J_regressor"] @ shaped
    chain = np.tile(np.eye(4), (24, 1, 1))
    for joint, parent in enumerate(PARENTS):
        chain[joint, :3, :3] = turns[joint]
        chain[joint, :3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        if parent >= 0:
            chain[joint] = chain[parent] @ chain[joint]
    moved = chain[:, :3, 3] - np.einsum("jxy,jy->jx", chain[:, :3, :3], joints)
    own = np.arange(144) // 6
    posed = np.einsum("vxy,vy->vx", chain[own, :3, :3], bent) + moved[own]
    return posed @ Rotation.from_rotvec(values["Rh"][0]).as_matrix().T + values["Th"]


def write(folder: Path, arrays: np.lib.npyio.NpzFile, *, millimetres: float = 1000.0, inverted: bool = False) -> None:
    """ZJU-MoCap's layout: masks are discs about the vertices, as OpenCV projects them."""
    intrinsics = np.array([[70.0, 0, 31.5], [0, 70.0, 31.5], [0, 0, 1]])
    transforms = []
    for camera in range(CAMERAS):
        angle = 2 * math.pi * camera / CAMERAS
        eye = torch.tensor([3 * math.cos(angle), 3 * math.sin(angle), 1.3], dtype=torch.float64)
        up, target = (torch.tensor(point, dtype=torch.float64) for point in ([0.0, 0, 1], [0.0, 0, 0.9]))
        transform = look_at(eye, target, up).numpy()
        transform[:3, :3] = transform[:3, :3] @ DOWN
        transforms.append(transform)
    cams = {
        "K": [intrinsics] * CAMERAS,
        "R": [transform[:3, :3] for transform in transforms],
        "T": [millimetres * transform[:3, 3:] for transform in transforms],
        "D": [np.zeros((5, 1))] * CAMERAS,
    }
    ims = [{"ims": [f"Camera_B{camera + 1}/{frame:06d}.jpg" for camera in range(CAMERAS)]} for frame in range(2)]
    (folder / "new_params").mkdir(parents=True)
    np.save(folder / "annots.npy", np.array({"cams": cams, "ims": ims}), allow_pickle=True)
    for frame in range(2):
        np.save(folder / "new_params" / f"{frame}.npy", np.array(parameters(frame)), allow_pickle=True)
        vertices = vertices_by_hand(parameters(frame), arrays)
        for camera, transform in enumerate(transforms):
            mask = np.zeros((SIZE, SIZE), np.uint8)
            seen = cv2.projectPoints(
                vertices, cv2.Rodrigues(transform[:3, :3])[0], transform[:3, 3], intrinsics, np.zeros(5)
            )[0]
            for x, y in seen.reshape(-1, 2):
                cv2.circle(mask, (round(x), round(y)), 2, 1, -1)
            mask = 1 - mask if inverted else mask
            for place, values in ("", np.repeat(mask[..., None] * 200, 3, 2)), ("mask_cihp/", 5 * mask):
                path = folder / f"{place}Camera_B{camera + 1}" / f"{frame:06d}.{'png' if place else 'jpg'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(path), values)


@pytest.fixture
def folder(tmp_path: Path, model: None) -> Callable[..., Path]:
    """Writes the set and says where."""

    def make(**changes: Any) -> Path:
        with np.load(tmp_path / "SMPL_NEUTRAL.npz") as arrays:
            write(tmp_path / "dancer", arrays, **changes)
        return tmp_path / "dancer"

    return make


def test_the_body_stands_where_the_set_has_it(folder: Callable[..., Path], tmp_path: Path) -> None:
    capture = open_capture(folder())
    person = load_body(capture.rig).shaped(capture.shape)
    for frame in range(2):
        vertices = person.posed(capture.pose(frame)).vertices_world.numpy()
        with np.load(tmp_path / "SMPL_NEUTRAL.npz") as arrays:
            expected = vertices_by_hand(parameters(frame), arrays) @ DOWN.T
        np.testing.assert_allclose(vertices, expected, atol=2e-6)
        assert vertices[:, 2].min() > -0.2, "feet are down"


def test_wrong_units_are_named(folder: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"dancer: .*cameras see .* one unit"):
        open_capture(folder(millimetres=1.0))


def test_inverted_masks_are_named(folder: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"dancer: masks cover .* they seem inverted"):
        open_capture(folder(inverted=True))


def test_a_missing_body_model_is_named(
    folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder()
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "empty"))
    helps = r"smpl_neutral is not here; .* avatar assets add-body FILE; .* avatar prepare"
    with pytest.raises(FileNotFoundError, match=helps):
        open_capture(path)


def test_it_is_written_as_it_was_published(folder: Callable[..., Path], tmp_path: Path) -> None:
    """By hand: ``exp(Rh) v + Th`` are the vertices, and OpenCV projects them onto the mask. By us: to the bit."""
    capture, place = open_capture(folder()), tmp_path / "written"
    write_zju_capture(capture, place)
    read = open_capture(place)
    assert torch.equal(read.poses.local_quats, capture.poses.local_quats)
    assert torch.equal(read.poses.root_position_world, capture.poses.root_position_world)
    assert all(
        torch.equal(one.camera_from_world, other.camera_from_world)
        for one, other in zip(read.cameras, capture.cameras, strict=True)
    )
    annots = np.load(place / "annots.npy", allow_pickle=True).item()
    for frame in range(2):
        values = np.load(place / "new_params" / f"{frame}.npy", allow_pickle=True).item()
        vertices = np.load(place / "new_vertices" / f"{frame}.npy")
        with np.load(tmp_path / "SMPL_NEUTRAL.npz") as arrays:
            np.testing.assert_allclose(vertices_by_hand(values, arrays), vertices, atol=3e-6)
            np.testing.assert_allclose(vertices_by_hand(parameters(frame), arrays), vertices, atol=3e-6)
        for camera in range(CAMERAS):
            k, d, r, t = (annots["cams"][key][camera] for key in "KDRT")
            seen = cv2.projectPoints(vertices.astype(np.float64), cv2.Rodrigues(r)[0], t / 1000, k, d)[0]
            columns, rows = seen.reshape(-1, 2).round().astype(int).T
            mask = cv2.imread(str(place / "mask_cihp" / annots["ims"][frame]["ims"][camera]), cv2.IMREAD_UNCHANGED)
            assert mask is not None
            assert (mask[rows, columns] == 5).all()


def test_what_is_written_is_a_published_set_without_our_files(folder: Callable[..., Path], tmp_path: Path) -> None:
    capture, place = open_capture(folder()), tmp_path / "written"
    write_zju_capture(capture, place)
    for name in ("body_default.npz", "splits.json"):
        (place / name).unlink()
    read = open_capture(place)
    assert read.rig == "smpl_neutral"
    for one, other in zip(read.cameras, capture.cameras, strict=True):
        assert torch.equal(one.camera_from_world, other.camera_from_world)
        assert torch.equal(one.intrinsics_px, other.intrinsics_px)
    torch.testing.assert_close(read.shape.values, capture.shape.values, atol=1e-6, rtol=0)
    for frame in range(2):
        one, other = (load_body(c.rig).shaped(c.shape).posed(c.pose(frame)).vertices_world for c in (read, capture))
        torch.testing.assert_close(one, other, atol=3e-6, rtol=0)
        for camera in range(CAMERAS):
            found, wanted = (c.load_frame(frame, camera, False) for c in (read, capture))
            assert torch.equal(found.image, wanted.image)
            assert torch.equal(found.is_foreground, wanted.is_foreground)
