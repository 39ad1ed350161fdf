"""Rotating Gaussians turns all of them: places, shapes and colours."""

from pathlib import Path

import pytest
import torch

from avatar.export import read_ply, read_spz, rotate_gaussians, to_viewer_axes, to_y_up, write_ply, write_spz
from avatar.export.axes import sh_rotation, without_linear
from avatar.geometry import SH_C0, evaluate_sh, matrices_from_quats
from avatar.structs import Gaussians


def covariances(gaussians: Gaussians) -> torch.Tensor:
    axes = matrices_from_quats(torch.nn.functional.normalize(gaussians.quats, dim=1)) * gaussians.scales[:, None]
    axes = axes if gaussians.linear is None else gaussians.linear @ axes
    return axes @ axes.mT


def turned_and_not(k: int, linear: bool = False) -> tuple[Gaussians, Gaussians, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    gaussians = Gaussians(
        means=random(50, 3),
        quats=random(50, 4),
        scales=random(50, 3).exp(),
        opacities=torch.full((50,), 0.5, dtype=torch.float64),
        sh=random(50, k, 3),
        linear=random(50, 3, 3) if linear else None,
    )
    rotation = matrices_from_quats(torch.nn.functional.normalize(random(4), dim=0))
    return gaussians, rotate_gaussians(gaussians, rotation), rotation


@pytest.mark.parametrize("k", [1, 4, 9, 16])
def test_colours_follow_the_viewing_direction(k: int) -> None:
    source, target, rotation = turned_and_not(k)
    directions = torch.nn.functional.normalize(source.means, dim=1)
    seen, seen_turned = evaluate_sh(source.sh, directions), evaluate_sh(target.sh, directions @ rotation.mT)
    torch.testing.assert_close(seen_turned, seen, rtol=0, atol=1e-12)


@pytest.mark.parametrize("linear", [False, True])
def test_covariances_turn(linear: bool) -> None:
    source, target, rotation = turned_and_not(1, linear)
    torch.testing.assert_close(covariances(target), rotation @ covariances(source) @ rotation.mT)


def test_covariances_stay_without_linear_maps() -> None:
    """Mirrors have no quaternion, but their covariances do; what is flat stays flat, a billionth thick."""
    source, _, _ = turned_and_not(1, True)
    assert source.linear is not None
    source.linear[0] = torch.diag(torch.tensor([1.0, -1.0, 1.0]))
    source.linear[1] = torch.diag(torch.tensor([1.0, 0.0, 1.0]))
    plain = without_linear(source)
    assert plain.linear is None
    torch.testing.assert_close(covariances(plain), covariances(source), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(plain.quats.norm(dim=1), torch.ones(50, dtype=torch.float64))
    assert float(plain.scales[1].min() / plain.scales[1].max()) == pytest.approx(1e-9)
    assert without_linear(plain) is plain


def test_degrees_do_not_mix() -> None:
    *_, rotation = turned_and_not(1)
    matrix = sh_rotation(rotation, 16)
    for low, high in ((0, 1), (1, 4), (4, 9)):
        assert matrix[low:high, high:].abs().max() < 1e-12
        assert matrix[high:, low:high].abs().max() < 1e-12
    torch.testing.assert_close(matrix @ matrix.mT, torch.eye(16, dtype=torch.float64))


@pytest.mark.parametrize(
    ("turn", "write", "read", "up", "front"),
    [
        (to_viewer_axes, write_ply, read_ply, (0, -1, 0), (0, 0, -1)),
        (to_y_up, write_spz, read_spz, (0, 1, 0), (0, 0, 1)),
    ],
)
def test_a_figure_looks_the_same_in_every_file(tmp_path: Path, turn, write, read, up: tuple, front: tuple) -> None:
    """Red on top, green at its left hand, blue in front: the file has them up, at +x and where viewers look from."""
    red, green, blue = torch.eye(3)
    dc = torch.stack([red, green, blue]) / SH_C0 / 2
    figure = Gaussians(
        means=torch.tensor([[0, 0, 1.0], [1, 0, 0], [0, -1, 0]]),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(3, 1),
        scales=torch.full((3, 3), -2.0).exp(),
        opacities=torch.full((3,), 1.0),
        sh=torch.cat([dc[:, None], torch.zeros(3, 3, 3)], 1),
    )
    figure.sh[:, 2] = 0.5  # brighter, seen along +z, from below
    write(tmp_path / "figure", turn(figure))
    found = read(tmp_path / "figure")
    expected = torch.tensor([up, (1, 0, 0), front], dtype=torch.float32)
    torch.testing.assert_close(found.means, expected, rtol=0, atol=1e-3)
    assert found.sh[:, 0].argmax(1).tolist() == [0, 1, 2]
    for direction, towards in ((torch.tensor([0.0, 0, 1]), expected[0]), (torch.tensor([0.0, -1, 0]), expected[2])):
        own, seen = (evaluate_sh(g.sh, d.expand(3, 3)) for g, d in ((figure, direction), (found, towards)))
        torch.testing.assert_close(seen, own, rtol=0, atol=5e-3)


def test_viewers_have_y_down_and_see_the_face() -> None:
    source, _, _ = turned_and_not(4)
    head_and_nose = torch.tensor([[0.0, 0.0, 1.7], [0.0, -0.1, 0.0]], dtype=torch.float64)
    source.means[:2] = head_and_nose
    assert to_viewer_axes(source).means[:2].tolist() == [[0, -1.7, 0], [0, 0, -0.1]]
