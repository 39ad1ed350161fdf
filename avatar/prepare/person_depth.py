"""How far away a person is: landmarks in one picture against a network's guess of where they are in space."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

ERROR_M = 0.06  # of a guess, across the line of sight
STEPS = 10


def locate(
    slopes: Float[Tensor, "f n 2"], weights: Float[Tensor, "f n"], guesses_m: Float[Tensor, "f n 3"]
) -> tuple[Float[Tensor, "f n 3"], Float[Tensor, " f"]]:
    """The guesses moved to where they project best onto the landmarks, and what each frame's misfit costs.

    Args:
        slopes: landmarks as x / z and y / z in the camera's axes.
        weights: 0 to 1; zero where a landmark is not seen.
        guesses_m: metres, by the axes of a camera that looks straight at the person, as a network sees it that is shown
            nothing but the person.

    Returns:
        The points in camera metres, and the sum of ``weights * r^2 / (r^2 + ERROR_M^2)`` over residuals r in metres at
        the points' depth (Geman and McClure 1985); NaN in frames without any landmark.
    """
    is_seen = (weights > 0) & slopes.isfinite().all(-1) & guesses_m.isfinite().all(-1)
    weights = torch.where(is_seen, weights, 0).double()
    slopes, guesses = (torch.where(is_seen[..., None], each, 0).double() for each in (slopes, guesses_m))
    middle = (weights[..., None] * slopes).sum(1) / weights.sum(1, keepdim=True).clamp_min(1e-9)
    guesses = guesses @ turns_towards(middle).mT
    points = guesses + _shift(slopes, weights, guesses)[:, None]
    for _ in range(STEPS):
        robust = weights / (1 + _squares(slopes, points)) ** 2
        points = guesses + _shift(slopes, robust, guesses)[:, None]
    costs = (weights * (1 - 1 / (1 + _squares(slopes, points)))).sum(1)
    return torch.where(is_seen[..., None], points, torch.nan), torch.where(is_seen.any(1), costs, torch.nan)


def turns_towards(slopes: Float[Tensor, "f 2"]) -> Float[Tensor, "f 3 3"]:
    """The smallest rotations that turn the camera's axes so that z points along these rays."""
    x, y, z = normalize(torch.cat([slopes, torch.ones_like(slopes[:, :1])], dim=-1), dim=-1).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, zero, x, zero, zero, y, -x, -y, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.eye(3).to(cross) + cross + cross @ cross / (1 + z)[:, None, None]


def _squares(slopes: Float[Tensor, "f n 2"], points: Float[Tensor, "f n 3"]) -> Float[Tensor, "f n"]:
    return (_residuals(slopes, points) / ERROR_M).square().sum(-1)


def _residuals(slopes: Float[Tensor, "f n 2"], points: Float[Tensor, "f n 3"]) -> Float[Tensor, "f n 2"]:
    """Metres across the camera's axis between points and the landmarks' rays at their depth."""
    return points[..., :2] - slopes * points[..., 2:]


def _shift(
    slopes: Float[Tensor, "f n 2"], weights: Float[Tensor, "f n"], guesses: Float[Tensor, "f n 3"]
) -> Float[Tensor, "f 3"]:
    """What moves the guesses nearest to the rays: least squares, linear in the shift."""
    rows = torch.cat([torch.eye(2).to(slopes).expand(*slopes.shape, 2), -slopes[..., None]], dim=-1)
    normal = torch.einsum("fn,fnri,fnrk->fik", weights, rows, rows)
    right = -torch.einsum("fn,fnri,fnr->fi", weights, rows, _residuals(slopes, guesses))
    return torch.linalg.solve(normal + 1e-9 * torch.eye(3).to(normal), right)
