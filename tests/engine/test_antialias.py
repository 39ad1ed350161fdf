"""The outline of a mesh: blended as the area it covers, with gradients that move it."""

import pytest
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from avatar.engine import antialias, rasterize_mesh
from avatar.geometry import face_neighbours

ONE = torch.tensor([[0, 1, 2]])


def coverage(vertices_px: Tensor, faces: Tensor = ONE, size_px: int = 32, depths: Tensor | None = None) -> Tensor:
    """A white mesh on black, antialiased."""
    depths = torch.ones(len(vertices_px), dtype=vertices_px.dtype) if depths is None else depths
    raster = rasterize_mesh(vertices_px.detach(), depths, faces, size_px, size_px)
    image = (raster.triangles >= 0).to(vertices_px)[..., None]
    return antialias(image, raster, vertices_px, faces)


def true_coverage(vertices_px: Tensor, faces: Tensor = ONE, size_px: int = 32, samples: int = 16) -> Tensor:
    """The share of every pixel that a mesh covers, by many samples."""
    fine = rasterize_mesh(
        vertices_px * samples, torch.ones(len(vertices_px)).to(vertices_px), faces, *[size_px * samples] * 2
    )
    covered = (fine.triangles >= 0).to(vertices_px)
    return torch.nn.functional.avg_pool2d(covered[None], samples)[0, ..., None]


def smooth_weights(size_px: int = 32) -> Tensor:
    """Slow waves over the image."""
    waves = torch.linspace(0, 3, size_px, dtype=torch.float64)
    return (1.5 + waves.sin()[:, None] * (0.7 * waves).cos())[..., None]


def disc(count: int, radius_px: float, centre_px: float = 16.1) -> tuple[Tensor, Tensor]:
    """A fan of triangles around a centre."""
    angles = torch.arange(count, dtype=torch.float64) * (2 * torch.pi / count)
    rim = torch.stack([angles.cos(), angles.sin()], 1) * radius_px + centre_px
    spokes = torch.arange(count)
    faces = torch.stack([torch.full((count,), count), spokes, (spokes + 1) % count], 1)
    return torch.cat([rim, torch.full((1, 2), centre_px, dtype=torch.float64)]), faces


@pytest.mark.parametrize("right_px", [4.5, 4.8, 5.0, 5.3, 5.5])
@pytest.mark.parametrize("is_turned", [False, True])
def test_hand_worked_edge(right_px: float, is_turned: bool):
    """The half plane left of x covers x whole pixels of every row: its pixel in part, whichever side of the centre."""
    vertices_px = torch.tensor([[right_px, -90], [right_px, 90], [-90, 0]]).double()
    image = coverage(vertices_px.flip(1) if is_turned else vertices_px, size_px=8)[..., 0]
    image = image.T if is_turned else image
    expected = (right_px - torch.arange(8)).clamp(0, 1).double().expand(8, 8)
    torch.testing.assert_close(image, expected)


