"""What the cameras see is what the texture shows, in its place."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.export import BakeConfig, bake_texture
from avatar.geometry import SH_C0
from avatar.structs import Gaussians, Mesh

SMALL = BakeConfig(size_px=64, view_px=256, elevations=(-0.6, 0.6), cameras=(6, 6))


def box(inner: float = 0.5) -> tuple[Gaussians, Mesh]:
    """A box of 1 m, its six sides in a row of the texture, and on each a carpet of discs: red, green, blue, ...

    ``inner`` is the half edge of where the discs are.
    """
    sides, corners, faces = [], [], []
    for axis in range(3):
        for sign in (1.0, -1.0):
            normal = torch.zeros(3)
            normal[axis] = sign
            first = torch.roll(normal, 1) * sign
            sides.append((normal, first, torch.linalg.cross(normal, first)))
    uv = []
    for side, (normal, first, second) in enumerate(sides):
        for x, y in ((0, 0), (1, 0), (1, 1), (0, 1)):
            corners.append(normal * 0.5 + (x - 0.5) * first + (y - 0.5) * second)
            uv.append([(side + 0.1 + 0.8 * x) / 6, 0.1 + 0.8 * y])
        faces += [[4 * side, 4 * side + 1, 4 * side + 2], [4 * side, 4 * side + 2, 4 * side + 3]]
    steps = (torch.arange(20) + 0.5) / 20 - 0.5
    grid = torch.cartesian_prod(steps, steps) * 2 * inner
    means = torch.cat([n * inner + grid[:, :1] * a + grid[:, 1:] * b for n, a, b in sides])
    colors = torch.eye(3).repeat(2, 1).repeat_interleave(len(grid), 0) * 0.8 + 0.1
    discs = Gaussians(
        means=means,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(len(means), 1),
        scales=torch.full((len(means), 3), 0.03),
        opacities=torch.full((len(means),), 0.95),
        sh=((colors - 0.5) / SH_C0)[:, None],
    )
    mesh = Mesh(
        vertices=torch.stack(corners),
        faces=torch.tensor(faces),
        uv=torch.tensor(uv),
        uv_faces=torch.tensor(faces),
        colors=torch.full((24, 3), 0.5),
    )
    return discs, mesh


def test_every_side_has_its_colour() -> None:
    texture = bake_texture(*box(), SMALL)
    assert texture.shape == (64, 64, 3)
    expected = (np.eye(3) * 0.8 + 0.1) * 255
    for side in range(6):
        middle = texture[24:40, round((side + 0.4) / 6 * 64) : round((side + 0.6) / 6 * 64)]
        np.testing.assert_allclose(middle.mean((0, 1)), expected[side % 3], atol=12)


def test_v_runs_upwards() -> None:
    """Discs on the lower half alone of the side at +x: its texels are in the lower half, last rows, of the picture."""
    discs, mesh = box()
    n = len(discs.means) // 6
    dark = discs.sh.clone()
    second = torch.linalg.cross(torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]))
    dark[:n][discs.means[:n] @ second < 0] = -0.5 / SH_C0
    texture = bake_texture(replace(discs, sh=dark), mesh, SMALL)
    assert texture[12:28, 3:8, 0].mean() > 180
    assert texture[36:52, 3:8].max() < 60


def test_no_black_beside_the_seams() -> None:
    assert bake_texture(*box(), SMALL).max(2).min() > 60


def test_what_no_camera_sees_has_the_colour_of_its_vertices() -> None:
    """A wall 5 cm before the side at +x: all that is known of what is behind are the vertices."""
    discs, mesh = box()
    wall = mesh.vertices[:4] + torch.tensor([0.05, 0, 0])
    assert mesh.uv_faces is not None
    hidden = replace(
        mesh,
        vertices=torch.cat([mesh.vertices, wall]),
        faces=torch.cat([mesh.faces, torch.tensor([[24, 25, 26], [24, 26, 27]])]),
        uv_faces=torch.cat([mesh.uv_faces, torch.zeros(2, 3, dtype=torch.long)]),
        colors=torch.full((28, 3), 0.5),
    )
    texture = bake_texture(discs, hidden, SMALL)
    np.testing.assert_allclose(texture[28:36, 4:7].mean((0, 1)), 128, atol=8)


def test_a_mesh_without_coordinates_is_refused() -> None:
    discs, mesh = box()
    with pytest.raises(ValueError, match="texture coordinates"):
        bake_texture(discs, replace(mesh, uv=None), SMALL)
    with pytest.raises(ValueError, match="size_px"):
        BakeConfig(size_px=0)
    with pytest.raises(ValueError, match="cameras: expected 5 numbers, got 1"):
        BakeConfig(cameras=(1,))
