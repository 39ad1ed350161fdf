"""Poses of SMPL, SMPL-H and SMPL-X as data sets store them, to poses of the house.

Files have rotation vectors of all joints in the model's axes, y up and facing +z; the house has the model z up and
facing -y. They place the body in one of two ways:

* EasyMocap, ZJU-MoCap: ``v = exp(Rh) v_model + Th``, a turn about the model's origin;
* smplx, AMASS: ``v = exp(g) (v_model - J0) + J0 + transl``, a turn about the pelvis ``J0``.

Both say where the pelvis stands, which is what :class:`~avatar.structs.Pose` holds, once ``J0`` of the person is known.
That takes the body model, whose files are each user's own, so it is passed in.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import matrices_from_axis_angles, quats_from_matrices
from avatar.structs import Pose, Shape

from .body_parameters import BodyParameters
from .errors import CaptureError

# The rig's name and the person's shape, to the pelvis of the person at rest in the house's axes. Raises
# FileNotFoundError or ValueError, which say what to do, where there is no such body model.
RootAtRest = Callable[[str, Shape], Float[Tensor, "3"]]
# The rig's name and coefficients ``[f 2 c]`` of both hands, to rotation vectors ``[f 2 45]``, the mean pose added, in
# the axes of the model's file. Raises likewise.
HandPoses = Callable[[str, Float[Tensor, "f 2 c"]], Float[Tensor, "f 2 45"]]
Placement = Literal["about_origin", "about_pelvis"]

LOG = logging.getLogger(__name__)
NO_BODY = "none"
JOINTS = {"smpl": 24, "smplh": 52, "smplx": 55}
HOUSE_FROM_MODEL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
LARGEST = 1e4


@dataclass(frozen=True, kw_only=True, eq=False)
class SmplPoses:
    """A sequence of poses as a file has them, in the file's world.

    Attributes:
        rig: ``smpl_neutral``, ``smplh_male``, ``smplx_female`` and so on.
        betas: the shape, constant over the sequence.
        turns: rotation vectors of all joints, radians; the first is that of the body in the world.
        offsets: ``Th`` or ``transl``, metres.
        placement: which of the two it is.
        hands: coefficients of the model's principal hand poses, left and right, which add to the fingers' ``turns``
            together with the model's mean pose (smplx's ``flat_hand_mean=False``); none where ``turns`` say it all.
    """

    rig: str
    betas: Float[np.ndarray, " b"]
    turns: Float[np.ndarray, "f j 3"]
    offsets: Float[np.ndarray, "f 3"]
    placement: Placement
    hands: Float[np.ndarray, "f 2 c"] | None = None

    @classmethod
    def checked(
        cls,
        path: Path,
        *,
        rig: str,
        betas: np.ndarray,
        turns: np.ndarray,
        offsets: np.ndarray,
        placement: Placement,
        hands: np.ndarray | None = None,
    ) -> "SmplPoses":
        """Poses of the file ``path``, ``turns`` of any shape that starts with the frames.

        ``betas`` of several frames are averaged. Raises CaptureError for numbers that are none or huge, or too many.
        """
        frames, joints = len(offsets), JOINTS[rig.partition("_")[0]]
        if turns.size != frames * joints * 3 or frames < 1:
            found = f"{turns.size} numbers for {frames} frames"
            raise CaptureError(path, f"expected rotation vectors of {joints} joints, got {found}; is it {rig}?")
        curls = np.zeros(0) if hands is None else hands
        for name, values in ("shape", betas), ("pose", turns), ("place", offsets), ("hands", curls):
            if not (np.abs(values) < LARGEST).all():
                raise CaptureError(path, f"{name}: expected finite numbers below {LARGEST:g}; fit the body again")
        return cls(
            rig=rig,
            betas=np.atleast_2d(betas).astype(np.float64).mean(axis=0),
            turns=turns.astype(np.float64).reshape(frames, joints, 3),
            offsets=offsets.astype(np.float64).reshape(frames, 3),
            placement=placement,
            hands=None if hands is None else hands.astype(np.float64).reshape(frames, 2, -1),
        )

    @property
    def shape(self) -> Shape:
        """The person's shape under the names that the body models have for it."""
        names = tuple(f"beta_{index}" for index in range(len(self.betas)))
        return Shape(names=names, values=torch.from_numpy(self.betas).float())

    def with_fingers(self, hand_poses: HandPoses | None) -> "SmplPoses":
        """The same poses with the hands' coefficients resolved; without ``hand_poses`` the fingers stay as they are."""
        if self.hands is None:
            return self
        if hand_poses is None:
            LOG.warning("%s: the poses of its hands need the body model; its fingers are left straight", self.rig)
            return replace(self, hands=None)
        added = hand_poses(self.rig, torch.from_numpy(self.hands)).double().numpy().reshape(len(self.turns), 30, 3)
        turns = self.turns.copy()
        turns[:, -30:] += added
        return replace(self, turns=turns, hands=None)

    def parameters(self, root_at_rest: RootAtRest, house_from_world: Float[np.ndarray, "3 3"]) -> BodyParameters:
        """The poses in the house's world, which is the file's turned by ``house_from_world``."""
        pelvis = HOUSE_FROM_MODEL.T @ root_at_rest(self.rig, self.shape).double().numpy()
        turns = matrices_from_axis_angles(torch.from_numpy(self.turns)).numpy()
        held = turns[:, 0] @ pelvis if self.placement == "about_origin" else pelvis
        local = HOUSE_FROM_MODEL @ turns @ HOUSE_FROM_MODEL.T
        local[:, 0] = house_from_world @ turns[:, 0] @ HOUSE_FROM_MODEL.T
        poses = Pose(
            local_quats=quats_from_matrices(torch.from_numpy(local)).float(),
            root_position_world=torch.from_numpy((held + self.offsets) @ house_from_world.T).float(),
        )
        return BodyParameters(rig=self.rig, shape=self.shape, poses=poses)


def no_body(num_frames: int) -> BodyParameters:
    """What stands for a body that is not known: the rig ``none``, which has no joints."""
    poses = Pose(local_quats=torch.zeros(num_frames, 0, 4), root_position_world=torch.zeros(num_frames, 3))
    return BodyParameters(rig=NO_BODY, shape=Shape(names=(), values=torch.zeros(0)), poses=poses)
