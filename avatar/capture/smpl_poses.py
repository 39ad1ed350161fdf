"""Poses of SMPL, SMPL-H and SMPL-X as data sets store them: rotation vectors of the joints, and a place.

They place the body in one of two ways:

* EasyMocap, ZJU-MoCap: ``v = exp(Rh) v_model + Th``, a turn about the model's origin;
* smplx, AMASS: ``v = exp(g) (v_model - J0) + J0 + transl``, a turn about the pelvis ``J0``.

Both say where the pelvis stands, which is what :class:`~avatar.structs.Pose` holds, once ``J0`` of the person is known.
That takes the body model, whose files are each user's own, so what makes poses of ours is passed in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from avatar.geometry import matrices_from_quats, quats_from_matrices
from avatar.structs import Pose, Shape

from .body_parameters import BodyParameters
from .errors import CaptureError

Placement = Literal["about_origin", "about_pelvis"]

NO_BODY = "none"
JOINTS = {"smpl": 24, "smplh": 52, "smplx": 55}
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
        hands: coefficients of the model's principal hand poses, left and right, or rotation vectors of their fifteen
            joints, to which the model's mean pose is to be added (smplx's ``flat_hand_mean=False``); they go in place
            of the fingers' ``turns``. None where ``turns`` say it all.
        moves: rigid transforms that the body of each time step goes through in the end; none for most sets.
    """

    rig: str
    betas: Float[np.ndarray, " b"]
    turns: Float[np.ndarray, "f j 3"]
    offsets: Float[np.ndarray, "f 3"]
    placement: Placement
    hands: Float[np.ndarray, "f 2 c"] | None = None
    moves: Float[np.ndarray, "f 4 4"] | None = None

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
        moves: np.ndarray | None = None,
    ) -> "SmplPoses":
        """Poses of the file ``path``, ``turns`` of any shape that starts with the frames.

        ``betas`` of several frames are averaged. Raises CaptureError for numbers that are none or huge, or too many.
        """
        frames, joints = len(offsets), JOINTS[rig.partition("_")[0]]
        if turns.size != frames * joints * 3 or frames < 1:
            found = f"{turns.size} numbers for {frames} frames"
            raise CaptureError(path, f"expected rotation vectors of {joints} joints, got {found}; is it {rig}?")
        given = {"shape": betas, "pose": turns, "place": offsets, "hands": hands, "moves": moves}
        for name, values in given.items():
            if values is not None and not (np.abs(values) < LARGEST).all():
                raise CaptureError(path, f"{name}: expected finite numbers below {LARGEST:g}; fit the body again")
        return cls(
            rig=rig,
            betas=np.atleast_2d(betas).astype(np.float64).mean(axis=0),
            turns=turns.astype(np.float64).reshape(frames, joints, 3),
            offsets=offsets.astype(np.float64).reshape(frames, 3),
            placement=placement,
            hands=None if hands is None else hands.astype(np.float64).reshape(frames, 2, -1),
            moves=moves,
        )

    @property
    def shape(self) -> Shape:
        """The person's shape under the names that the body models have for it."""
        names = tuple(f"beta_{index}" for index in range(len(self.betas)))
        return Shape(names=names, values=torch.from_numpy(self.betas).float())

    def parameters(self, pose_from_smpl: "PoseFromSmpl", house_from_world: Float[np.ndarray, "3 3"]) -> BodyParameters:
        """The poses in the house's world, which is the file's turned by ``house_from_world``."""
        moves = np.eye(4)[None] if self.moves is None else self.moves
        turns, steps = (torch.from_numpy(house_from_world @ part) for part in (moves[:, :3, :3], moves[:, :3, 3:]))
        poses = pose_from_smpl(self)
        root = quats_from_matrices(turns @ matrices_from_quats(poses.local_quats[:, 0].double()))
        places = turns @ poses.root_position_world.double()[..., None] + steps
        poses = Pose(
            local_quats=torch.cat([root[:, None], poses.local_quats[:, 1:].double()], dim=1).float(),
            root_position_world=places.squeeze(-1).float(),
        )
        return BodyParameters(rig=self.rig, shape=self.shape, poses=poses)


# Poses of a file to poses of ours in the file's world. Raises FileNotFoundError or ValueError, which say what to do,
# where there is no such body model.
PoseFromSmpl = Callable[[SmplPoses], Pose]


def no_body(num_frames: int) -> BodyParameters:
    """What stands for a body that is not known: the rig ``none``, which has no joints."""
    poses = Pose(local_quats=torch.zeros(num_frames, 0, 4), root_position_world=torch.zeros(num_frames, 3))
    return BodyParameters(rig=NO_BODY, shape=Shape(names=(), values=torch.zeros(0)), poses=poses)
