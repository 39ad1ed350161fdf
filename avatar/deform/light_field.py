"""Light as a field in the world, which multiplies colours that a person carries along.

The light head of Dual-Space NeRF (Zhi et al. 2022, section 3.3) with a gain for each channel, and with the harmonics of
the normal beside its network: most of what a studio does to a person is in them (Ramamoorthi and Hanrahan 2001).
"""

import math
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import elu

from avatar.engine import relu_net
from avatar.geometry import matrices_from_axis_angles, sh_basis
from avatar.structs import Pose

_BODY_M = 1.0  # that a body reaches from its root
_PROBES = 128


@dataclass(frozen=True, kw_only=True)
class LightFieldConfig:
    """Size of the light's network, and how strongly its scale is held.

    Attributes:
        hidden: width of its two hidden layers.
        sees_directions: light depends on where it is seen from too, as gloss does; Gaussians have harmonics for that.
        prior: weight of ``LightField.surprise`` in the loss.
    """

    hidden: int = 64
    sees_directions: bool = True
    prior: float = 0.1

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ValueError(f"LightFieldConfig.hidden: expected at least 1, got {self.hidden}")
        if not self.prior >= 0:
            raise ValueError(f"LightFieldConfig.prior: expected zero or more, got {self.prior}")


class LightField(nn.Module):
    """How many times brighter than its essence the light makes a place of a body: 1 everywhere before training.

    The gain is ``1 + ELU(c . p(n) + g(n, x, d))``: ``p`` the harmonics of degree 1 and 2, ``g`` a small network.

    Attributes:
        center_world: mean place of the root in training, metres.
        roots_world: the lowest and highest coordinates of the roots, metres.
        light_from_world: how the light has been turned, a rotation about a vertical axis through ``center_world``.
        coefficients: of the harmonics, one column for each of red, green, blue.
    """

    center_world: Float[Tensor, "3"]
    roots_world: Float[Tensor, "2 3"]
    light_from_world: Float[Tensor, "3 3"]

    def __init__(self, poses: Pose, config: LightFieldConfig) -> None:
        """A light around the training ``poses``."""
        super().__init__()
        self.config = config
        roots = poses.root_position_world
        self.register_buffer("center_world", roots.mean(0))
        self.register_buffer("roots_world", torch.stack([roots.amin(0), roots.amax(0)]))
        self.register_buffer("light_from_world", torch.eye(3))
        self.coefficients = nn.Parameter(torch.zeros(8, 3))
        widths = (9 if config.sees_directions else 6, config.hidden, config.hidden, 3)
        self.residual = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        for parameter in self.residual[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(
        self,
        normals_world: Float[Tensor, "s 3"],
        points_world: Float[Tensor, "s 3"],
        directions_world: Float[Tensor, "s 3"] | None = None,
    ) -> Float[Tensor, "s 3"]:
        """The gain of red, green and blue, positive, at places with these outward normals.

        Args:
            normals_world: unit.
            points_world: metres, after ``shift`` where the person stands elsewhere.
            directions_world: unit, from the camera on; only for a light that sees them.
        """
        assert (directions_world is not None) == self.config.sees_directions
        reach = (self.roots_world - self.center_world).abs().amax() + _BODY_M
        vectors = [normals_world, (points_world - self.center_world) / reach]
        if directions_world is not None:
            vectors.append(directions_world)
        turned = [vector @ self.light_from_world.T for vector in vectors]
        harmonics = sh_basis(turned[0], 2)[:, 1:] @ self.coefficients
        parameters = list(self.residual.parameters())
        residual = relu_net(torch.cat(turned, 1), parameters[::2], parameters[1::2])
        return 1 + elu(harmonics + residual)

    def shift(self, root_position_world: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
        """From a person to the nearest place where training has shown the light, metres; zero within.

        Nobody knows the light elsewhere: with this added to its points, a body is lit as if it stood there, turned as
        it is. The published shift goes to the centre always; this one is that where training stood on one spot.
        """
        return root_position_world.clamp(*self.roots_world) - root_position_world

    def turned(self, angle_rad: float) -> "LightField":
        """A copy of the light, turned counter-clockwise about the vertical through ``center_world``."""
        copy = deepcopy(self)
        turn = matrices_from_axis_angles(self.center_world.new_tensor([0.0, 0.0, -angle_rad]))
        copy.light_from_world = self.light_from_world @ turn
        return copy

    def surprise(self) -> Float[Tensor, ""]:
        """Squared distance from one of the gain's mean over all directions of the normal, at the centre, seen face on.

        It fixes what pictures cannot tell: a brighter person in a darker light.
        """
        normals = _sphere(_PROBES).to(self.center_world)
        seen = -normals if self.config.sees_directions else None
        gain = self(normals, self.center_world.expand(_PROBES, 3), seen)
        return (gain.mean(0) - 1).square().sum()

    def cost(self) -> Float[Tensor, ""]:
        """What the surprise costs, in the units of the loss."""
        return self.config.prior * self.surprise()


def _sphere(count: int) -> Float[Tensor, "n 3"]:
    """Unit directions, evenly spread along a spiral."""
    turn = torch.arange(count) * math.pi * (3 - 5**0.5)
    z = 1 - (2 * torch.arange(count) + 1) / count
    radius = (1 - z.square()).sqrt()
    return torch.stack([radius * turn.cos(), radius * turn.sin(), z], 1)
