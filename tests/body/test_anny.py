"""The baked Anny body against Anny itself, against captures made with it, and against its own laws."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from avatar.body import RIGS, AnnyBody, BodyModel, load_body
from avatar.geometry import transform_points
from avatar.structs import Pose, Shape

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="module")
def model() -> AnnyBody:
    return load_body()


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return samples("anny")


def samples(rig: str) -> dict[str, np.ndarray]:
    """People that the anny package has posed."""
    with np.load(GOLDEN / f"{rig}_samples.npz") as file:
        return dict(file)


def shape_of(model: BodyModel, values: np.ndarray | Tensor | list[float]) -> Shape:
    return Shape(names=model.shape_names, values=torch.as_tensor(values, dtype=model.shape_space.low.dtype))


def random_pose(model: AnnyBody) -> Pose:
    generator = torch.Generator().manual_seed(0)
    quats = torch.randn(len(model.parents), 4, generator=generator) * 0.2 + torch.tensor([1.0, 0.0, 0.0, 0.0])
    return Pose(
        local_quats=torch.nn.functional.normalize(quats, dim=-1), root_position_world=torch.tensor([0.3, -1.0, 0.9])
    )


def volume(vertices: Tensor, faces: Tensor) -> float:
    """Cubic metres inside the surface."""
    return float(torch.linalg.det(vertices[faces].double()).sum() / 6)


def shared_body(capture: str) -> dict[str, np.ndarray]:
    path = SHARED / capture / "body_default.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with np.load(path) as file:
        return dict(file)


# Against Anny.


@pytest.mark.parametrize("sample", range(6))
def test_agrees_with_anny(model: AnnyBody, golden: dict[str, np.ndarray], sample: int) -> None:
    shape = shape_of(model, golden["phenotypes"][sample])
    body = model(shape, model.pose_from_local_ref(torch.from_numpy(golden["local_ref"][sample]), shape))
    vertices_mm = (body.vertices_world[golden["vertex_ids"]] - torch.from_numpy(golden["vertices"][sample])) * 1e3
    joints_mm = (body.joints_world - torch.from_numpy(golden["joints"][sample])) * 1e3
    assert vertices_mm.norm(dim=1).max() <= 0.05
    assert joints_mm.norm(dim=1).max() <= 0.05


@pytest.mark.parametrize("rig", RIGS)
def test_agrees_with_anny_on_every_rig(rig: str) -> None:
    model, data = load_body(rig), {name: torch.from_numpy(array) for name, array in samples(rig).items()}
    poses = Pose(local_quats=data["local_quats"], root_position_world=data["root_position_world"])
    for index, phenotypes in enumerate(data["phenotypes"]):
        body = model(shape_of(model, phenotypes), poses[index])
        assert (body.vertices_world[data["vertex_ids"]] - data["vertices"][index]).norm(dim=1).max() <= 5e-5
        assert (body.joints_world - data["joints"][index]).norm(dim=1).max() <= 5e-5


def test_local_ref_round_trip(model: AnnyBody, golden: dict[str, np.ndarray]) -> None:
    shape, local_ref = shape_of(model, golden["phenotypes"][1]), torch.from_numpy(golden["local_ref"])
    there = model.pose_from_local_ref(local_ref, shape)
    torch.testing.assert_close(model.local_ref_from_pose(there, shape), local_ref, atol=1e-5, rtol=0)


def test_joints_of_a_real_capture(model: AnnyBody) -> None:
    data = shared_body("balance4")
    shape = shape_of(model, data["phenotype"])
    poses, person = model.pose_from_local_ref(torch.from_numpy(data["pose"]), shape), model.shaped(shape)
    joints = torch.stack([person.posed(poses[frame]).joints_world for frame in range(len(data["pose"]))])
    assert (joints - torch.from_numpy(data["joints"])).norm(dim=-1).max() < 1e-4


def test_keypoints_of_a_synthetic_capture(model: AnnyBody) -> None:
    data = shared_body("studio_tee")  # fitted to the true body: its vertices are 2.6 mm off on average, 16 mm at worst
    shape = shape_of(model, data["phenotype_values"])
    poses, person = model.pose_from_local_ref(torch.from_numpy(data["pose"]), shape), model.shaped(shape)
    folder = SHARED / "studio_tee" / "keypoints3d"
    for frame in range(0, 50, 7):
        truth = torch.from_numpy(np.load(folder / f"{frame}.npy")).float()
        distances = (model.keypoints_coco(person.posed(poses[frame])) - truth).norm(dim=1)
        assert distances.mean() < 0.005
        assert distances.max() < 0.02


def test_body_lies_in_the_masks_of_a_real_capture(model: AnnyBody) -> None:
    data = shared_body("balance4")  # its README: about 4 % of the body's picture lies outside, by a few pixels
    cameras = json.loads((SHARED / "balance4" / "cameras.json").read_text())
    shape = shape_of(model, data["phenotype"])
    poses, person = model.pose_from_local_ref(torch.from_numpy(data["pose"]), shape), model.shaped(shape)
    for frame in (0, 20, 40):
        vertices = person.posed(poses[frame]).vertices_world[model.rig.faces.unique()]
        for name, camera in cameras.items():
            rotation, translation, intrinsics = (torch.tensor(camera[key]) for key in ("R", "T_m", "K"))
            points_camera = vertices @ rotation.mT + translation.flatten()
            columns, rows, depths = (points_camera @ intrinsics.mT).unbind(1)
            mask = cv2.imread(str(SHARED / "balance4" / "mask_cihp" / name / f"{frame:06d}.png"), cv2.IMREAD_GRAYSCALE)
            assert mask is not None
            grown = torch.from_numpy(cv2.dilate(mask, np.ones((7, 7))) > 0)
            assert grown[(rows / depths).long(), (columns / depths).long()].float().mean() > 0.96


# Laws.


def test_rest_pose_moves_nothing(model: AnnyBody) -> None:
    person = model.shaped(model.default_shape())
    body = person.posed(model.rest_pose())
    torch.testing.assert_close(body.vertices_world, person.rest.vertices, atol=1e-6, rtol=0)
    torch.testing.assert_close(body.joints_world, person.joints_rest, atol=1e-6, rtol=0)


def test_turning_the_root_turns_everything(model: AnnyBody) -> None:
    person, pose = model.shaped(model.default_shape()), random_pose(model)
    quarter_turn = Pose(
        local_quats=torch.cat([torch.tensor([[0.5**0.5, 0.0, 0.0, 0.5**0.5]]), model.rest_pose().local_quats[1:]]),
        root_position_world=pose.root_position_world,
    )
    body = person.posed(quarter_turn)
    expected = transform_points(body.posed_from_rest[0], person.rest.vertices)
    torch.testing.assert_close(body.vertices_world, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(body.joints_world[0], pose.root_position_world, atol=1e-6, rtol=0)


def test_left_is_plus_x_and_the_nose_looks_along_minus_y(model: AnnyBody) -> None:
    points = model.keypoints_coco(model(model.default_shape(), model.rest_pose()))
    at = dict(zip(model.keypoint_names, points, strict=True))
    assert len(at) == 23
    for name in (name.removeprefix("left_") for name in at if name.startswith("left_")):
        mirrored = at[f"right_{name}"] * torch.tensor([-1.0, 1.0, 1.0])
        torch.testing.assert_close(at[f"left_{name}"], mirrored, atol=1e-4, rtol=0)
        assert at[f"left_{name}"][0] > 0.01
    assert at["nose"][1] < at["left_ear"][1] - 0.05
    assert at["nose"][2] > at["left_hip"][2] + 0.4 > at["left_heel"][2] + 1.0


def test_surface(model: AnnyBody) -> None:
    person = model.shaped(model.default_shape())
    rig, corners = model.rig, person.rest.vertices[model.rig.faces].double()
    volume = float(torch.linalg.det(corners).sum() / 6)
    assert (
        0.04 < volume < 0.1
    )  # litres / 1000 of an adult; positive: triangles wind counter-clockwise seen from outside
    assert person.rest.vertices.shape == (13718, 3)
    assert int(rig.uv_faces.max()) < len(rig.uv)
    assert float(rig.uv.min()) >= 0
    assert float(rig.uv.max()) <= 1
    left_out = [model.part_names.index(name) for name in ("mouth_cavity", "tongue")]
    assert len(model.face_parts) == len(rig.faces) == 27420 - 796 - 448
    assert not torch.isin(model.face_parts, torch.tensor(left_out)).any()


@pytest.mark.parametrize(("name", "joints", "most"), [("anny", 104, 9), ("cmu_mb", 31, 7)])
def test_weights(name: str, joints: int, most: int) -> None:
    rig = load_body(name).rig
    assert len(rig.joint_names) == len(rig.parents) == joints
    assert rig.bone_weights.shape == rig.bone_ids.shape == (13718, most)
    assert 0 <= int(rig.bone_ids.min()) <= int(rig.bone_ids.max()) < joints
    torch.testing.assert_close(rig.bone_weights.sum(1), torch.ones(13718), atol=1e-6, rtol=0)
    assert float(rig.bone_weights.min()) >= 0
    assert (rig.bone_weights.diff(dim=1) <= 0).all()
    assert all(parent < joint for joint, parent in enumerate(rig.parents))


def test_rigs_share_people_and_surface(model: AnnyBody) -> None:
    other = load_body("cmu_mb")
    shape = shape_of(model, [0.1, 0.9, 0.3, 0.8, 0.6, 0.2])
    assert other.rig.faces is model.rig.faces
    torch.testing.assert_close(other.shaped(shape).rest.vertices, model.shaped(shape).rest.vertices, atol=0, rtol=0)


def test_shape_parameters_mean_what_they_say(model: AnnyBody) -> None:
    def height_and_volume(name: str, value: float) -> tuple[float, float]:
        values = model.default_shape().values.clone()
        values[model.shape_names.index(name)] = value
        vertices = model.shaped(shape_of(model, values)).rest.vertices
        return float(vertices[:, 2].max() - vertices[:, 2].min()), volume(vertices, model.rig.faces)

    assert height_and_volume("height", 1.0)[0] > height_and_volume("height", 0.0)[0] + 0.2
    assert height_and_volume("weight", 1.0)[1] > height_and_volume("weight", 0.0)[1] + 0.005
    assert 0.4 < height_and_volume("age", -1 / 3)[0] < 0.6
    assert height_and_volume("age", -2.0) == height_and_volume("age", -1 / 3)


# Gradients.


def test_every_shape_parameter_has_a_gradient_at_the_default(model: AnnyBody) -> None:
    values = model.default_shape().values.requires_grad_()
    model.shaped(replace(model.default_shape(), values=values)).rest.vertices.square().sum().backward()
    assert values.grad is not None
    assert (values.grad.abs() > 1e-3).all()


def test_gradients_to_shape_and_pose() -> None:
    model = load_body(dtype=torch.float64)
    pose = random_pose(model)
    inputs = [torch.tensor([0.3, 0.6, 0.4, 0.7, 0.2, 0.8]), pose.local_quats, pose.root_position_world]

    def points(values: Tensor, quats: Tensor, root: Tensor) -> Tensor:
        body = model(shape_of(model, values), Pose(local_quats=quats, root_position_world=root))
        return torch.cat([body.vertices_world[::500], body.joints_world, model.keypoints_coco(body)])

    torch.autograd.gradcheck(points, [x.double().requires_grad_() for x in inputs], fast_mode=True)


# Doors.


def test_loads_once() -> None:
    assert load_body() is load_body("anny", torch.float32, device="cpu")
    assert load_body("cmu_mb") is load_body("cmu_mb")
    assert load_body(dtype=torch.float64).vertices.base.dtype == torch.float64


def test_wrong_inputs_are_refused(model: AnnyBody, golden: dict[str, np.ndarray], tmp_path: Path) -> None:
    shape = model.default_shape()
    with pytest.raises(ValueError, match=r"shape\.names: expected .*gender.*found \('betas',\)"):
        model.shaped(Shape(names=("betas",), values=torch.zeros(1)))
    with pytest.raises(ValueError, match=r"expected \(104, 4\) \(one frame\), found \(55, 4\)"):
        model(shape, Pose(local_quats=torch.zeros(55, 4), root_position_world=torch.zeros(3)))
    local_ref = torch.from_numpy(golden["local_ref"]).clone()
    local_ref[0, 7, 1, 3] = 0.01
    with pytest.raises(ValueError, match="found one of 10 mm"):
        model.pose_from_local_ref(local_ref, shape)
    with pytest.raises(ValueError, match="found a body on another"):
        load_body("cmu_mb").pose_from_local_ref(torch.from_numpy(golden["local_ref"]), shape)
    with pytest.raises(ValueError, match=r"rig: expected one of anny, cmu_mb, .*found 'mixamo'"):
        load_body("mixamo")
    with pytest.raises(FileNotFoundError, match=r"absent\.npz.*bake_body"):
        model.with_rig(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError, match=r"absent\.npz.*bake_body"):
        AnnyBody.from_file(tmp_path / "absent.npz", torch.float32, "cpu")
