"""A correction is kept near and even: by hand, and by its laws."""

from dataclasses import replace

import pytest
import torch

from avatar.geometry import matrices_from_axis_angles
from avatar.losses import Arap, MotionConfig, MotionTerms
from avatar.structs import Mesh

STRAIN, SIZE = MotionConfig(strain=1.0, size=0.0), MotionConfig(strain=0.0, size=1.0)
LINE = torch.arange(8.0)[:, None] * torch.tensor([0.1, 0.0, 0.0])


def test_an_even_shift_has_no_strain() -> None:
    assert float(MotionTerms(LINE, 1, STRAIN)(torch.full((8, 3), 0.2))) == pytest.approx(0, abs=1e-12)


def test_strain_of_a_stretched_line_by_hand() -> None:
    """Every neighbour moves away by a tenth of its distance, along one of three axes."""
    assert float(MotionTerms(LINE, 1, STRAIN)(0.1 * LINE)) == pytest.approx(0.01 / 3, rel=1e-5)


def test_size_counts_square_centimetres() -> None:
    assert float(MotionTerms(LINE, 1, SIZE)(torch.full((8, 3), 0.02))) == pytest.approx(4.0, rel=1e-6)


def test_cameras_count_against_it() -> None:
    offsets = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)) * 0.01
    for config, power in ((STRAIN, 1), (SIZE, 2)):
        one, four = (float(MotionTerms(LINE, cameras, config)(offsets)) for cameras in (1, 4))
        assert one / four == pytest.approx(4**power, rel=1e-5)


def test_points_in_one_place_are_finite() -> None:
    offsets = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    assert bool(MotionTerms(torch.zeros(8, 3), 1, MotionConfig())(offsets).isfinite())


@pytest.mark.parametrize("name", ["strain", "size", "arap"])
def test_negative_weights_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"MotionConfig\.{name}: expected zero or more, got -1"):
        MotionConfig(**{name: -1.0})


def square_mesh() -> Mesh:
    """A bent sheet of sixteen squares."""
    x, y = torch.meshgrid(torch.arange(5.0), torch.arange(5.0), indexing="ij")
    vertices = torch.stack([x, y, 0.3 * (x * 0.8).sin()], -1).flatten(0, 1)
    ids = torch.arange(25).view(5, 5)
    a, b, c, d = ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]
    faces = torch.cat([torch.stack([a, b, c], -1).flatten(0, 1), torch.stack([a, c, d], -1).flatten(0, 1)])
    return Mesh(vertices=vertices, faces=faces)


def test_a_rigid_motion_costs_nothing() -> None:
    mesh = square_mesh()
    turn = matrices_from_axis_angles(torch.tensor([0.3, -0.5, 0.9]))
    moved = mesh.vertices @ turn.T + torch.tensor([1.0, 2.0, 3.0])
    assert float(Arap(mesh)(moved, turn.expand(25, 3, 3))) == pytest.approx(0, abs=1e-10)


def test_an_even_stretch_costs_its_square() -> None:
    """Every edge is a tenth too long: the energy is 0.01, whatever the mesh and the unit of length."""
    for scale in (1.0, 100.0):
        mesh = replace(square_mesh(), vertices=scale * square_mesh().vertices)
        assert float(Arap(mesh)(1.1 * mesh.vertices, torch.eye(3).expand(25, 3, 3))) == pytest.approx(0.01, rel=1e-4)


def test_shear_costs_and_pulls_back() -> None:
    mesh = square_mesh()
    sheared = (mesh.vertices + 0.2 * mesh.vertices[:, [1, 2, 0]]).requires_grad_()
    energy = Arap(mesh)(sheared, torch.eye(3).expand(25, 3, 3))
    energy.backward()
    assert float(energy.detach()) > 1e-3
    assert sheared.grad is not None
    step = sheared.detach() - 1e-3 * sheared.grad / sheared.grad.abs().max()
    assert float(Arap(mesh)(step, torch.eye(3).expand(25, 3, 3))) < float(energy.detach())


def test_on_a_flat_grid_diagonals_do_not_count() -> None:
    """Opposite the diagonal of a square are right angles, whose cotangents are zero."""
    mesh = replace(square_mesh(), vertices=square_mesh().vertices * torch.tensor([1.0, 1.0, 0.0]))
    sheared = mesh.vertices + mesh.vertices[:, 1:2] * torch.tensor([0.5, 0.0, 0.0])
    # Of the 40 sides, 20 (y) are moved by half their length; those at the border weigh half.
    assert float(Arap(mesh)(sheared, torch.eye(3).expand(25, 3, 3))) == pytest.approx(0.125, rel=1e-5)
