"""Rotations as unit quaternions ``wxyz``, 3x3 matrices and axis-angle vectors.

Every map here has finite derivatives everywhere, the identity and half turns included. Quaternions are taken as unit
unless a function says otherwise; ``q`` and ``-q`` are the same rotation.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize


def normalize_quats(quats: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Quaternions of any positive length scaled to length one; zeros stay zero."""
    return normalize(quats, dim=-1)


def conjugate_quats(quats: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Conjugates, which for unit quaternions are the inverse rotations."""
    return torch.cat([quats[..., :1], -quats[..., 1:]], dim=-1)


def multiply_quats(left: Float[Tensor, "*#b 4"], right: Float[Tensor, "*#b 4"]) -> Float[Tensor, "*b 4"]:
    """Hamilton product: rotates by ``right`` first, then by ``left``."""
    w1, x1, y1, z1 = left.unbind(-1)
    w2, x2, y2, z2 = right.unbind(-1)
    return torch.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        dim=-1,
    )


def rotate_points(quats: Float[Tensor, "*#b 4"], points: Float[Tensor, "*#b 3"]) -> Float[Tensor, "*b 3"]:
    """Points or directions turned by unit quaternions, pairwise."""
    w = quats[..., :1]
    axis, points = torch.broadcast_tensors(quats[..., 1:], points)
    twice = 2.0 * torch.linalg.cross(axis, points)
    return points + w * twice + torch.linalg.cross(axis, twice)


def matrices_from_quats(quats: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of unit quaternions."""
    w, x, y, z = quats.unbind(-1)
    x2, y2, z2 = 2.0 * x, 2.0 * y, 2.0 * z
    wx, wy, wz = w * x2, w * y2, w * z2
    xx, xy, xz = x * x2, x * y2, x * z2
    yy, yz, zz = y * y2, y * z2, z * z2
    entries = [1 - yy - zz, xy - wz, xz + wy, xy + wz, 1 - xx - zz, yz - wx, xz - wy, yz + wx, 1 - xx - yy]
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def quats_from_matrices(matrices: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions of rotation matrices, on the half ``w >= 0``.

    The sixteen products ``4 q_i q_k`` are linear in the entries of the matrix, and the row with the longest ``q_i`` is
    at least twice the quaternion, so nothing divides by a small number (Shepperd 1978, all four branches at once).
    """
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = matrices.flatten(-2).unbind(-1)
    wx, wy, wz, xy, xz, yz = m21 - m12, m02 - m20, m10 - m01, m01 + m10, m02 + m20, m12 + m21
    ww, xx, yy, zz = 1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22
    products = torch.stack([ww, wx, wy, wz, wx, xx, xy, xz, wy, xy, yy, yz, wz, xz, yz, zz], dim=-1).unflatten(
        -1, (4, 4)
    )
    longest = products.detach().diagonal(dim1=-2, dim2=-1).max(dim=-1).indices  # ten times faster than argmax
    row = products.gather(-2, longest[..., None, None].expand(*longest.shape, 1, 4)).squeeze(-2)
    return _upper_half(normalize_quats(row))


def quats_from_axis_angles(axis_angles: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions of rotation vectors (axis times angle, radians, any length)."""
    angle = torch.linalg.vector_norm(axis_angles, dim=-1, keepdim=True)
    return torch.cat([torch.cos(0.5 * angle), 0.5 * torch.sinc(angle / (2.0 * math.pi)) * axis_angles], dim=-1)


def axis_angles_from_quats(quats: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3"]:
    """Rotation vectors of unit quaternions: axis times angle, the angle in [0, pi]."""
    quats = _upper_half(quats)
    w, axis = quats[..., :1], quats[..., 1:]
    squared = (axis * axis).sum(-1, keepdim=True)
    is_small = squared < 1e-6  # the first term left out, (s/w)^6 / 7, is then below a float64's rounding
    sine = torch.sqrt(torch.where(is_small, torch.ones_like(squared), squared))
    cosine = torch.where(is_small, w, torch.ones_like(w))
    ratio = squared / (cosine * cosine)
    series = 2.0 / cosine * (1.0 - ratio / 3.0 + ratio * ratio / 5.0)
    return torch.where(is_small, series, 2.0 * torch.atan2(sine, w) / sine) * axis


def matrices_from_axis_angles(axis_angles: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of rotation vectors (axis times angle, radians, any length)."""
    return matrices_from_quats(quats_from_axis_angles(axis_angles))


def axis_angles_from_matrices(matrices: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Rotation vectors of rotation matrices: axis times angle, the angle in [0, pi]."""
    return axis_angles_from_quats(quats_from_matrices(matrices))


def slerp(
    start: Float[Tensor, "*#b 4"], end: Float[Tensor, "*#b 4"], fraction: Float[Tensor, "*#b"] | float
) -> Float[Tensor, "*b 4"]:
    """The rotation at ``fraction`` of the shorter way from ``start`` to ``end``, at constant speed (Shoemake 1985)."""
    fraction = torch.as_tensor(fraction, dtype=start.dtype, device=start.device)[..., None]
    end = torch.where((start * end).sum(-1, keepdim=True) < 0, -end, end)
    chord = torch.linalg.vector_norm(start - end, dim=-1, keepdim=True)
    angle = 2.0 * torch.atan2(chord, torch.linalg.vector_norm(start + end, dim=-1, keepdim=True))
    return _sine_ratio(1.0 - fraction, angle) * start + _sine_ratio(fraction, angle) * end


def _sine_ratio(fraction: Tensor, angle: Tensor) -> Tensor:
    """``sin(fraction * angle) / sin(angle)``, smooth at zero."""
    return fraction * torch.sinc(fraction * angle / math.pi) / torch.sinc(angle / math.pi)


def _upper_half(quats: Tensor) -> Tensor:
    return torch.where(quats[..., :1] < 0, -quats, quats)


def nearest_rotations(matrices: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The rotations nearest to matrices, by the sum of squares of their differences.

    Of the sum of ``target source^T`` over points it is the rotation that best turns source into target (Kabsch 1976).
    """
    left, _, right = torch.linalg.svd(matrices)
    sign = torch.linalg.det(left @ right)
    return left * torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], dim=-1)[..., None, :] @ right
