"""Pictures of the dancer: layers draped, lit, rasterized, painted."""

from itertools import accumulate
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from avatar.body import AnnyBody, ShapedBody
from avatar.geometry import interpolate
from avatar.render import view_mesh
from avatar.structs import Camera, Pose

from .clothes import drape, dress
from .light import irradiance
from .paint import paint

GAMMA = 2.2
INSIDE = 0.12
"""Light inside of clothes."""


class Figure(NamedTuple):
    """The dancer at one time, all layers as one mesh: vertices in world metres and the light on them, linear RGB."""

    vertices: Float[Tensor, "n 3"]
    light: Float[Tensor, "n 3"]


class Studio:
    """Keeps what all pictures share: the layers cut out of the body, as one mesh."""

    def __init__(self, model: AnnyBody, person: ShapedBody) -> None:
        self.person = person
        self.layers = dress(model, person)
        self.marks = torch.cat([layer.marks for layer in self.layers])
        starts = accumulate((len(layer.marks) for layer in self.layers), initial=0)
        self.faces = torch.cat([layer.faces + start for layer, start in zip(self.layers, starts, strict=False)])
        self.layer_of_face = torch.arange(len(self.layers)).repeat_interleave(
            torch.tensor([len(layer.faces) for layer in self.layers])
        )

    def figure(self, pose: Pose, before: Pose) -> Figure:
        """The dancer in ``pose``, who a moment earlier was in ``before``."""
        body, body_before = self.person.posed(pose), self.person.posed(before)
        draped = [drape(layer, body, body_before) for layer in self.layers]
        vertices, normals = (torch.cat(parts) for parts in zip(*draped, strict=True))
        return Figure(vertices, irradiance(vertices, normals, self.faces))

    def picture(
        self, figure: Figure, camera: Camera, oversampling: int
    ) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
        """The picture, sRGB over black, and how much of each pixel the dancer covers.

        Both are means over ``oversampling`` squared samples a pixel.
        """
        fine = camera.scaled(float(oversampling))
        pixels, _, raster = view_mesh(figure.vertices, self.faces, fine)
        is_seen = raster.triangles >= 0
        triangles, barycentrics = raster.triangles[is_seen], raster.barycentrics[is_seen]
        corners = self.faces[triangles]
        light = torch.where(
            self._shows_inside(pixels)[triangles, None], INSIDE, interpolate(figure.light, corners, barycentrics)
        )
        colors = self._paint(triangles, interpolate(self.marks, corners, barycentrics))
        samples = torch.zeros(fine.height, fine.width, 4)
        samples[is_seen] = pad((colors.pow(GAMMA) * light).clamp(0, 1).pow(1 / GAMMA), (0, 1), value=1.0)
        image = avg_pool2d(samples.movedim(-1, 0), oversampling).movedim(0, -1)
        return image[..., :3], image[..., 3]

    def _paint(self, triangles: Int[Tensor, " n"], marks: Float[Tensor, "n 4"]) -> Float[Tensor, "n 3"]:
        layers, colors = self.layer_of_face[triangles], marks.new_empty(len(marks), 3)
        for index, layer in enumerate(self.layers):
            colors[layers == index] = paint(layer.name, marks[layers == index])
        return colors

    def _shows_inside(self, pixels: Float[Tensor, "n 2"]) -> Bool[Tensor, " t"]:
        """Triangles seen from within: a sleeve's lining."""
        first, second, third = pixels[self.faces].unbind(1)
        (ax, ay), (bx, by) = (second - first).unbind(1), (third - first).unbind(1)
        return ax * by > ay * bx
