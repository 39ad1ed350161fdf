"""The surface of fields that are known: a ball, a capsule, floaters, cavities, and bands around them."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from avatar.engine import MeshTree, OccupancyGrid, closest_points
from avatar.geometry import edges, face_neighbours
from avatar.render import surface_of
from avatar.structs import FieldShape, Mesh, RadianceField, RaySamples

Distance = Callable[[Tensor], Tensor]
BOX = torch.tensor([[-0.5, -0.4, -0.9], [0.5, 0.4, 0.9]])


def ball(radius: float = 0.3, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Distance:
    return lambda points: (points - points.new_tensor(centre)).norm(dim=-1) - radius


def capsule(points: Tensor) -> Tensor:
    """Along z, 0.5 m to both sides and 0.2 m thick."""
    axis = torch.stack([torch.zeros_like(points[:, 0])] * 2 + [points[:, 2].clamp(-0.5, 0.5)], 1)
    return (points - axis).norm(dim=-1) - 0.2


def field_of(distance: Distance, band_m: float = math.inf, cells: int = 30) -> RadianceField:
    """Coloured like its normals, and known within ``band_m`` of the surface only."""
    centres = [low + (torch.arange(cells) + 0.5) * (high - low) / cells for low, high in BOX.T]
    centre = torch.stack(torch.meshgrid(*centres, indexing="ij"), -1).view(-1, 3)
    occupied = (distance(centre).abs() < band_m).view(cells, cells, cells)

    def asked(points: Tensor) -> Tensor:
        assert bool(((points >= BOX[0]) & (points <= BOX[1])).all())
        return distance(points)

    def shape(samples: RaySamples) -> FieldShape:
        torch.testing.assert_close(samples.directions.norm(dim=1), torch.ones(len(samples.directions)))
        assert bool((samples.lengths == 0.01).all())
        with torch.enable_grad():
            points = samples.points.detach().requires_grad_()
            distances = distance(points)
            (gradients,) = torch.autograd.grad(distances.sum(), points)
        assert bool(((gradients * samples.directions).sum(-1) < -0.98).all()), "seen from the front"
        none = torch.zeros(len(points), 0)
        return FieldShape(
            samples=samples,
            alphas=torch.ones_like(points[:, 0]),
            distances=distances.detach(),
            gradients=gradients,
            canonical_normals=normalize(gradients, dim=1),
            features=none,
        )

    return RadianceField(
        shape=shape,
        radiance=lambda shape: 0.5 + 0.6 * shape.canonical_normals,
        distance=asked,
        grid=OccupancyGrid(occupied=occupied, box=BOX),
        step_m=0.01,
    )


def volume(mesh: Mesh) -> float:
    """Enclosed, after checking that the mesh is closed."""
    assert bool((face_neighbours(mesh.faces) >= 0).all())
    a, b, c = mesh.vertices.double()[mesh.faces].unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("band_m", [math.inf, 0.08])
@pytest.mark.parametrize("distance", [ball(), capsule], ids=["ball", "capsule"])
def test_it_lies_where_the_distance_is_zero(distance: Distance, band_m: float) -> None:
    mesh = surface_of(field_of(distance, band_m), cell_m=0.02)
    assert float(distance(mesh.vertices).abs().max()) < 0.02**2 / 0.2  # a chord's height over the radius
    expected = 4 / 3 * math.pi * 0.3**3 if distance is not capsule else math.pi * (0.2**2 + 4 / 3 * 0.2**3)
    assert volume(mesh) == pytest.approx(expected, rel=0.01)
    assert len(mesh.vertices) - len(edges(mesh.faces)) + len(mesh.faces) == 2


def test_the_band_changes_nothing() -> None:
    everywhere, in_band = (surface_of(field_of(capsule, band_m), cell_m=0.03) for band_m in (math.inf, 0.1))
    assert torch.equal(everywhere.vertices, in_band.vertices)
    assert torch.equal(everywhere.faces, in_band.faces)


def test_colours_are_those_seen_from_the_front() -> None:
    mesh = surface_of(field_of(ball()), cell_m=0.02)
    assert mesh.colors is not None
    torch.testing.assert_close(mesh.colors, (0.5 + 2 * mesh.vertices).clamp(0, 1), atol=0.01, rtol=0)


def test_finer_cells_are_closer() -> None:
    points = 0.3 * normalize(torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    errors = []
    for cell_m in (0.04, 0.02):
        mesh = surface_of(field_of(ball(), 0.1), cell_m, with_colors=False)
        assert mesh.colors is None
        errors.append(float(closest_points(points, MeshTree(mesh.faces, mesh.vertices)).distances.abs().mean()))
    assert errors[1] < 0.35 * errors[0]  # of second order


def test_cavities_are_filled_and_floaters_dropped() -> None:
    """Inside, where the body says nothing, a field is positive."""
    speck = ball(0.025, (0.4, 0.3, 0.8))

    def distance(points: Tensor) -> Tensor:
        radii = points.norm(dim=-1)
        shell = torch.where(radii < 0.2, 1.0, radii - 0.3)
        return torch.minimum(shell, speck(points))

    mesh = surface_of(field_of(distance), cell_m=0.02)
    assert volume(mesh) == pytest.approx(4 / 3 * math.pi * 0.3**3, rel=0.01)
    assert float(mesh.vertices.amax()) < 0.31


def test_a_cavity_that_leaks_is_filled_and_a_wide_opening_stays() -> None:
    def hollow_with_a_hole(width_m: float) -> Distance:
        def distance(points: Tensor) -> Tensor:
            is_hole = (points[:, :2].norm(dim=-1) < width_m / 2) & (points[:, 2] > 0)
            radii = points.norm(dim=-1)
            return torch.where((radii < 0.2) | is_hole, 1.0, radii - 0.3)

        return distance

    full = 4 / 3 * math.pi * 0.3**3
    leaking, open_ = (
        volume(surface_of(field_of(hollow_with_a_hole(width_m)), 0.012, with_colors=False)) for width_m in (0.02, 0.12)
    )
    assert leaking == pytest.approx(full, rel=0.01)
    assert open_ == pytest.approx(full - 4 / 3 * math.pi * 0.2**3, rel=0.05)


def test_two_large_pieces_both_stay() -> None:
    left, right = ball(0.2, (-0.25, 0, 0)), ball(0.2, (0.25, 0, 0))
    mesh = surface_of(field_of(lambda points: torch.minimum(left(points), right(points)), 0.1), cell_m=0.02)
    assert volume(mesh) == pytest.approx(2 * 4 / 3 * math.pi * 0.2**3, rel=0.02)


def test_a_body_cut_by_the_box_is_closed_there() -> None:
    assert volume(surface_of(field_of(ball(0.6)), cell_m=0.05, with_colors=False)) > 0.5


def test_an_empty_field_has_an_empty_surface() -> None:
    mesh = surface_of(field_of(lambda points: torch.ones_like(points[:, 0])), cell_m=0.05)
    assert (len(mesh.vertices), len(mesh.faces)) == (0, 0)


def test_bad_cells_and_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="cell_m: expected a positive length"):
        surface_of(field_of(ball()), cell_m=0.0)
    with pytest.raises(ValueError, match="expected finite numbers"):
        surface_of(replace(field_of(ball()), distance=lambda points: math.nan * points[:, 0]), cell_m=0.05)
