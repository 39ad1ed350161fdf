"""Marching cubes: closed whatever the signs, round where the values are, by hand in one cell."""

import math

import pytest
import torch
from torch import Tensor

from avatar.geometry import edges, marching_cubes, triangle_areas


def closed_volume(vertices: Tensor, faces: Tensor) -> float:
    """What the faces enclose, after checking that every edge has one triangle on either side."""
    sides = torch.stack([faces, faces.roll(-1, 1)], 2).flatten(0, 1)
    keys = sides[:, 0] * len(vertices) + sides[:, 1]
    assert len(keys.unique()) == len(keys)
    assert torch.equal(keys.sort().values, (sides[:, 1] * len(vertices) + sides[:, 0]).sort().values)
    a, b, c = vertices[faces].double().unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def padded(inside: Tensor) -> Tensor:
    """Values with a border of ones."""
    return torch.nn.functional.pad(inside, (1,) * 6, value=1.0)


def distances_to_sphere(size: int, radius: float, dtype: torch.dtype = torch.float32) -> Tensor:
    axis = torch.arange(size, dtype=dtype) - (size - 1) / 2
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).norm(dim=0) - radius


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sphere(dtype: torch.dtype) -> None:
    vertices, faces = marching_cubes(distances_to_sphere(40, 15.3, dtype))
    assert vertices.dtype == dtype
    assert closed_volume(vertices, faces) == pytest.approx(4 / 3 * math.pi * 15.3**3, rel=4e-3)
    assert float(triangle_areas(vertices, faces).sum()) == pytest.approx(4 * math.pi * 15.3**2, rel=4e-3)
    torch.testing.assert_close((vertices - 19.5).norm(dim=1), torch.full_like(vertices[:, 0], 15.3), atol=0.02, rtol=0)
    assert len(vertices) - len(edges(faces)) + len(faces) == 2


def test_the_axes_keep_their_order() -> None:
    x, y, z = torch.meshgrid(torch.arange(9.0), torch.arange(13.0), torch.arange(17.0), indexing="ij")
    vertices, _ = marching_cubes(((x - 4) / 2).square() + ((y - 6) / 4).square() + ((z - 8) / 6).square() - 1)
    assert vertices.amin(0).tolist() == [2.0, 2.0, 2.0]
    assert vertices.amax(0).tolist() == [6.0, 10.0, 14.0]


def test_one_corner_by_hand() -> None:
    values = torch.ones(2, 2, 2)
    values[0, 0, 0] = -3.0
    vertices, faces = marching_cubes(values)
    assert sorted(vertices.tolist()) == [[0, 0, 0.75], [0, 0.75, 0], [0.75, 0, 0]]
    (corners,) = vertices[faces]
    assert float(torch.linalg.det(corners)) > 0  # x, y, z in turn: counter-clockwise from (1, 1, 1)


def test_every_case_closes_over_its_neighbours() -> None:
    for case in range(256):
        signs = torch.tensor([-1.0 if case >> corner & 1 else 1.0 for corner in range(8)]).view(2, 2, 2)
        assert (closed_volume(*marching_cubes(padded(signs))) > 0) == (case > 0)


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_closed_and_every_vertex_has_one_fan(seed: int) -> None:
    noise = torch.randn(17, 18, 19, generator=torch.Generator().manual_seed(seed))
    vertices, faces = marching_cubes(padded(noise))
    assert closed_volume(vertices, faces) > 0
    # Around a vertex each triangle leads from one neighbour to the next; a fan comes back after all of them.
    turns = torch.cat([faces, faces.roll(1, 1), faces.roll(2, 1)]).tolist()
    following = {(vertex, neighbour): after for vertex, neighbour, after in turns}
    first = {vertex: neighbour for vertex, neighbour in following}
    for vertex, degree in enumerate(torch.bincount(faces.flatten()).tolist()):
        fan = [first[vertex]]
        while (neighbour := following[vertex, fan[-1]]) != fan[0]:
            fan.append(neighbour)
        assert len(fan) == degree


def test_inside_corners_across_a_diagonal_are_kept_apart() -> None:
    values = torch.ones(4, 4, 4)
    values[1, 1, 1] = values[2, 2, 1] = -1.0
    vertices, faces = marching_cubes(values)
    assert len(faces) == 16  # two octahedra
    assert len(vertices) == 12
    values = -values
    values[[0, -1]] = values[:, [0, -1]] = values[:, :, [0, -1]] = 1.0
    assert closed_volume(*marching_cubes(values)) > 0


def test_zeros_are_outside_and_nothing_tears() -> None:
    whole_numbers = torch.randint(-1, 2, (12, 12, 12), generator=torch.Generator().manual_seed(0)).float()
    vertices, faces = marching_cubes(padded(whole_numbers))
    assert closed_volume(vertices, faces) > 0
    assert marching_cubes(torch.zeros(3, 3, 3))[1].shape == (0, 3)


@pytest.mark.parametrize(
    "values", [torch.ones(5, 5, 5), -torch.ones(5, 5, 5), torch.ones(1, 4, 4), torch.ones(0, 4, 4)]
)
def test_nothing_to_draw(values: Tensor) -> None:
    vertices, faces = marching_cubes(values)
    assert vertices.shape == (0, 3)
    assert faces.shape == (0, 3)
    assert faces.dtype == torch.int64


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_no_numbers_are_refused(bad: float) -> None:
    values = torch.ones(3, 3, 3)
    values[1, 1, 1] = bad
    with pytest.raises(ValueError, match="values: expected finite numbers, got 1 that are not"):
        marching_cubes(values)
