"""Meshes as OBJ: what is written is what others read."""

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from trimesh.visual import ColorVisuals

from avatar.export import write_obj
from avatar.structs import Mesh


def tetrahedron() -> Mesh:
    """Four corners, and a vertex of no triangle among them."""
    corners = torch.tensor([[0.0, 0, 0], [9, 9, 9], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
    faces = torch.tensor([[0, 3, 2], [0, 2, 4], [2, 3, 4], [0, 4, 3]])
    return Mesh(vertices=corners, faces=faces, colors=torch.linspace(0, 1, 15).reshape(5, 3))


def test_trimesh_reads_it(tmp_path: Path) -> None:
    """Lengths, volume and orientation stay; z up becomes y up: (x, y, z) is at (x, z, -y)."""
    write_obj(tmp_path / "a.obj", tetrahedron(), ["a comment"])
    mesh = trimesh.load_mesh(tmp_path / "a.obj", process=False)
    np.testing.assert_allclose(mesh.vertices, [[0, 0, 0], [1, 0, 0], [0, 0, -2], [0, 3, 0]], atol=1e-6)
    assert mesh.faces.tolist() == [[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]
    assert mesh.volume == pytest.approx(1)
    outwards = mesh.vertices - mesh.vertices.mean(0)
    assert bool(((mesh.vertex_normals * outwards).sum(1) > 0).all())
    colors = tetrahedron().colors
    assert colors is not None
    assert isinstance(mesh.visual, ColorVisuals)
    np.testing.assert_allclose(mesh.visual.vertex_colors[:, :3] / 255, colors[[0, 2, 3, 4]], atol=1 / 255)


def test_normals_are_in_the_file(tmp_path: Path) -> None:
    write_obj(tmp_path / "a.obj", tetrahedron())
    lines = [line.split() for line in (tmp_path / "a.obj").read_text().splitlines()]
    normals = np.array([[float(x) for x in line[1:]] for line in lines if line[0] == "vn"])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
    assert next(line[1:] for line in lines if line[0] == "f") == ["1//1", "3//3", "2//2"]


def test_without_colours(tmp_path: Path) -> None:
    mesh = tetrahedron()
    write_obj(tmp_path / "a.obj", Mesh(vertices=mesh.vertices, faces=mesh.faces))
    rows = [line.split() for line in (tmp_path / "a.obj").read_text().splitlines()]
    assert {len(row) for row in rows if row[0] == "v"} == {4}


def test_no_numbers_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    mesh = tetrahedron()
    broken = Mesh(vertices=mesh.vertices.clone().fill_(torch.nan), faces=mesh.faces)
    with pytest.raises(ValueError, match="no numbers"):
        write_obj(tmp_path / "a.obj", broken)
    assert not list(tmp_path.iterdir())


def test_zeros_have_no_sign(tmp_path: Path) -> None:
    mesh = tetrahedron()
    write_obj(tmp_path / "a.obj", Mesh(vertices=mesh.vertices - 1e-9, faces=mesh.faces))
    words = (tmp_path / "a.obj").read_text().split()
    assert not {"-0.000000", "-0.0000"} & set(words)
    assert {"0.000000", "0.0000"} <= set(words)
