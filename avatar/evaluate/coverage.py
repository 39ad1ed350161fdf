"""Which skin the cameras of a split have seen, and a picture of it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from avatar.body import BodyModel, load_body
from avatar.geometry import triangle_areas, triangle_normals, vertex_normals
from avatar.model import Avatar
from avatar.render import visible_cosines
from avatar.structs import Capture, Mesh, Split, map_tensors

from .body_parts import PARTS, part_of_vertices

RASTER_SCALE = 0.5  # of the pictures: enough to tell which limb hides which
SOLE = -0.6  # vertical part of the normals that belong to soles, which no camera sees
INSIDES = ("cavity", "tongue", "cavity.L", "cavity.R", "back.L", "back.R")  # ends of the names of the model's regions


@dataclass(frozen=True, kw_only=True, eq=False)
class Coverage:
    """How well the pictures of a split show each vertex of the naked body; what hides skin but is no skin is ignored.

    Attributes:
        template: the body at rest.
        parts: index into ``PARTS`` of each vertex.
        areas_m2: of each vertex; zero for what no camera can see: insides of the head, and soles.
        num_cameras: how many different cameras show it in any frame.
        share: of the pictures, how many show it.
        best_cosine: of the straightest look at it: 1 from the front, 0 for never.
    """

    template: Mesh
    parts: Int[Tensor, " v"]
    areas_m2: Float[Tensor, " v"]
    num_cameras: Int[Tensor, " v"]
    share: Float[Tensor, " v"]
    best_cosine: Float[Tensor, " v"]

    @property
    def unseen(self) -> float:
        """Share of the skin that no picture shows."""
        return float(self.areas_m2[self.num_cameras == 0].sum() / self.areas_m2.sum())

    @property
    def most(self) -> float:
        """Share of the pictures that show what is seen best."""
        return max(1e-6, float(self.share.max()))

    def sides(self) -> list["SideCoverage"]:
        """The front and the back of every part."""
        is_back = vertex_normals(self.template.vertices, self.template.faces)[:, 1] > 0
        found = []
        for index, part in enumerate(PARTS):
            for side, chosen in (("front", ~is_back), ("back", is_back)):
                areas = self.areas_m2 * (self.parts == index) * chosen
                total = float(areas.sum())
                if total > 0:
                    unseen = float(areas[self.num_cameras == 0].sum())
                    found.append(SideCoverage(part=part, side=side, unseen=unseen / total, area_m2=total))
        return found

    def as_json(self) -> dict[str, object]:
        """The share never seen, of all and of each side of each part, ready for ``json``."""
        sides = {f"{side.side} of the {side.part}": round(side.unseen, 4) for side in self.sides()}
        return {"unseen": self.unseen, "unseen_by_part": sides, "mean_share": self._mean(self.share)}

    def _mean(self, values: Tensor) -> float:
        return float((values * self.areas_m2).sum() / self.areas_m2.sum())


@dataclass(frozen=True, kw_only=True)
class SideCoverage:
    """How much of one side of a part is never seen, 0 to 1, and how large it is."""

    part: str
    side: str
    unseen: float
    area_m2: float


@torch.no_grad()
def cover(avatar: Avatar, capture: Capture, split: Split) -> Coverage:
    """Look at the body from every camera of ``split`` in every frame of it (thin it out before: ``sampled``)."""
    body_model, template = load_body(avatar.rig), map_tensors(avatar.template, Tensor.cpu)
    num_cameras = torch.zeros(len(template.vertices), dtype=torch.int64)
    num_pictures, best = torch.zeros(len(template.vertices)), torch.zeros(len(template.vertices))
    bodies = [avatar.body(avatar.shape, capture.pose(frame).to(avatar.device)) for frame in split.frame_ids]
    for camera_id in split.camera_ids:
        camera = capture.cameras[camera_id].scaled(RASTER_SCALE)
        looks = torch.stack([visible_cosines(body.vertices_world.cpu(), template.faces, camera) for body in bodies])
        num_cameras += (looks > 0).any(0)
        num_pictures += (looks > 0).sum(0)
        best = torch.maximum(best, looks.amax(0))
    return Coverage(
        template=template,
        parts=part_of_vertices(body_model, template.vertices),
        areas_m2=_visible_areas(template, body_model),
        num_cameras=num_cameras,
        share=num_pictures / len(split),
        best_cosine=best,
    )


def _visible_areas(template: Mesh, body: BodyModel) -> Float[Tensor, " v"]:
    """A third of the triangles around each vertex, less insides and soles."""
    normals = normalize(triangle_normals(template.vertices, template.faces), dim=-1)
    names = [body.part_names[index] for index in body.face_parts.tolist()]
    is_inside = torch.tensor([name.endswith(INSIDES) for name in names])
    is_sole = torch.tensor([name.startswith("foot") for name in names]) & (normals[:, 2] < SOLE)
    thirds = triangle_areas(template.vertices, template.faces).where(~(is_inside | is_sole), 0.0) / 3
    return torch.zeros(len(template.vertices)).index_add(0, template.faces.flatten(), thirds.repeat_interleave(3))
