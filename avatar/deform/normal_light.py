"""Light as a polynomial of the posed normal: what a fixed studio does to a person who turns in it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.engine import relight


@dataclass(frozen=True, kw_only=True)
class NormalLightConfig:
    """A light that is the same everywhere."""


class NormalLight(nn.Module):
    """Multiplies colour by ``1 + c . p(n)``, ``p`` the harmonics of degree 1 and 2 (Ramamoorthi and Hanrahan 2001).

    Attributes:
        coefficients: one column for each of red, green, blue.
    """

    def __init__(self) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.zeros(8, 3))

    def forward(
        self, sh: Float[Tensor, "n k 3"], added: Float[Tensor, "n 3"] | None, normals_world: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "n k 3"]:
        """Harmonics of colour in this light; ``added`` sRGB comes on top before."""
        return relight(sh, added, normals_world, self.coefficients)
