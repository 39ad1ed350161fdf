"""A hybrid from a radiance field: what a few pictures said of a person, made fast and animatable."""

import torch
from torch.nn.functional import normalize

from avatar.canonical import FieldShellConfig, field_shell
from avatar.geometry import interpolate, inverse_lbs, vertex_normals
from avatar.model import FieldAvatar, HybridAvatar
from avatar.render import frontal_colors
from avatar.structs import Mesh


@torch.no_grad()
def hybrid_from_field(hybrid: HybridAvatar, field: FieldAvatar) -> None:
    """Put the Gaussians of ``hybrid`` on the surface of ``field``, in its colours without light.

    Both move one rig; bodies may differ, such as where a field keeps that of its prior: vertices stand off as far, and
    turn from the canonical pose to rest as skinning turns them. Offsets, sizes and opacities stay as they are.

    Raises ValueError for avatars of two rigs.
    """
    if hybrid.rig != field.rig:
        raise ValueError(f"hybrid_from_field: expected a field of the skeleton {hybrid.rig!r}, got {field.rig!r}")
    canonical, scene, body = hybrid.canonical, field.canonical(), field.deform.canonical_body
    naked = Mesh(vertices=body.vertices_world, faces=body.rest.faces)
    surface = naked.vertices + field_shell(scene, naked, FieldShellConfig(reach_m=field.config.deform.reach_m))
    at_rest = inverse_lbs(surface, body.bone_ids, body.bone_weights, body.posed_from_rest)
    canonical.shell = at_rest - body.rest.vertices
    canonical.displacement.copy_(canonical.shell)
    corners = naked.faces[canonical.triangles]
    places, normals = (
        interpolate(values, corners, canonical.barycentrics)
        for values in (surface, vertex_normals(surface, naked.faces))
    )
    canonical.colors.copy_(frontal_colors(scene, places, normalize(normals, dim=1)))
