"""Split triangles: the same surface, without gaps, the same way round."""

import pytest
import torch
import trimesh

from avatar.geometry import edges, face_neighbours, split_edges, split_long_edges, triangle_areas, triangle_normals

CORNERS = torch.tensor([[0.0, 0, 0], [4, 0, 0], [0, 2, 0]], dtype=torch.float64)
TRIANGLE = torch.tensor([[0, 1, 2]])


@pytest.mark.parametrize("pattern", range(8))
def test_every_way_to_split_a_triangle(pattern: int) -> None:
    is_split = torch.tensor([bool(pattern >> bit & 1) for bit in range(3)])
    faces, parents = split_edges(TRIANGLE, 3, is_split)
    vertices = CORNERS[parents].mean(1)
    assert len(faces) == 1 + int(is_split.sum())
    assert torch.equal(vertices[:3], CORNERS)
    assert sorted(parents[3:].tolist()) == sorted(edges(TRIANGLE)[is_split].tolist())
    assert bool((triangle_normals(vertices, faces)[:, 2] > 0).all())
    assert float(triangle_areas(vertices, faces).sum()) == pytest.approx(4)


@pytest.mark.parametrize("seed", range(3))
def test_a_closed_surface_stays_closed(seed: int) -> None:
    ball = trimesh.creation.icosphere(2)
    vertices, faces = torch.tensor(ball.vertices), torch.tensor(ball.faces)
    is_split = torch.rand(len(edges(faces)), generator=torch.Generator().manual_seed(seed)) < 0.4
    finer, parents = split_edges(faces, len(vertices), is_split)
    moved = vertices[parents].mean(1)
    assert bool((face_neighbours(finer) >= 0).all())
    assert len(moved) - len(edges(finer)) + len(finer) == 2
    split = trimesh.Trimesh(moved, finer, process=False)
    assert split.is_watertight
    assert split.volume == pytest.approx(ball.volume)


def test_no_edge_stays_too_long_and_values_go_along() -> None:
    """A value that is linear in place stays so."""
    slope = torch.tensor([[0.3], [-1.0], [2.0]], dtype=torch.float64)
    vertices, faces, values = split_long_edges(CORNERS, TRIANGLE, CORNERS @ slope, 0.7)
    start, end = vertices[edges(faces)].unbind(1)
    assert float((end - start).norm(dim=1).max()) <= 0.7
    torch.testing.assert_close(values, vertices @ slope)
    assert float(triangle_areas(vertices, faces).sum()) == pytest.approx(4)


def test_short_edges_stay() -> None:
    vertices, faces, _ = split_long_edges(CORNERS, TRIANGLE, CORNERS, 5.0)
    assert torch.equal(vertices, CORNERS)
    assert torch.equal(faces, TRIANGLE)


def test_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a positive length"):
        split_long_edges(CORNERS, TRIANGLE, CORNERS, 0.0)
    with pytest.raises(ValueError, match="expected finite numbers"):
        split_long_edges(CORNERS / 0, TRIANGLE, CORNERS, 1.0)
