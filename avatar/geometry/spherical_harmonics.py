"""Real spherical harmonics in the order and with the signs of 3D Gaussian splatting (Kerbl et al. 2023)."""

import torch
from jaxtyping import Float
from torch import Tensor

SH_C0 = 0.28209479177387814
"""The constant harmonic, ``1 / (2 sqrt(pi))``."""

_C1 = 0.4886025119029199
_C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
_C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)


def sh_basis(directions: Float[Tensor, "*b 3"], degree: int) -> Float[Tensor, "*b k"]:
    """The ``(degree + 1)**2`` harmonics of unit directions, ``l`` then ``m`` ascending.

    Raises ValueError for a degree outside 0 to 3.
    """
    if degree not in range(4):
        raise ValueError(f"degree: expected 0 to 3, got {degree}")
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    terms = [torch.full_like(x, SH_C0)]
    if degree > 0:
        terms += [-_C1 * y, _C1 * z, -_C1 * x]
    if degree > 1:
        terms += [_C2[0] * x * y, -_C2[0] * y * z, _C2[1] * (2 * zz - xx - yy), -_C2[0] * x * z, _C2[2] * (xx - yy)]
    if degree > 2:
        terms += [
            -_C3[0] * y * (3 * xx - yy),
            _C3[1] * x * y * z,
            -_C3[2] * y * (4 * zz - xx - yy),
            _C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
            -_C3[2] * x * (4 * zz - xx - yy),
            _C3[4] * z * (xx - yy),
            -_C3[0] * x * (xx - 3 * yy),
        ]
    return torch.stack(terms, dim=-1)


def scale_colors(sh: Float[Tensor, "n k 3"], factors: Float[Tensor, "n 3"]) -> Float[Tensor, "n k 3"]:
    """Harmonics whose colours, ``basis @ sh + 0.5``, are ``factors`` times as bright."""
    constant = sh[:, :1] * factors[:, None] + ((factors - 1) * (0.5 / SH_C0))[:, None]
    return torch.cat([constant, sh[:, 1:] * factors[:, None]], 1)


def evaluate_sh(sh: Float[Tensor, "n k d"], directions: Float[Tensor, "n 3"]) -> Float[Tensor, "n d"]:
    """``basis(direction) @ sh`` for each row; ``k`` is 1, 4, 9 or 16. Splats then add 0.5 and clamp at zero.

    Raises ValueError for another number of coefficients.
    """
    degrees = {1: 0, 4: 1, 9: 2, 16: 3}
    if sh.shape[1] not in degrees:
        raise ValueError(f"sh: expected 1, 4, 9 or 16 coefficients, got {sh.shape[1]}")
    return (sh_basis(directions, degrees[sh.shape[1]])[:, None] @ sh).squeeze(1)
