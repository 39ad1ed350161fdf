"""One body model's person and poses as another's."""

import pytest
import torch

from avatar.body import AnnyBody, load_body
from avatar.body_conversion import ConversionConfig, Converted, convert, converted_capture, sampled
from avatar.geometry import quats_from_axis_angles
from avatar.structs import Camera, Capture, Frame, Pose, Shape

QUICK = ConversionConfig(num_points=200, rounds=3, person_steps=20, pose_steps=15)
LIMBS = ("LeftArm", "RightArm", "LeftForeArm", "RightForeArm", "LeftUpLeg", "RightUpLeg", "LeftLeg", "RightLeg")


def moves(body: AnnyBody, frames: int = 2) -> Pose:
    """Somebody who turns, away from the origin, with limbs bent by chance."""
    generator = torch.Generator().manual_seed(0)
    turns = torch.zeros(frames, len(body.parents), 3)
    rows = [body.joint_names.index(name) for name in LIMBS]
    turns[:, rows] = 0.4 * torch.randn(frames, len(rows), 3, generator=generator)
    turns[:, 0, 2] = torch.linspace(1, 2, frames)
    return Pose(
        local_quats=quats_from_axis_angles(turns), root_position_world=torch.tensor([1.0, -2.0, 0.9]).expand(frames, 3)
    )


@pytest.fixture(scope="module")
def made() -> tuple[Shape, Pose, Converted]:
    """A person on the skeleton of the CMU captures, and what becomes of it on Anny's own."""
    body = load_body("cmu_mb")
    shape = Shape(names=body.shape_names, values=torch.tensor([0.2, 0.6, 0.6, 0.4, 0.7, 0.5]))
    poses = moves(body)
    return shape, poses, convert(body, shape, poses, load_body("anny"), QUICK)


def test_the_body_is_in_the_same_place(made: tuple[Shape, Pose, Converted]) -> None:
    """Both skeletons move the same surface, so where its vertices should be is known."""
    shape, poses, converted = made
    given = load_body("cmu_mb").shaped(shape)
    found = load_body("anny").shaped(converted.shape)
    for frame in range(2):
        wanted = given.posed(poses[frame]).vertices_world
        errors = (found.posed(converted.poses[frame]).vertices_world - wanted).norm(dim=1)
        assert float(errors.mean()) < 0.015
        assert float(errors.quantile(0.99)) < 0.05


def test_the_report_is_of_what_is_returned(made: tuple[Shape, Pose, Converted]) -> None:
    shape, poses, converted = made
    report = converted.report
    assert report.joint_errors_m.shape == (2, 12)
    assert report.surface_errors_m.shape == (2, QUICK.num_points)
    assert float(report.surface_errors_m.mean()) < 0.006
    assert float(report.joint_errors_m.mean()) < 0.015
    given, found = load_body("cmu_mb"), load_body("anny")
    knee = [body.joint_names.index(name) for body, name in ((given, "LeftLeg"), (found, "lowerleg01.L"))]
    places = [
        body(some, pose).joints_world[row]
        for body, some, pose, row in (
            (given, shape, poses[1], knee[0]),
            (found, converted.shape, converted.poses[1], knee[1]),
        )
    ]
    said = report.joint_errors_m[1, report.joint_names.index("left_lower_leg")]
    torch.testing.assert_close((places[0] - places[1]).norm(), said, atol=1e-5, rtol=0)
    assert report.sentence().startswith(f"joints {1e3 * float(report.joint_errors_m.mean()):.1f} mm apart on average")


def test_the_shape_is_nearer_than_the_default(made: tuple[Shape, Pose, Converted]) -> None:
    shape, _, converted = made
    middle = load_body("anny").default_shape()
    heights = [
        float(load_body("anny").shaped(some).rest.vertices[:, 2].amax()) for some in (shape, converted.shape, middle)
    ]
    assert abs(heights[1] - heights[0]) < 0.3 * abs(heights[2] - heights[0])


def test_a_capture_gets_the_other_body(made: tuple[Shape, Pose, Converted]) -> None:
    shape, poses, _ = made
    camera = Camera(name="A", camera_from_world=torch.eye(4), intrinsics_px=torch.eye(3), height=8, width=8)

    def load_frame(frame_id: int, camera_id: int, cropped: bool) -> Frame:
        image, mask = torch.zeros(8, 8, 3), torch.zeros(8, 8, dtype=torch.bool)
        pose = poses[frame_id]
        return Frame(camera=camera, image=image, is_foreground=mask, pose=pose, frame_id=frame_id, camera_id=camera_id)

    capture = Capture(
        name="two",
        cameras=(camera,),
        poses=poses,
        shape=shape,
        splits={},
        frame_rate_hz=30.0,
        load_frame=load_frame,
        rig="cmu_mb",
    )
    coarse = ConversionConfig(num_points=20, rounds=1, person_steps=1, pose_steps=1)
    converted, report = converted_capture(capture, "anny", coarse)
    assert (converted.rig, converted.shape.names) == ("anny", shape.names)
    frame = converted.load_frame(1, 0, False)
    assert torch.equal(frame.pose.local_quats, converted.poses.local_quats[1])
    assert frame.pose.frame_id == 1
    assert report.joint_errors_m.shape == (2, 12)


def test_a_model_of_some_vertices_is_the_model(made: tuple[Shape, Pose, Converted]) -> None:
    body, (shape, poses, _) = load_body("cmu_mb"), made
    rows = torch.tensor([7, 3, 900])
    some = sampled(body, rows)(shape, poses[0]).vertices_world
    torch.testing.assert_close(some, body(shape, poses[0]).vertices_world[rows], atol=1e-6, rtol=0)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ConversionConfig\.rounds: expected more than 0, got 0"):
        ConversionConfig(rounds=0)
