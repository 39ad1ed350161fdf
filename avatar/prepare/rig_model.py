"""All cameras of a rig as one function of what calibration may have got wrong, with its derivatives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import axis_angles_from_matrices, matrices_from_axis_angles, rigid_from_parts
from avatar.structs import Camera

# A camera's freedoms: its turn and shift in its own axes (rad, m), the logarithm of its focal length, its principal
# point (px) and its first coefficient of radial distortion.
TURN: Final = slice(0, 3)
SHIFT: Final = slice(3, 6)
FOCAL: Final = slice(6, 7)
PRINCIPAL: Final = slice(7, 9)
RADIAL: Final = slice(9, 10)
NUM_FREEDOMS: Final = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class RigModel:
    """Pinhole cameras with one radial coefficient each, in double precision.

    Attributes:
        rotations, translations: from world to camera, metres.
        focals_px, principals_px: along x and y.
        radials: k1 of ``x (1 + k1 |x|^2)`` on the normalised image plane.
    """

    rotations: Float[Tensor, "c 3 3"]
    translations: Float[Tensor, "c 3"]
    focals_px: Float[Tensor, "c 2"]
    principals_px: Float[Tensor, "c 2"]
    radials: Float[Tensor, " c"]

    @staticmethod
    def of(cameras: Sequence[Camera]) -> "RigModel":
        """The cameras as they are, without distortion."""
        poses = torch.stack([camera.camera_from_world.double() for camera in cameras])
        intrinsics = torch.stack([camera.intrinsics_px.double() for camera in cameras])
        return RigModel(
            rotations=poses[:, :3, :3],
            translations=poses[:, :3, 3],
            focals_px=intrinsics[:, :2, :2].diagonal(dim1=1, dim2=2),
            principals_px=intrinsics[:, :2, 2],
            radials=intrinsics.new_zeros(len(cameras)),
        )

    def cameras(self, like: Sequence[Camera]) -> tuple[Camera, ...]:
        """House cameras with the names and sizes of others; the distortion is left out."""
        poses, intrinsics = rigid_from_parts(self.rotations, self.translations), self.intrinsics_px
        return tuple(
            replace(camera, camera_from_world=poses[i].float(), intrinsics_px=intrinsics[i].float())
            for i, camera in enumerate(like)
        )

    @property
    def intrinsics_px(self) -> Float[Tensor, "c 3 3"]:
        """Focal lengths and principal points as matrices."""
        upper = torch.cat([self.focals_px.diag_embed(), self.principals_px[..., None]], dim=-1)
        return torch.cat([upper, upper.new_tensor([[[0.0, 0.0, 1.0]]]).expand(len(upper), 1, 3)], dim=1)

    @property
    def projections(self) -> Float[Tensor, "c 3 4"]:
        """From homogeneous world points to homogeneous pixels, without the distortion."""
        return self.intrinsics_px @ torch.cat([self.rotations, self.translations[..., None]], dim=-1)

    def moved(self, step: Float[Tensor, "c 10"]) -> "RigModel":
        """The rig after a step of all freedoms."""
        turn = matrices_from_axis_angles(step[:, TURN])
        return RigModel(
            rotations=turn @ self.rotations,
            translations=(turn @ self.translations[..., None])[..., 0] + step[:, SHIFT],
            focals_px=self.focals_px * step[:, FOCAL].exp(),
            principals_px=self.principals_px + step[:, PRINCIPAL],
            radials=self.radials + step[:, RADIAL][:, 0],
        )

    def changes(self, start: "RigModel") -> Float[Tensor, "c 10"]:
        """The step that leads here from ``start``."""
        turn = self.rotations @ start.rotations.mT
        shift = self.translations - (turn @ start.translations[..., None])[..., 0]
        focal = (self.focals_px / start.focals_px).log()[:, :1]
        radial = (self.radials - start.radials)[:, None]
        return torch.cat(
            [axis_angles_from_matrices(turn), shift, focal, self.principals_px - start.principals_px, radial], dim=-1
        )

    def project(self, points_world: Float[Tensor, "n 3"]) -> Float[Tensor, "c n 2"]:
        """Pixels of the points in every camera."""
        slopes = _slopes(self._in_cameras(points_world))
        bent = slopes * (1 + self.radials[:, None, None] * slopes.square().sum(dim=-1, keepdim=True))
        return bent * self.focals_px[:, None] + self.principals_px[:, None]

    def jacobians(
        self, points_world: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "c n 2 10"], Float[Tensor, "c n 2 3"]]:
        """Derivatives of the pixels to the cameras' freedoms and to the points."""
        points = self._in_cameras(points_world)
        slopes, eye = _slopes(points), torch.eye(3, dtype=points.dtype)
        squared = slopes.square().sum(dim=-1)[..., None, None]
        radials = self.radials[:, None, None, None]
        bend = (1 + radials * squared) * eye[:2, :2] + 2 * radials * slopes[..., :, None] * slopes[..., None, :]
        flat = (
            torch.cat([eye[:2, :2].expand(*slopes.shape, 2), -slopes[..., None]], dim=-1) / points[..., 2, None, None]
        )
        by_point = self.focals_px[:, None, :, None] * (bend @ flat)
        cross = torch.linalg.cross(points[..., None, :], eye.expand(*points.shape, 3))  # the rows are point x axis
        by_focal = (self.project(points_world) - self.principals_px[:, None])[..., None]
        by_radial = (self.focals_px[:, None] * slopes)[..., None] * squared
        by_principal = eye[:2, :2].expand(*slopes.shape, 2)
        by_camera = torch.cat([by_point @ -cross.mT, by_point, by_focal, by_principal, by_radial], dim=-1)
        return by_camera, by_point @ self.rotations[:, None]

    def _in_cameras(self, points_world: Float[Tensor, "n 3"]) -> Float[Tensor, "c n 3"]:
        return points_world @ self.rotations.mT + self.translations[:, None]


def _slopes(points_camera: Float[Tensor, "c n 3"]) -> Float[Tensor, "c n 2"]:
    return points_camera[..., :2] / points_camera[..., 2:]
