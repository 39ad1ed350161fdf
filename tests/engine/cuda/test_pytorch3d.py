"""pytorch3d's kernels behind the engine's signatures: our arguments against a stand-in, and on a GPU the real ones.

The stand-in follows pytorch3d 0.7's documentation: image planes with x to the left and y up, the shorter side from -1
to 1; packed triangles; -1 where nothing is seen. That the real kernels do the same is proved on a GPU only.
"""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from avatar.engine import MeshTree, closest_points_reference, rasterize_mesh_reference
from avatar.engine.cuda import pytorch3d as adapter


def point_face_dist_forward(points, points_first, triangles, triangles_first, max_points, min_area):
    """Squared distances and closest triangles of one batch."""
    assert points.dtype == triangles.dtype == torch.float32
    assert points.is_contiguous()
    assert triangles.is_contiguous()
    assert points.shape[1:] == (3,)
    assert triangles.shape[1:] == (3, 3)
    assert points_first.tolist() == triangles_first.tolist() == [0]
    assert points_first.dtype == triangles_first.dtype == torch.int64
    assert (max_points, min_area) == (len(points), 0.0)
    mesh = MeshTree(torch.arange(3 * len(triangles)).view(-1, 3), triangles.flatten(0, 1))
    found = closest_points_reference(points, mesh)
    return found.distances.square(), found.face_ids


def rasterize_meshes(triangles, first, counts, neighbours, size, *settings):
    """Triangle, depth, barycentrics and (not made here) distances of every pixel, each with batch and layer."""
    height, width = size
    blur, layers, bin_size, room, *flags = settings
    assert triangles.dtype == torch.float32
    assert triangles.is_contiguous()
    assert (first.tolist(), counts.tolist()) == ([0], [len(triangles)])
    assert neighbours.tolist() == [-1] * len(triangles)
    assert (blur, layers, flags) == (0.0, 1, [True, False, False])
    assert (max(size) - 1) // bin_size + 1 < 22
    assert room >= len(triangles)
    x, y, z = triangles.double().unbind(-1)
    half = min(height, width) / 2
    columns, rows = width / 2 - half * x, height / 2 - half * y
    faces = torch.arange(3 * len(triangles)).view(-1, 3)
    raster = rasterize_mesh_reference(torch.stack([columns, rows], -1).flatten(0, 1), z.flatten(), faces, *size)
    is_empty = raster.triangles < 0
    depths, barycentrics = raster.depths.float(), raster.barycentrics.float()
    depths[is_empty], barycentrics[is_empty] = -1, -1
    return raster.triangles[None, ..., None], depths[None, ..., None], barycentrics[None, :, :, None], None


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter takes CPU tensors and finds a pytorch3d."""
    kernels = SimpleNamespace(point_face_dist_forward=point_face_dist_forward, rasterize_meshes=rasterize_meshes)
    monkeypatch.setattr(adapter, "extra", lambda name: SimpleNamespace(_C=kernels))
    monkeypatch.setattr(adapter, "_check_tensor", lambda name, tensor: None)


def mesh(device: str = "cpu") -> tuple[Tensor, Tensor]:
    """An octahedron with a triangle that is not finite before it, and one more vertex."""
    vertices = torch.cat([torch.eye(3), -torch.eye(3), torch.full((1, 3), torch.nan)]) + torch.tensor([0.1, 0.2, 0.3])
    faces = [[0, 1, 6], [0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]]
    return torch.tensor(faces, device=device), vertices.to(device)


def compare_closest_points(device: str) -> None:
    """The adapter against the reference, with gradients."""
    faces, vertices = mesh(device)
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).to(device) * 1.5
    points[7] = torch.nan
    outcomes = []
    for search in (adapter.closest_points, closest_points_reference):
        leaves = [points.clone().requires_grad_(), vertices.clone().requires_grad_()]
        found = search(leaves[0], MeshTree(faces, leaves[1]))
        is_found = found.face_ids >= 0
        assert is_found.sum() == 199
        gradients = torch.autograd.grad(found.distances[is_found].square().sum(), leaves)
        outcomes.append((found.face_ids, found.distances, found.barycentrics, found.directions, *gradients))
    for ours, truth in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, truth, rtol=1e-5, atol=1e-5, equal_nan=True)


def compare_rasters(device: str, height: int, width: int) -> None:
    """The adapter against the reference; pixels on edges may differ."""
    faces, vertices = mesh(device)
    vertices_px = vertices[:, :2] * 9 + torch.tensor([width / 2 - 1.3, height / 2 + 0.7], device=device)
    scene = (vertices_px, vertices[:, 2] + 3, faces, height, width)
    ours, truth = adapter.rasterize_mesh(*scene), rasterize_mesh_reference(*scene)
    is_same = ours.triangles == truth.triangles
    assert float(is_same.float().mean()) > 0.99
    assert int((truth.triangles > 0).sum()) > 100
    torch.testing.assert_close(ours.depths[is_same], truth.depths[is_same], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.barycentrics[is_same], truth.barycentrics[is_same], rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("stand_in")
def test_closest_points_through_the_stand_in():
    compare_closest_points("cpu")


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40), (40, 24), (700, 30)])
def test_rasters_of_any_shape_through_the_stand_in(height: int, width: int):
    compare_rasters("cpu", height, width)


@pytest.mark.usefixtures("stand_in")
def test_nothing_to_find():
    faces, vertices = mesh()
    assert adapter.closest_points(vertices[:2], MeshTree(faces[:1], vertices)).face_ids.tolist() == [-1, -1]
    assert adapter.closest_points(vertices[:0], MeshTree(faces, vertices)).face_ids.shape == (0,)
    assert bool((adapter.rasterize_mesh(vertices[:, :2], vertices[:, 2] - 9, faces, 4, 5).triangles == -1).all())


def test_tensors_elsewhere_are_refused():
    faces, vertices = mesh()
    with pytest.raises(
        ValueError, match=r"closest_points: points: expected float32 on a CUDA device, got torch\.float32"
    ):
        adapter.closest_points(vertices, MeshTree(faces, vertices))
    with pytest.raises(ValueError, match="rasterize_mesh: depths: expected float32 on a CUDA device"):
        adapter.rasterize_mesh(vertices[:, :2], vertices[:, 2], faces, 4, 4)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_closest_points_on_a_gpu():
    pytest.importorskip("pytorch3d")
    compare_closest_points("cuda")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40), (40, 24)])
def test_rasters_on_a_gpu(height: int, width: int):
    pytest.importorskip("pytorch3d")
    compare_rasters("cuda", height, width)
