"""LPIPS on plain torch, from weights in the user's cache.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, equation 1; version
0.1, with learnt linear weights. Figures of different nets do not compare: always name the net.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from avatar.assets import LpipsNet, lpips_path

MIN_SIDE_PX = 32  # the smallest image that still has a pixel in the last features of either net


class Lpips(nn.Module):
    """One LPIPS net: its convolutions and the learnt weight of each feature channel."""

    def __init__(self, net: LpipsNet) -> None:
        super().__init__()
        match net:
            case "alex":
                self.depths, self.pools, self.pool_px = (1, 1, 1, 1, 1), (False, True, True, False, False), 3
                feature_widths = (64, 192, 384, 256, 256)
                layers = [
                    nn.Conv2d(3, 64, 11, stride=4, padding=2),
                    nn.Conv2d(64, 192, 5, padding=2),
                    nn.Conv2d(192, 384, 3, padding=1),
                    nn.Conv2d(384, 256, 3, padding=1),
                    nn.Conv2d(256, 256, 3, padding=1),
                ]
            case "vgg":
                self.depths, self.pools, self.pool_px = (2, 2, 3, 3, 3), (False, True, True, True, True), 2
                feature_widths = (64, 128, 256, 512, 512)
                widths = (3, 64, 64, 128, 128, 256, 256, 256, *[512] * 6)
                layers = [nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths)]
        self.convolutions = nn.ModuleList(layers)
        self.linears = nn.ParameterList(torch.empty(width) for width in feature_widths)
        self.requires_grad_(False)

    def forward(self, prediction: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]) -> Float[Tensor, ""]:
        """Distance of two sRGB images in [0, 1], of at least ``MIN_SIDE_PX`` pixels a side; 0 for equal ones."""
        images = torch.stack([prediction, truth]).permute(0, 3, 1, 2)
        distance = images.new_zeros(())
        for features, weight in zip(self._features(images), self.linears, strict=True):
            unit = features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)
            distance = distance + ((unit[0] - unit[1]).square() * weight[:, None, None]).sum(0).mean()
        return distance

    def _features(self, images: Float[Tensor, "b 3 h w"]) -> Iterator[Float[Tensor, "b d _h _w"]]:
        """The activations at the end of each of the five stages."""
        mean, deviation = images.new_tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
        features = (images - mean) / deviation
        layers = iter(self.convolutions)
        for depth, pool in zip(self.depths, self.pools, strict=True):
            if pool:
                features = F.max_pool2d(features, self.pool_px, stride=2)
            for _ in range(depth):
                features = next(layers)(features).relu()
            yield features


def load_lpips(net: LpipsNet) -> Lpips | None:
    """The net with its weights, or None where ``avatar assets fetch lpips`` has not been run.

    Raises ValueError when the file in the cache is broken.
    """
    path = lpips_path(net)
    if not path.is_file():
        return None
    model = Lpips(net)
    try:
        model.load_state_dict(load_file(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ValueError(
            f"{path}: not the weights of LPIPS-{net}; delete it and run 'avatar assets fetch lpips'"
        ) from error
    return model
