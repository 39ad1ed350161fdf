"""What everything is coloured with: formulas of the rest position, so patterns stick to cloth and skin."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from .clothes import BUN, neckline, smoothstep

Color = tuple[float, float, float]
INK: Color = (0.10, 0.14, 0.28)
CREAM: Color = (0.93, 0.90, 0.83)
CORAL: Color = (0.86, 0.30, 0.24)
WHITE: Color = (0.95, 0.95, 0.93)
SKIN: Color = (0.88, 0.67, 0.56)
LIPS: Color = (0.70, 0.34, 0.32)
DARK: Color = (0.12, 0.08, 0.06)
BROWN: Color = (0.26, 0.16, 0.11)
RED: Color = (1.0, 0.0, 0.0)
TEAL: Color = (0.12, 0.45, 0.47)
EDGE_M = 0.0008


def paint(name: str, marks: Float[Tensor, "n 4"]) -> Float[Tensor, "n 3"]:
    """sRGB of points of the layer ``name``; ``marks`` as ``landmarks`` gives them."""
    return PAINTS[name](*marks.unbind(1))


def _only(where: Tensor) -> Tensor:
    """What to add to distances so that they are inside an outline only ``where``."""
    return torch.where(where, 0.0, -1.0)


def _flat(color: Color, like: Tensor) -> Tensor:
    return torch.tensor(color).expand(len(like), 3)


def _over(base: Tensor, color: Color, inside_m: Tensor) -> Tensor:
    """``color`` where ``inside_m``, a distance from an outline, is positive."""
    return torch.lerp(base, torch.tensor(color), (inside_m / EDGE_M + 0.5).clamp(0, 1)[:, None])


def _bands(coordinate: Tensor, period: float, width: float) -> Tensor:
    """Distance into bands ``width`` wide, one each ``period``."""
    return 0.5 * width - (torch.remainder(coordinate, period) - 0.5 * period).abs()


def _skin(x: Tensor, y: Tensor, z: Tensor, arm: Tensor) -> Tensor:
    aside, is_face = x.abs(), _only(y < -0.10)
    blotches = torch.sin(40 * x + 3) * torch.sin(37 * z) * torch.sin(45 * y + 1)
    blush = torch.exp(-((aside - 0.047).square() + (z - 0.745).square()) / 0.018**2) * (y < -0.08)
    color = _flat(SKIN, x) * (1 + 0.04 * blotches - 0.11 * blush)[:, None] + 0.09 * blush[:, None] * torch.tensor(RED)
    mouth = (x / 0.023).square() + ((z - 0.7172 - 4 * x.square()) / (0.0095 - 0.12 * aside)).square()
    brows = 0.0024 - (z - 0.803 + 10 * (aside - 0.028).square()).abs() + _only((aside - 0.031).abs() < 0.019)
    lashes = 0.0016 - (z - 0.7895 + 9 * (aside - 0.030).square()).abs() + _only((aside - 0.030).abs() < 0.017)
    for part_color, inside_m in ((LIPS, 0.004 * (1 - mouth)), (BROWN, brows), (DARK, lashes)):
        color = _over(color, part_color, inside_m + is_face)
    return _over(color, TEAL, 0.015 - (arm - 0.40).abs() + _only(x > 0))


def _eyes(x: Tensor, y: Tensor, z: Tensor, arm: Tensor) -> Tensor:
    del y, arm
    radius = torch.hypot(x.abs() - 0.0303, z - 0.7835)
    color = _over(_flat(WHITE, x), (0.25, 0.16, 0.10), 0.0075 - radius)
    return _over(color, (0.03, 0.02, 0.02), 0.0035 - radius)


def _shirt(x: Tensor, y: Tensor, z: Tensor, arm: Tensor) -> Tensor:
    past_seam = arm - 0.012
    color = _over(_flat(CREAM, x), INK, _bands(torch.where(past_seam > 0, arm + 0.018, z + 0.006), 0.042, 0.020))
    seams = 0.003 - past_seam.abs() + _only(z > 0.4)
    hems = torch.stack([0.065 - z, arm - 0.149, 0.021 - neckline(x, y, z)]).amax(0)
    disc, star = _emblem(x, z - 0.425)
    is_chest, is_back = _only(y < -0.05), _only(y > -0.02)
    color = _over(_over(color, CORAL, torch.maximum(seams, hems)), CORAL, disc + is_chest)
    return _over(_over(color, WHITE, star + is_chest), CORAL, _chevrons(x, z - 0.40) + is_back)


def _emblem(x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """A disc and the five-pointed star in it."""
    radius, angle = torch.hypot(x, z), torch.atan2(x, z)
    sector = torch.remainder(angle + torch.pi / 5, 2 * torch.pi / 5) - torch.pi / 5
    along, across = radius * sector.cos(), radius * sector.sin().abs()
    star = 0.046 - along - across * 3.08
    return 0.064 - radius, star * 0.31


def _chevrons(x: Tensor, z: Tensor) -> Tensor:
    height = z + 0.7 * x.abs()
    return torch.minimum(_bands(height, 0.05, 0.026), torch.minimum(0.085 - x.abs(), 0.05 - height.abs()))


def _trousers(x: Tensor, y: Tensor, z: Tensor, arm: Tensor) -> Tensor:
    del arm
    fraction = ((z + 0.33) / 0.40).clamp(-1, 1)
    middle_x = 0.14 - 0.04 * fraction
    around = torch.atan2(y + 0.03, x.abs() - middle_x) * 0.075
    color = 0.5 * (_threads(around) + _threads(z))
    weave = 1 + 0.05 * torch.sin(z * 900) * torch.sin(around * 900)
    color = color * weave[:, None]
    return _over(color, INK, torch.maximum(z - 0.095, -0.685 - z))


def _threads(coordinate: Tensor) -> Tensor:
    """The colours of a tartan's threads along one direction."""
    color = _flat((0.16, 0.30, 0.36), coordinate)
    color = _over(color, (0.09, 0.13, 0.22), _bands(coordinate, 0.09, 0.036))
    color = _over(color, (0.85, 0.70, 0.30), _bands(coordinate + 0.045, 0.09, 0.007))
    return _over(color, (0.75, 0.78, 0.76), _bands(coordinate + 0.025, 0.09, 0.005))


