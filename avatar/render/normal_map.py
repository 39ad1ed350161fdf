"""A mesh as its normals in colours: what shows the shape of a surface without its texture."""

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.engine import antialias
from avatar.geometry import transform_directions, vertex_normals
from avatar.structs import Camera, Mesh

from .mesh_view import view_mesh


@torch.no_grad()
def normal_map(mesh: Mesh, camera: Camera) -> Float[Tensor, "h w 3"]:
    """What ``camera`` sees of ``mesh`` (world metres) on black: red to the right, green up, blue towards the camera.

    Each runs from 0 for a normal that points the other way to 1; a surface that faces the camera is (0.5, 0.5, 1).
    """
    pixels, _, raster = view_mesh(mesh.vertices, mesh.faces, camera)
    normals = transform_directions(camera.camera_from_world, vertex_normals(mesh.vertices, mesh.faces))
    colors = 0.5 + 0.5 * normals * normals.new_tensor([1.0, -1.0, -1.0])
    corners = colors[mesh.faces[raster.triangles.clamp(min=0)]]
    image = (corners * raster.barycentrics[..., None]).sum(-2)
    return antialias(image, raster, pixels, mesh.faces).clamp(0, 1)
