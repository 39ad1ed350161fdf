"""Pinhole projection in OpenCV axes: x right, y down, z forward; pixel centres at .5."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from .rigid import rigid_from_parts


def project(
    points_camera: Float[Tensor, "*b 3"], intrinsics_px: Float[Tensor, "3 3"]
) -> tuple[Float[Tensor, "*b 2"], Float[Tensor, "*b"]]:
    """Pixels and depths (metres along z). Pixels mean something only where the depth is positive."""
    depths = points_camera[..., 2]
    image = points_camera @ intrinsics_px[:2].mT
    return image / depths[..., None], depths


def unproject(
    pixels: Float[Tensor, "*b 2"], depths: Float[Tensor, "*b"], intrinsics_px: Float[Tensor, "3 3"]
) -> Float[Tensor, "*b 3"]:
    """The points in camera metres that ``project`` takes to these pixels and depths (metres along z)."""
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    return homogeneous @ torch.linalg.inv(intrinsics_px).mT * depths[..., None]


def projection_jacobian(
    points_camera: Float[Tensor, "*b 3"], intrinsics_px: Float[Tensor, "3 3"]
) -> Float[Tensor, "*b 2 3"]:
    """Derivative of the pixel to the point, pixels a metre (the affine map of Zwicker et al. 2001, equation 29)."""
    slopes = points_camera[..., :2] / points_camera[..., 2:]
    eye = torch.eye(2, dtype=slopes.dtype, device=slopes.device).expand(*slopes.shape, 2)
    normalized = torch.cat([eye, -slopes[..., None]], dim=-1) / points_camera[..., 2, None, None]
    return intrinsics_px[:2, :2] @ normalized


def look_at(
    eye_world: Float[Tensor, "*#b 3"], target_world: Float[Tensor, "*#b 3"], up_world: Float[Tensor, "*#b 3"]
) -> Float[Tensor, "*b 4 4"]:
    """``camera_from_world`` of a camera at the eye that sees the target in the middle and ``up_world`` upwards.

    Raises ValueError where the eye is at the target or looks along ``up_world``.
    """
    forward = normalize(target_world - eye_world, dim=-1)
    right = torch.linalg.cross(*torch.broadcast_tensors(forward, normalize(up_world, dim=-1)))
    if bool((torch.linalg.vector_norm(right, dim=-1) < 1e-6).any()):
        raise ValueError("look_at: expected a target off the eye and off the line along up_world, got one on it")
    right = normalize(right, dim=-1)
    rotations = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-2)
    return rigid_from_parts(rotations, -(rotations @ eye_world[..., None]).squeeze(-1))