def _shoes(x: Tensor, y: Tensor, z: Tensor, arm: Tensor) -> Tensor:
    del arm
    color = _over(_flat(CORAL, x), WHITE, -0.185 - y)
    laces = torch.minimum(_bands(y, 0.022, 0.009), 0.022 - (x.abs() - 0.176).abs())
    color = _over(color, WHITE, torch.minimum(laces, torch.minimum(z + 0.785, -0.05 - y)))
    return _over(color, WHITE, -0.797 - z)


def _hair(x: Tensor, y: Tensor, z: Tensor, arm: Tensor) -> Tensor:
    del arm
    angle = torch.atan2(x, z - 0.76 + 0.5 * y)
    strands = torch.sin(angle * 46 + 3 * torch.sin(y * 35)) + 0.6 * torch.sin(angle * 90 + 20 * y)
    above_scalp = 0.6 * (y - BUN[1]) + 0.8 * (z - BUN[2])
    swirl = torch.sin(torch.hypot(x, above_scalp - 0.05) * 400 + 2 * torch.atan2(x, above_scalp - 0.05))
    tone = torch.lerp(strands / 1.6, swirl, smoothstep(above_scalp, 0.010, 0.014))
    color = torch.tensor((0.22, 0.125, 0.075)) * (1 + 0.28 * tone)[:, None]
    return _over(color, CORAL, 0.005 - (above_scalp - 0.012).abs())


PAINTS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "skin": _skin,
    "eyes": _eyes,
    "shirt": _shirt,
    "trousers": _trousers,
    "shoes": _shoes,
    "hair": _hair,
}
