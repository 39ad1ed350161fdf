"""How well a fitted body explains what was seen."""

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import ShapedBody
from avatar.render import view_mesh
from avatar.structs import Pose

from ..observations import Observations
from .estimate import Estimate, Template
from .terms import Sight


@torch.no_grad()
def landmark_residuals(template: Template, estimate: Estimate, observations: Observations) -> Float[Tensor, "f c 33"]:
    """Distance of each landmark from its marker, pixels; NaN where not seen."""
    places = Sight.of(observations).project(template.posed(estimate).markers)
    residuals = torch.linalg.vector_norm(places - observations.points_px, dim=-1)
    return residuals.where(observations.confidences > 0, torch.nan)


@torch.no_grad()
def mask_overlaps(shaped: ShapedBody, poses: Pose, observations: Observations) -> Float[Tensor, "f c"]:
    """Intersection over union of the body and each mask; NaN without mask."""
    overlaps = torch.full((observations.num_frames, len(observations.cameras)), torch.nan)
    for frame in range(observations.num_frames):
        vertices = shaped.posed(poses[frame]).vertices_world
        for row, camera in enumerate(observations.cameras):
            mask = observations.load_mask(frame, row)
            if mask is None or not mask.any():
                continue
            is_body = view_mesh(vertices, shaped.rig.faces, camera).raster.triangles >= 0
            is_person = torch.from_numpy(mask)
            overlaps[frame, row] = (is_body & is_person).sum() / (is_body | is_person).sum()
    return overlaps
