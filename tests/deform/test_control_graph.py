"""A sparse graph moves what lies between its nodes: identity, rigid motions, locality, covariances."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from avatar.deform import ControlGraph, ControlGraphConfig, CorrectivesConfig, DeformConfig, Deformer
from avatar.geometry import matrices_from_axis_angles
from avatar.structs import Body, Gaussians, Mesh, Pose

SMALL = ControlGraphConfig(num_nodes=40)
ONE = torch.ones(1)


@pytest.fixture
def graph(tube: Mesh) -> ControlGraph:
    return ControlGraph(tube, 1, SMALL)


def set_motion(graph: ControlGraph, linear: Tensor, centre: Tensor) -> None:
    """All nodes turn by the rotation vector ``linear`` about ``centre``."""
    turn = matrices_from_axis_angles(linear)
    shifts = (graph.nodes - centre) @ turn.T + centre - graph.nodes
    with torch.no_grad():
        graph.modes[0, :, :3] = shifts / 0.05
        graph.modes[0, :, 3:6] = linear / 0.5


@torch.no_grad()
def test_it_starts_at_rest(graph: ControlGraph, tube: Mesh, gaussians: Gaussians) -> None:
    moved = graph(gaussians, ONE)
    torch.testing.assert_close(moved.means, gaussians.means, atol=1e-6, rtol=0)
    assert moved.linear is not None
    torch.testing.assert_close(moved.linear, torch.eye(3).expand_as(moved.linear), atol=1e-6, rtol=0)
    torch.testing.assert_close(graph.moved_vertices(tube.vertices, ONE), tube.vertices, atol=1e-6, rtol=0)


@torch.no_grad()
def test_one_rigid_motion_of_all_nodes_is_that_motion(graph: ControlGraph, gaussians: Gaussians) -> None:
    turn, centre = torch.tensor([0.2, -0.4, 0.7]), torch.tensor([0.1, 0.2, 0.3])
    set_motion(graph, turn, centre)
    matrix = matrices_from_axis_angles(turn)
    moved = graph(gaussians, ONE)
    torch.testing.assert_close(moved.means, (gaussians.means - centre) @ matrix.T + centre, atol=1e-5, rtol=0)
    torch.testing.assert_close(moved.linear, matrix.expand(len(moved.means), 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(graph.vertex_turns(ONE)[0], matrix, atol=1e-5, rtol=0)


@torch.no_grad()
def test_strain_stretches_about_the_nodes(graph: ControlGraph, gaussians: Gaussians) -> None:
    graph.modes[0, :, 6] = 1.0
    linear = graph(gaussians, ONE).linear
    assert linear is not None
    expected = torch.diag(torch.tensor([1.2, 1.0, 1.0]))
    torch.testing.assert_close(linear, expected.expand_as(linear), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_node_moves_only_what_is_near(graph: ControlGraph, tube: Mesh) -> None:
    graph.modes[0, 0, 0] = 1.0
    moved = (graph.moved_vertices(tube.vertices, ONE) - tube.vertices).norm(dim=1)
    far = torch.linalg.vector_norm(tube.vertices - graph.nodes[0], dim=1) > 0.3
    assert float(moved.max()) > 0.02
    assert float(moved[far].max()) < 1e-6


@torch.no_grad()
def test_the_shift_of_a_linear_map_is_its_jacobian(graph: ControlGraph, gaussians: Gaussians) -> None:
    """Of a single node's blend, the difference of two points is the linear map's."""
    torch.nn.init.normal_(graph.modes, std=0.3)
    step = torch.tensor([1e-2, -2e-2, 1e-2])
    one, other = graph(gaussians, ONE), graph(replace(gaussians, means=gaussians.means + step), ONE)
    assert one.linear is not None
    torch.testing.assert_close(other.means - one.means, one.linear @ step, atol=1e-5, rtol=0)


def test_a_deformer_bends_by_it(
    tube: Mesh, random_poses: Pose, gaussians: Gaussians, body_of: Callable[[Pose], Body]
) -> None:
    modes = CorrectivesConfig(num_modes=2, num_control_points=30, num_features=3, hidden=4)
    config = DeformConfig(correctives=modes, graph=SMALL)
    deform = Deformer(tube, random_poses, range(6), config)
    body = body_of(random_poses[2])
    before = deform(gaussians, body)
    assert deform.graph is not None
    torch.nn.init.normal_(deform.graph.modes, std=0.5)
    after = deform(gaussians, body)
    assert isinstance(before, Gaussians)
    assert isinstance(after, Gaussians)
    assert float((after.means - before.means).detach().norm(dim=1).max()) > 1e-3
    assert after.linear is not None
    after.means.sum().backward()
    assert deform.graph.modes.grad is not None
    assert float(deform.graph.modes.grad.abs().max()) > 0


@pytest.mark.parametrize(("name", "value"), [("num_nodes", 4), ("neighbours", 0)])
def test_wrong_sizes_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"ControlGraphConfig\.{name}: expected"):
        ControlGraphConfig(**{name: value})


def test_a_graph_without_modes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"DeformConfig\.graph: expected correctives\.num_modes above 0"):
        DeformConfig(graph=SMALL, correctives=CorrectivesConfig(num_modes=0))
