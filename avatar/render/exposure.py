"""Cameras that see the same colour differently."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.structs import Rendering


class Exposure(nn.Module):
    """Gain and bias of red, green and blue of each training camera, of sRGB values; one and zero on the mean of them.

    What all cameras have in common belongs to the person's colour. Other cameras are taken as the mean of these.

    Attributes:
        log_gains, biases: a row a camera.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        super().__init__()
        self.log_gains = nn.Parameter(torch.zeros(len(cameras), 3))
        self.biases = nn.Parameter(torch.zeros(len(cameras), 3))
        self._rows = {name: row for row, name in enumerate(cameras)}

    def forward(self, rendering: Rendering, camera: str | None) -> Rendering:
        """The picture, over black, that the camera of this name would take."""
        row = self._rows.get(camera) if camera is not None else None
        if row is None:
            return rendering
        gain = (self.log_gains - self.log_gains.mean(0))[row].exp()
        bias = (self.biases - self.biases.mean(0))[row]
        return replace(rendering, color=gain * rendering.color + bias * rendering.alpha[..., None])

    def surprise(self, expected: float) -> Float[Tensor, ""]:
        """Mean squares of logarithmic gains and of biases, in units of what is ``expected`` of both."""
        return (self.log_gains / expected).square().mean() + (self.biases / expected).square().mean()
