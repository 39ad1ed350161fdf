"""Ways along a surface: on a grid by hand, on a sphere, and round a bend that straight lines would cut."""

import math

import pytest
import torch
from torch import Tensor

from avatar.deform.geodesics import falloff_weights, geodesic_distances


def grid(width: int, height: int) -> tuple[Tensor, Tensor]:
    """Unit squares, each cut in two."""
    x, y = torch.meshgrid(torch.arange(width), torch.arange(height), indexing="ij")
    vertices = torch.stack([x, y, torch.zeros_like(x)], -1).flatten(0, 1).float()
    ids = torch.arange(width * height).view(width, height)
    a, b, c, d = ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]
    return vertices, torch.cat([torch.stack([a, b, c], -1).flatten(0, 1), torch.stack([a, c, d], -1).flatten(0, 1)])


def test_on_a_grid_both_diagonals_are_straight() -> None:
    vertices, faces = grid(5, 5)
    found = geodesic_distances(vertices, faces, torch.tensor([0, 4]))
    assert found.shape == (2, 25)
    assert float(found[0, 24]) == pytest.approx(4 * math.sqrt(2), rel=1e-6)
    assert float(found[1, 20]) == pytest.approx(4 * math.sqrt(2), rel=1e-6)  # across the cut of every square
    assert float(found[0, 4]) == pytest.approx(4, rel=1e-6)


def test_never_shorter_than_the_straight_line_and_little_longer_on_a_plane() -> None:
    vertices, faces = grid(20, 20)
    found = geodesic_distances(vertices, faces, torch.tensor([0]))[0]
    straight = torch.linalg.vector_norm(vertices - vertices[0], dim=1)
    assert bool((found >= straight - 1e-5).all())
    assert float((found[1:] / straight[1:]).max()) < 1.09


def test_round_a_bend() -> None:
    """A strip bent to a U: its ends are near through the air and far along the strip; the graph goes by the strip."""
    vertices, faces = grid(41, 3)
    angles = vertices[:, 0] / 40 * 1.9 * math.pi
    bent = torch.stack([angles.cos() * 5, angles.sin() * 5, vertices[:, 1]], 1)
    ends = torch.tensor([0, 120])
    found = geodesic_distances(bent, faces, ends)
    assert float(torch.linalg.vector_norm(bent[0] - bent[120])) < 2
    assert float(found[0, 120]) > 25
    nodes = torch.arange(0, 123, 6)
    ids, weights = falloff_weights(geodesic_distances(bent, faces, nodes), 4)
    near_first_end = nodes[ids[:9]][weights[:9] > 0]
    assert int(near_first_end.max()) < 60


def test_pieces_that_do_not_touch_are_infinitely_far() -> None:
    vertices, faces = grid(3, 3)
    both = torch.cat([vertices, vertices + 0.1]), torch.cat([faces, faces + 9])
    found = geodesic_distances(*both, torch.tensor([0]))[0]
    assert bool(found[:9].isfinite().all())
    assert bool(found[9:].isinf().all())


def test_weights_by_hand() -> None:
    distances = torch.tensor([[0.2], [0.5], [0.9], [1.0], [3.0]])
    ids, weights = falloff_weights(distances, 3)
    assert ids.tolist() == [[0, 1, 2]]
    expected = torch.tensor([0.64, 0.25, 0.01])
    torch.testing.assert_close(weights[0], expected / expected.sum())


def test_weights_never_rise_with_distance_and_sum_to_one() -> None:
    distances = torch.rand(30, 200, generator=torch.Generator().manual_seed(0))
    _, weights = falloff_weights(distances, 4)
    torch.testing.assert_close(weights.sum(1), torch.ones(200))
    assert bool((weights >= 0).all())
    assert bool((weights[:, :-1] >= weights[:, 1:]).all())


def test_a_vertex_on_a_node_and_one_with_too_few_ways() -> None:
    inf = math.inf
    _, weights = falloff_weights(torch.tensor([[0.0, 0.3, 0.0], [0.0, inf, 1.0], [0.0, inf, 1.0]]), 2)
    assert bool(weights.isfinite().all())
    assert weights[1].tolist() == [1.0, 0.0]


def test_too_few_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected more than 4 nodes, got 4"):
        falloff_weights(torch.ones(4, 7), 4)
