"""The mesh rasterizer against its reference, hand-worked pixels, and hostile inputs."""

import pytest
import torch
from torch import Tensor

from avatar.engine import compiled_variant, rasterize_mesh, rasterize_mesh_reference
from avatar.geometry import interpolate, project

RASTERIZERS = [rasterize_mesh, rasterize_mesh_reference]
NEEDS_ENGINE = pytest.mark.skipif(compiled_variant() is None, reason="the compiled engine was not built")


def soup(count: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Triangles of all sizes in and around a 40 x 56 image, some behind the camera, sharing vertices, crossing."""
    generator = torch.Generator().manual_seed(0)
    vertices_px = torch.rand(count, 2, generator=generator, dtype=dtype) * torch.tensor([96.0, 80.0]).to(dtype) - 20
    depths = torch.rand(count, generator=generator, dtype=dtype) * 4 - 0.2
    return vertices_px, depths, torch.randint(count, (count, 3), generator=generator)


@NEEDS_ENGINE
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_equals_reference_to_the_last_bit(dtype: torch.dtype):
    scene = soup(60, dtype)
    ours, truth = rasterize_mesh(*scene, 40, 56), rasterize_mesh_reference(*scene, 40, 56)
    assert len(truth.triangles.unique()) > 10
    for ours_of, truth_of in zip(ours, truth, strict=True):
        assert torch.equal(ours_of, truth_of)


@NEEDS_ENGINE
def test_number_of_threads_changes_nothing():
    scene, threads = soup(200), torch.get_num_threads()
    renders = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        renders.append(rasterize_mesh(*scene, 131, 97))
    torch.set_num_threads(threads)
    for render in renders[1:]:
        assert all(torch.equal(one, other) for one, other in zip(renders[0], render, strict=True))


@pytest.mark.parametrize("rasterize", RASTERIZERS)
@pytest.mark.parametrize("winding", [[0, 1, 2], [2, 1, 0]])
def test_hand_worked_triangle(rasterize, winding: list[int]):
    """Corners (0, 0), (4, 0), (0, 4) at depths 1, 2, 4: the centre (0.5, 1.5) has affine weights 4/8, 1/8, 3/8.

    Divided by depth they are 16/32, 2/32, 3/32, so 1/depth is 21/32 and the weights in space are 16/21, 2/21, 3/21.
    """
    vertices_px = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    raster = rasterize(vertices_px, torch.tensor([1.0, 2.0, 4.0]), torch.tensor([winding]), 5, 5)
    expected = [[0, 0, 0, 0, -1], [0, 0, 0, -1, -1], [0, 0, -1, -1, -1], [0, -1, -1, -1, -1], [-1] * 5]
    assert raster.triangles.tolist() == expected
    torch.testing.assert_close(raster.barycentrics[1, 0], torch.tensor([16.0, 2.0, 3.0])[winding] / 21)
    torch.testing.assert_close(raster.depths[1, 0], torch.tensor(32 / 21))
    assert raster.barycentrics[4, 4].tolist() == [0, 0, 0]
    assert raster.depths[4, 4] == 0


@pytest.mark.parametrize("rasterize", RASTERIZERS)
def test_nearest_triangle_is_seen_and_the_first_of_equals(rasterize):
    vertices_px = torch.tensor([[-9.0, -9.0], [29.0, -9.0], [-9.0, 29.0]]).repeat(3, 1)
    depths = torch.tensor([3.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    raster = rasterize(vertices_px, depths, torch.arange(9).view(3, 3), 4, 4)
    assert bool((raster.triangles == 1).all())
    assert bool((raster.depths == 2).all())


@pytest.mark.parametrize("rasterize", RASTERIZERS)
def test_neighbours_leave_no_gap(rasterize):
    """A disc of thin triangles around points that no float holds exactly: every pixel well inside is covered."""
    angles = torch.arange(97) * (2 * torch.pi / 97)
    rim = torch.stack([angles.cos(), angles.sin()], 1) * 15.3 + 16.1
    vertices_px = torch.cat([torch.tensor([[15.7, 16.4]]), rim])
    spokes = torch.arange(97)
    faces = torch.stack([torch.zeros(97).long(), spokes + 1, (spokes + 1) % 97 + 1], 1)
    raster = rasterize(vertices_px, torch.ones(98), faces, 32, 32)
    centres = torch.stack(torch.meshgrid(torch.arange(32), torch.arange(32), indexing="xy"), -1) + 0.5
    is_inside = (centres - 16.1).norm(dim=-1) < 15.2
    assert bool((raster.triangles[is_inside] >= 0).all())


@pytest.mark.parametrize("rasterize", RASTERIZERS)
def test_barycentrics_give_the_point_seen(rasterize):
    """What a pixel sees projects back to the pixel's centre, at the stated depth: the correction for perspective."""
    points_camera = torch.tensor([[-1.0, -0.6, 1.0], [1.2, -0.7, 3.0], [0.1, 0.9, 1.6]], dtype=torch.float64)
    intrinsics_px = torch.tensor([[20.0, 0.0, 16.0], [0.0, 22.0, 12.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    vertices_px, depths = project(points_camera, intrinsics_px)
    faces = torch.tensor([[0, 1, 2]])
    raster = rasterize(vertices_px, depths, faces, 24, 32)
    rows, columns = (raster.triangles >= 0).nonzero().unbind(1)
    assert len(rows) > 50
    seen = interpolate(points_camera, faces.expand(len(rows), 3), raster.barycentrics[rows, columns])
    seen_px, seen_depths = project(seen, intrinsics_px)
    torch.testing.assert_close(seen_px, torch.stack([columns, rows], 1) + 0.5, check_dtype=False)
    torch.testing.assert_close(seen_depths, raster.depths[rows, columns])


@pytest.mark.parametrize("rasterize", RASTERIZERS)
@pytest.mark.parametrize("bad_depth", [0.01, 0.0, -1.0, torch.nan, torch.inf])
def test_triangles_at_the_near_plane_or_not_finite_are_left_out(rasterize, bad_depth: float):
    vertices_px = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    faces = torch.tensor([[0, 1, 2]])
    assert bool((rasterize(vertices_px, torch.tensor([1.0, 1.0, bad_depth]), faces, 4, 4).triangles == -1).all())
    assert bool((rasterize(vertices_px * torch.nan, torch.ones(3), faces, 4, 4).triangles == -1).all())


@pytest.mark.parametrize("rasterize", RASTERIZERS)
def test_far_outside_and_no_triangles_at_all(rasterize):
    vertices_px = torch.tensor([[-3e30, 0.0], [3e30, 0.0], [0.0, 3e30], [1.0, 1.0], [1.0, 1.0], [3.0, 3.0]])
    faces = torch.tensor([[3, 4, 5], [0, 1, 2]])
    assert bool((rasterize(vertices_px, torch.ones(6), faces, 3, 3).triangles == 1).all())
    assert bool((rasterize(vertices_px, torch.ones(6), faces[:0], 3, 3).triangles == -1).all())


@pytest.mark.parametrize("rasterize", RASTERIZERS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faces": torch.tensor([[0, 1, 3]])}, "vertices 0 to 2, found 0 to 3"),
        ({"faces": torch.tensor([[0, 1, -1]])}, "found -1 to 1"),
        ({"depths": torch.ones(3, dtype=torch.float64)}, "both float32 or both float64"),
        ({"height": 0}, "positive size, found 0 x 4"),
    ],
)
def test_wrong_inputs_are_named(rasterize, change: dict, message: str):
    good = {"vertices_px": torch.rand(3, 2), "depths": torch.ones(3), "faces": torch.tensor([[0, 1, 2]])}
    with pytest.raises(ValueError, match=message):
        rasterize(**(good | {"height": 4, "width": 4} | change))
