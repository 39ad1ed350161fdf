"""Light as a polynomial of the posed normal: what a fixed studio does to a person who turns in it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class NormalLight(nn.Module):
    """Multiplies colour by ``1 + c . p(n)``, ``p`` the harmonics of degree 1 and 2 (Ramamoorthi and Hanrahan 2001).

    Attributes:
        coefficients: one column for each of red, green, blue.
    """

    def __init__(self) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.zeros(8, 3))

    def forward(self, normals_world: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """The factor of each point's colour."""
        x, y, z = normals_world.unbind(-1)
        terms = torch.stack([x, y, z, x * y, y * z, x * z, 3 * z * z - 1, x * x - y * y], -1)
        return 1 + terms @ self.coefficients