def test_only_outlines_are_blended():
    """Inner edges of a flat mesh are none, a fold is one, and so is a step between surfaces."""
    vertices_px = torch.tensor([[-9.0, -9], [40, -9], [40, 40], [-9, 40]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    raster = rasterize_mesh(vertices_px, torch.ones(4), faces, 16, 16)
    image = raster.triangles[..., None].float()
    assert torch.equal(antialias(image, raster, vertices_px, faces), image)

    step_px = torch.cat([vertices_px, torch.tensor([[-9.0, -9], [7.2, -9], [7.2, 40], [-9, 40]])])
    step_faces = torch.cat([faces, faces + 4])
    raster = rasterize_mesh(step_px, torch.tensor([2.0] * 4 + [1.0] * 4), step_faces, 16, 16)
    image = (raster.triangles >= 2)[..., None].float()
    torch.testing.assert_close(
        antialias(image, raster, step_px, step_faces)[3, :, 0], torch.tensor([1.0] * 7 + [0.2] + [0.0] * 8)
    )

    fold_px = torch.tensor([[7.2, -9], [7.2, 40], [-30, 10], [-20, 10]])
    fold = torch.tensor([[0, 1, 2], [1, 0, 3]])
    raster = rasterize_mesh(fold_px, torch.tensor([1.0, 1, 1, 2]), fold, 16, 16)
    image = (raster.triangles >= 0)[..., None].float()
    assert float(antialias(image, raster, fold_px, fold)[3, 7, 0]) == pytest.approx(0.2)


def test_coverage_is_near_the_true_one():
    """Straight parts are exact where they follow an axis; ends and slants are off by parts of a pixel, 2 % in all."""
    vertices_px = torch.tensor([[4.3, 5.1], [27.2, 9.4], [11.7, 28.9]], dtype=torch.float64)
    ours, truth = coverage(vertices_px), true_coverage(vertices_px)
    hard = (ours > 0.5).double()
    assert float((ours - truth).abs().sum()) < 0.35 * float((hard - truth).abs().sum())
    assert float(ours.sum()) == pytest.approx(float(truth.sum()), rel=0.005)


def test_gradient_is_that_of_the_area_covered():
    """Against finite differences of the true coverage under a smooth weight: within 10 % of the largest entry.

    What remains is at the corners, where the last of an edge's two dozen rows counts whole or not at all.
    """
    vertices_px = torch.tensor([[4.3, 5.1], [27.2, 9.4], [11.7, 28.9]], dtype=torch.float64, requires_grad=True)
    weights, step = smooth_weights(), 0.25
    (gradient,) = torch.autograd.grad((coverage(vertices_px) * weights).sum(), vertices_px)
    truth = torch.zeros_like(gradient)
    for index in range(6):
        shift = torch.zeros(6, dtype=torch.float64)
        shift[index] = step
        moved = [true_coverage(vertices_px.detach() + sign * shift.view(3, 2)) for sign in (1, -1)]
        truth.view(-1)[index] = ((moved[0] - moved[1]) * weights).sum() / (2 * step)
    torch.testing.assert_close(gradient, truth, rtol=0, atol=0.1 * float(truth.abs().max()))


def test_gradients_of_image_and_vertices_are_exact_and_a_planted_error_is_caught():
    vertices_px, faces = disc(5, 2.3, 2.6)
    raster = rasterize_mesh(vertices_px, torch.ones(6).double(), faces, 5, 5)
    image = torch.rand(5, 5, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inputs = (image.requires_grad_(), vertices_px.requires_grad_())

    def blended(image: Tensor, vertices_px: Tensor) -> Tensor:
        return antialias(image, raster, vertices_px, faces)

    assert torch.autograd.gradcheck(blended, inputs)
    assert torch.autograd.gradgradcheck(blended, inputs)
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(lambda i, v: blended(i, v) + 1e-3 * (v.detach() * v).sum(), inputs)


@pytest.mark.parametrize("shape", ["triangle", "disc"])
def test_descent_fits_a_silhouette(shape: str):
    """From two pixels off to a fifteenth of one, guided by the outline alone."""
    if shape == "triangle":
        faces, goal = ONE, torch.tensor([[4.3, 5.1], [27.2, 9.4], [11.7, 28.9]], dtype=torch.float64)
    else:
        goal, faces = disc(24, 9.7)
    target = true_coverage(goal, faces)
    start = torch.tensor([1.4, -1.2], dtype=torch.float64)
    vertices_px = (goal + start + 0.04 * (goal - 16)).requires_grad_()
    optimizer = torch.optim.Adam([vertices_px], lr=0.1)
    for step in range(100):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 100)
        optimizer.zero_grad()
        (coverage(vertices_px, faces) - target).square().sum().backward()
        optimizer.step()
    error = float((true_coverage(vertices_px.detach(), faces) - target).abs().sum())
    assert error < 0.1 * float((true_coverage(goal + start + 0.04 * (goal - 16), faces) - target).abs().sum())
    if shape == "triangle":
        assert float((vertices_px.detach() - goal).abs().max()) < 0.15


def test_neighbours_and_borders():
    faces = torch.tensor([[0, 1, 2], [2, 1, 3], [5, 6, 7]])
    assert face_neighbours(faces).tolist() == [[-1, 1, -1], [0, -1, -1], [-1, -1, -1]]
    assert face_neighbours(faces[:0]).shape == (0, 3)


def test_nothing_drawn_and_wrong_inputs():
    vertices_px, faces = disc(5, 3.0)
    raster = rasterize_mesh(vertices_px + 100, torch.ones(6).double(), faces, 8, 8)
    image = torch.rand(8, 8, 3).double()
    assert torch.equal(antialias(image, raster, vertices_px + 100, faces), image)
    assert torch.equal(antialias(image, raster, vertices_px, faces[:0]), image)
    with pytest.raises(ValueError, match=r"expected \(8, 8\) pixels like the raster"):
        antialias(image[:7], raster, vertices_px, faces)
    with pytest.raises(ValueError, match="expected vertices below 3, got 5"):
        antialias(image, raster, vertices_px[:3], faces)
