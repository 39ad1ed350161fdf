"""The canonical field: how it starts, its gradients, what opaque means, and which cells it empties."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from avatar.canonical import CanonicalField, DensityHead, FieldConfig, SdfHead
from avatar.engine import HashGrid, OccupancyGrid
from avatar.structs import RaySamples, Warped

GRID = HashGrid(num_levels=4, log2_table_size=10, per_level_scale=1.6, interpolation="smoothstep")
SMALL = FieldConfig(grid=GRID, hidden=64)
BOX = torch.tensor([[-0.8, -0.8, -0.8], [0.8, 0.8, 0.8]])


def field(config: FieldConfig = SMALL, seed: int = 0) -> CanonicalField:
    torch.manual_seed(seed)
    return CanonicalField(OccupancyGrid(torch.ones(16, 16, 16, dtype=torch.bool), BOX), config)


def shaken(config: FieldConfig = SMALL) -> CanonicalField:
    """In double precision, with a grid and nets that say something."""
    made = field(config).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return made


def samples(count: int = 40, dtype: torch.dtype = torch.float64) -> RaySamples:
    generator = torch.Generator().manual_seed(2)
    points = 1.2 * (torch.rand(count, 3, generator=generator, dtype=dtype) - 0.5)
    directions = normalize(torch.randn(count, 3, generator=generator, dtype=dtype), dim=-1)
    return RaySamples(points=points, directions=directions, lengths=torch.full((count,), 0.01, dtype=dtype))


def test_it_starts_as_a_ball_of_half_a_metre() -> None:
    distance = field()().distance
    directions = normalize(torch.randn(200, 3, generator=torch.Generator().manual_seed(3)), dim=-1)
    middle, quarter, half, outer = (distance(radius * directions) for radius in (0.0, 0.25, 0.5, 0.79))
    assert float(middle.max()) < -0.4
    assert float(quarter.max()) < 0
    assert float(half.mean()) == pytest.approx(0.0, abs=0.05)
    assert float(outer.mean()) == pytest.approx(0.29, abs=0.05)


def test_gradients_are_those_of_the_distance() -> None:
    scene, asked = shaken()(), samples()
    found = scene.shape(asked)
    for axis in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[axis] = 1e-6
        slope = (scene.distance(asked.points + step) - scene.distance(asked.points - step)) / 2e-6
        torch.testing.assert_close(found.gradients[:, axis].detach(), slope, atol=1e-6, rtol=1e-5)


def test_what_is_warped_is_asked_where_it_came_from() -> None:
    """Distances of the canonical place; gradients in the frame of the rays, by the transposed derivative."""
    scene, asked = shaken()(), samples()
    linear = torch.eye(3, dtype=torch.float64) + 0.3 * torch.randn(
        len(asked.points), 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
    )
    is_valid = torch.ones(len(asked.points), dtype=torch.bool)
    elsewhere = replace(
        asked, points=asked.points + 100, warped=Warped(points=asked.points, linear=linear, is_valid=is_valid)
    )
    here, there = scene.shape(asked), scene.shape(elsewhere)
    torch.testing.assert_close(there.distances, here.distances)
    torch.testing.assert_close(there.canonical_normals, here.canonical_normals)
    torch.testing.assert_close(there.gradients, torch.einsum("sji,sj->si", linear, here.gradients))


def test_colours_turn_with_the_canonical_frame() -> None:
    """A direction that the warp turns is the direction there: a rotated ray through a rotating warp sees the same."""
    scene, asked = shaken()(), samples()
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5)))[0]
    turn = turn * torch.linalg.det(turn)
    linear = turn.expand(len(asked.points), 3, 3)
    is_valid = torch.ones(len(asked.points), dtype=torch.bool)
    turned = replace(
        asked,
        directions=asked.directions @ turn,
        warped=Warped(points=asked.points, linear=linear, is_valid=is_valid),
    )
    one, other = (scene.radiance(scene.shape(each)) for each in (asked, turned))
    torch.testing.assert_close(one, other)
    assert bool(((one > 0) & (one < 1)).all())
    facing = scene.radiance(scene.shape(replace(asked, directions=-asked.directions)))
    assert not torch.allclose(one, facing)


def test_without_view_dependence_only_the_place_counts() -> None:
    scene, asked = shaken(replace(SMALL, has_view_dependence=False))(), samples()
    one, other = (scene.radiance(scene.shape(replace(asked, directions=sign * asked.directions))) for sign in (1, -1))
    assert torch.equal(one, other)


def test_kept_samples_have_the_colours_they_had() -> None:
    scene = shaken()()
    seen = scene.shape(samples())
    which = torch.arange(len(seen.distances)) % 3 == 0
    torch.testing.assert_close(scene.radiance(seen.keep(which)), scene.radiance(seen)[which])


def test_eikonal_losses_reach_the_grid() -> None:
    made = shaken()
    seen = made().shape(samples())
    (seen.gradients.norm(dim=1) - 1).square().mean().backward()
    assert made.table.grad is not None
    assert float(made.table.grad.abs().max()) > 0
    assert made.colors[0].weight.grad is None


def test_rays_into_a_sharp_surface_end_there() -> None:
    made = field(replace(SMALL, head=SdfHead(sharpness=2000.0, cos_anneal=1.0)))
    depths = torch.linspace(0.7, 0.3, 81)
    points = torch.stack([depths, 0 * depths, 0 * depths], 1)
    inwards = torch.tensor([[-1.0, 0, 0]]).expand(81, 3)
    asked = RaySamples(points=points, directions=inwards, lengths=torch.full((81,), 0.005))
    alphas = made().shape(asked).alphas.detach()
    distances = made().distance(points)
    crossing = int((distances > 0).sum())
    assert 0 < crossing < 81
    assert float(alphas[distances > 0.01].max()) < 0.01
    assert float(alphas[crossing - 1 : crossing + 2].max()) > 0.9


def test_a_density_is_the_exponential_of_its_head() -> None:
    made = shaken(replace(SMALL, head=DensityHead()))
    seen = made().shape(samples())
    expected = 1 - torch.exp(-torch.exp(-20 * seen.distances) * 0.01)
    torch.testing.assert_close(seen.alphas, expected)
    assert not hasattr(made, "log_sharpness")


def test_codes_tell_it_more() -> None:
    made, asked = shaken(replace(SMALL, num_codes=2)), samples()
    codes = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    plain, told = (made().shape(replace(asked, code=code)).distances for code in codes)
    assert not torch.allclose(plain, told)
    torch.testing.assert_close(plain, made().shape(asked).distances)


def test_intervals_are_as_fine_as_the_density_is_sharp() -> None:
    made = field(replace(SMALL, step_m=(0.004, 0.012)))
    for sharpness, step_m in ((20.0, 0.012), (100.0, 0.01), (1000.0, 0.004)):
        made.log_sharpness.data = torch.tensor(sharpness).log() / 10
        assert made().step_m == pytest.approx(step_m, rel=1e-4)


def test_cells_far_from_the_surface_are_emptied_once_it_is_sharp() -> None:
    made = field(replace(SMALL, head=SdfHead(sharpness=3.0)))
    before = made.grid
    made.tighten(0.02)
    assert int(made.occupied.sum()) == 16**3, "a vague surface may be anywhere"
    made.log_sharpness.data = torch.tensor(1000.0).log() / 10
    made.tighten(0.02)
    radii = (BOX[0] + (made.occupied.nonzero() + 0.5) * 0.1).norm(dim=1)
    assert made.grid is not before
    assert made.grid is made.grid
    assert int(made.occupied.sum()) < 16**3 / 2
    assert float(radii.min()) > 0.2


@pytest.mark.parametrize(
    ("name", "value"), [("hidden", 0), ("num_features", 0), ("num_codes", -1), ("step_m", (0.01, 0.004))]
)
def test_configs_say_what_they_expect(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"FieldConfig\.{name}: expected"):
        replace(SMALL, **{name: value})
    with pytest.raises(ValueError, match=r"SdfHead\.cos_anneal: expected 0 to 1, got 2"):
        SdfHead(cos_anneal=2.0)
