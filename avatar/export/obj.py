"""Meshes as Wavefront OBJ, which every 3D program reads."""

from pathlib import Path

import torch

from avatar.atomic import replacing
from avatar.geometry import vertex_normals
from avatar.structs import Mesh

from .axes import Y_UP_FROM_WORLD


def write_obj(path: Path, mesh: Mesh, comments: list[str] | None = None) -> None:
    """Write vertices, normals, triangles and, after each vertex's place, its sRGB colour; whole or not at all.

    From metres with z up to metres with y up, as is usual in OBJ: a person at rest, facing -y, faces +z there. Vertices
    of no triangle are left out. Raises ValueError for a vertex that is no number.
    """
    used, faces = torch.unique(mesh.faces, return_inverse=True)
    vertices = (mesh.vertices[used].detach() @ mesh.vertices.new_tensor(Y_UP_FROM_WORLD).mT).cpu()
    if not bool(vertices.isfinite().all()):
        raise ValueError(f"{path}: the mesh has vertices that are no numbers")
    normals = vertex_normals(vertices, faces.cpu())
    rows = vertices if mesh.colors is None else torch.cat([vertices, mesh.colors[used].detach().cpu()], 1)
    lines = [f"# {comment}" for comment in comments or []]
    lines += ["v " + " ".join(f"{x:z.6f}" for x in row) for row in rows.tolist()]
    lines += ["vn " + " ".join(f"{x:z.4f}" for x in row) for row in normals.tolist()]
    lines += ["f " + " ".join(f"{i}//{i}" for i in row) for row in (faces + 1).tolist()]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "ascii")
