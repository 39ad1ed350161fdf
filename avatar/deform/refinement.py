"""What the pictures say against the capture: poses, pivots of the joints and cameras, a little corrected."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.geometry import matrices_from_axis_angles, multiply_quats, quats_from_axis_angles, rigid_from_parts
from avatar.structs import Body, Pose

from .frame_regression import FrameRegression
from .pose_features import PoseFeatures

_NOISE = 0.1  # of the corrections of single frames, of their variance
_NUM_FEATURES, _FEATURE_LIMIT, _REACH = 6, 3.0, 5.0  # of the pose; limit and reach in its standard deviations


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """Which parts of a capture are corrected, and how large corrections are expected to be.

    Attributes:
        poses: rotations of the joints and the place of the root, as a smooth function of pose and time.
        joints: rest positions of the joints; the surface between them is the displacement's.
        cameras: a small rigid motion of each training camera.
        exposure: gain and bias of each training camera.
        pose_rad, pose_m, joint_m, camera_rad, camera_m, exposure_log: expected sizes.
        prior: weight of the mean squares of corrections in units of these.
    """

    poses: bool = False
    joints: bool = False
    cameras: bool = False
    exposure: bool = False
    pose_rad: float = 0.03
    pose_m: float = 0.01
    joint_m: float = 0.01
    camera_rad: float = 0.005
    camera_m: float = 0.01
    exposure_log: float = 0.1
    prior: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("pose_rad", "pose_m", "joint_m", "camera_rad", "camera_m", "exposure_log"):
            if not getattr(self, name) > 0:
                raise ValueError(f"RefineConfig.{name}: expected a positive number, got {getattr(self, name)}")
        if not self.prior >= 0:
            raise ValueError(f"RefineConfig.prior: expected zero or more, got {self.prior}")


def _surprise(correction: Tensor, expected: float) -> Float[Tensor, ""]:
    return (correction / expected).square().mean()


class PoseRefinement(nn.Module):
    """A rotation of every joint and a shift of the root as a function of pose and time.

    The function is known by its values near the training frames and is the same for poses that were never seen: what
    were right for single frames only would let the surface drift to where unseen poses do not find it.

    Attributes:
        axis_angles: ``frames joints 3``, applied after the captured local rotation, radians.
        shifts: ``frames 3``, metres.
    """

    def __init__(self, poses: Pose, frame_ids: Sequence[int], config: RefineConfig) -> None:
        super().__init__()
        self.config = config
        frames, joints = poses.local_quats.shape[:2]
        self.axis_angles = nn.Parameter(torch.zeros(frames, joints, 3))
        self.shifts = nn.Parameter(torch.zeros(frames, 3))
        features = PoseFeatures(poses, _NUM_FEATURES, _FEATURE_LIMIT)
        self.regression = FrameRegression(features, poses, frame_ids, noise=_NOISE, reach=_REACH)

    def forward(self, pose: Pose) -> Pose:
        """The corrected pose."""
        weights = self.regression(pose)
        turns = quats_from_axis_angles((weights @ self.axis_angles.flatten(1)).view(-1, 3))
        return replace(
            pose,
            local_quats=multiply_quats(pose.local_quats, turns),
            root_position_world=pose.root_position_world + weights @ self.shifts,
        )

    def surprise(self) -> Float[Tensor, ""]:
        """Mean squares of the corrections, in units of what is expected."""
        return _surprise(self.axis_angles, self.config.pose_rad) + _surprise(self.shifts, self.config.pose_m)


class JointRefinement(nn.Module):
    """Moves the joints at rest, about which the surface turns.

    Attributes:
        offsets: one a joint, model frame, metres.
    """

    def __init__(self, num_joints: int, config: RefineConfig) -> None:
        super().__init__()
        self.config = config
        self.offsets = nn.Parameter(torch.zeros(num_joints, 3))

    def forward(self, joints_rest: Float[Tensor, "j 3"]) -> Float[Tensor, "j 3"]:
        """Corrected rest positions, metres."""
        return joints_rest + self.offsets

    def surprise(self) -> Float[Tensor, ""]:
        """Mean square of the offsets, in units of what is expected."""
        return _surprise(self.offsets, self.config.joint_m)


class CameraRefinement(nn.Module):
    """A small rigid motion of the world before each training camera, none on the mean of them.

    Moving a camera is moving what it sees the other way. A motion that all cameras have in common is one of the person,
    which the poses tell, so cameras that took no part in training keep their place.

    Attributes:
        turns: one a camera, axis-angles about ``pivot_world``, radians.
        shifts: one a camera, metres.
    """

    pivot_world: Float[Tensor, "3"]

    def __init__(self, cameras: Sequence[str], poses: Pose, config: RefineConfig) -> None:
        super().__init__()
        self.config = config
        self.turns = nn.Parameter(torch.zeros(len(cameras), 3))
        self.shifts = nn.Parameter(torch.zeros(len(cameras), 3))
        self.register_buffer("pivot_world", poses.root_position_world.mean(0))
        self._rows = {name: row for row, name in enumerate(cameras)}

    def forward(self, body: Body, camera: str | None) -> Body:
        """The body where the camera of this name sees it; other cameras see it where it is."""
        row = self._rows.get(camera) if camera is not None else None
        if row is None:
            return body
        turn = matrices_from_axis_angles((self.turns - self.turns.mean(0))[row])
        shift = self.pivot_world - turn @ self.pivot_world + (self.shifts - self.shifts.mean(0))[row]
        return replace(body, posed_from_rest=rigid_from_parts(turn, shift) @ body.posed_from_rest)

    def surprise(self) -> Float[Tensor, ""]:
        """Mean squares of the motions, in units of what is expected."""
        return _surprise(self.turns, self.config.camera_rad) + _surprise(self.shifts, self.config.camera_m)


class Refinement(nn.Module):
    """Those corrections that a config asks for; the others pass everything as it is."""

    def __init__(self, poses: Pose, frame_ids: Sequence[int], cameras: Sequence[str], config: RefineConfig) -> None:
        super().__init__()
        joints = poses.local_quats.shape[-2]
        self.poses = PoseRefinement(poses, frame_ids, config) if config.poses else None
        self.joints = JointRefinement(joints, config) if config.joints else None
        self.cameras = CameraRefinement(cameras, poses, config) if config.cameras else None

    def pose(self, pose: Pose) -> Pose:
        """The corrected pose."""
        return pose if self.poses is None else self.poses(pose)

    def joints_rest(self, joints_rest: Float[Tensor, "j 3"]) -> Float[Tensor, "j 3"]:
        """The corrected rest positions of the joints, metres."""
        return joints_rest if self.joints is None else self.joints(joints_rest)

    def seen(self, body: Body, camera: str | None) -> Body:
        """The body where the camera of this name sees it."""
        return body if self.cameras is None else self.cameras(body, camera)

    def surprise(self) -> Float[Tensor, ""] | float:
        """Mean squares of all corrections, in units of what is expected; zero where there are none."""
        parts = [part for part in (self.poses, self.joints, self.cameras) if part is not None]
        return sum((part.surprise() for part in parts), 0.0)
