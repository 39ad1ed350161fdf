"""Distances, angles and volumes of surfaces whose answers are known."""

import math

import pytest
import torch
import trimesh

from avatar.evaluate import SURFACE_METRICS, SurfaceConfig, compare_surfaces, seen_from_outside
from avatar.structs import Mesh

QUICK = SurfaceConfig(num_points=20_000, cell_m=0.02, num_views=16, view_px=256)


def mesh_of(made: trimesh.Trimesh, scale: float = 1.0) -> Mesh:
    return Mesh(vertices=scale * torch.tensor(made.vertices).float(), faces=torch.tensor(made.faces))


def ball(radius: float = 0.5) -> Mesh:
    return mesh_of(trimesh.creation.icosphere(4), radius)


def moved(mesh: Mesh, by: tuple[float, float, float]) -> Mesh:
    return Mesh(vertices=mesh.vertices + torch.tensor(by), faces=mesh.faces)


def both(one: Mesh, other: Mesh) -> Mesh:
    faces = torch.cat([one.faces, other.faces + len(one.vertices)])
    return Mesh(vertices=torch.cat([one.vertices, other.vertices]), faces=faces)


def test_a_ball_in_a_slightly_larger_one() -> None:
    found = compare_surfaces(ball(0.506), ball(0.5), QUICK)
    assert tuple(found) == SURFACE_METRICS
    for name in ("chamfer_mm", "accuracy_mm", "completeness_mm"):
        assert found[name] == pytest.approx(6, abs=0.1)
    assert (found["f_5mm"], found["f_10mm"]) == (0, 1)
    assert found["normal_deg"] == pytest.approx(0, abs=0.5)
    assert found["normal_cosine"] == pytest.approx(1, abs=1e-4)
    assert found["iou"] == pytest.approx((0.5 / 0.506) ** 3, abs=0.01)


def test_the_volumes_of_a_moved_box_overlap_by_half() -> None:
    box = mesh_of(trimesh.creation.box((0.63, 0.43, 0.51)))
    found = compare_surfaces(moved(box, (0.21, 0, 0)), box, QUICK)
    assert found["iou"] == pytest.approx(0.42 / 0.84, abs=0.015)
    assert compare_surfaces(box, box, QUICK)["chamfer_mm"] == pytest.approx(0, abs=1e-3)


def test_one_side_sees_what_is_too_much_and_the_other_what_is_missing() -> None:
    whole = ball()
    half = Mesh(vertices=whole.vertices, faces=whole.faces[whole.vertices[whole.faces][..., 2].mean(1) > 0])
    missing = compare_surfaces(half, whole, QUICK)
    assert missing["accuracy_mm"] == pytest.approx(0, abs=1e-3)
    # A point at latitude -a is 2 r sin(a / 2) from the rim; weighted by area, cos a, the mean is 0.5523 r.
    assert missing["completeness_mm"] == pytest.approx(500 * 0.5523 / 2, rel=0.02)
    assert missing["chamfer_mm"] == pytest.approx(500 * 0.5523 / 4, rel=0.02)
    assert missing["f_5mm"] == pytest.approx(2 / 3, abs=0.02)
    too_much = compare_surfaces(whole, half, QUICK)
    assert too_much["accuracy_mm"] == pytest.approx(missing["completeness_mm"])
    assert too_much["chamfer_mm"] == pytest.approx(missing["chamfer_mm"])


def test_what_nobody_sees_does_not_count() -> None:
    layered = both(ball(), ball(0.4))
    seen = seen_from_outside(layered, QUICK)
    assert len(seen.faces) == len(ball().faces)
    assert int(seen.faces.max()) < len(ball().vertices)
    found = compare_surfaces(ball(), layered, QUICK)
    assert found["chamfer_mm"] == pytest.approx(0, abs=1e-3)
    assert found["iou"] == pytest.approx(1, abs=1e-3)


def test_inside_out_is_seen_in_normals_and_volume() -> None:
    found = compare_surfaces(Mesh(vertices=ball().vertices, faces=ball().faces.flip(1)), ball(), QUICK)
    assert found["normal_cosine"] == pytest.approx(-1, abs=1e-4)
    assert found["normal_deg"] == pytest.approx(180, abs=1)
    assert found["iou"] == 0
    assert found["chamfer_mm"] == pytest.approx(0, abs=1e-3)


def test_a_turned_plane_by_hand() -> None:
    """Two squares that share an edge, 30 degrees between them; distances grow from there."""
    angle = math.radians(30)
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    turn = torch.tensor([[math.cos(angle), 0, -math.sin(angle)], [0, 1, 0], [math.sin(angle), 0, math.cos(angle)]])
    flat, turned = Mesh(vertices=corners, faces=faces), Mesh(vertices=corners @ turn.T, faces=faces)
    found = compare_surfaces(turned, flat, QUICK)
    assert found["normal_deg"] == pytest.approx(30, abs=0.1)
    assert found["accuracy_mm"] == pytest.approx(1000 * math.sin(angle) / 2, rel=0.01)


def test_figures_repeat_to_the_last_bit() -> None:
    first, second = (compare_surfaces(ball(0.51), ball(0.5), QUICK) for _ in range(2))
    assert first == second


def test_nothing_predicted() -> None:
    nothing = Mesh(vertices=torch.zeros(0, 3), faces=torch.zeros(0, 3, dtype=torch.int64))
    found = compare_surfaces(nothing, ball(), QUICK)
    assert (found["f_5mm"], found["f_10mm"], found["iou"]) == (0, 0, 0)
    assert [name for name, value in found.items() if value is None] == [
        *("chamfer_mm", "accuracy_mm", "completeness_mm", "normal_deg", "normal_cosine")
    ]
    with pytest.raises(ValueError, match="mesh: expected triangles"):
        compare_surfaces(ball(), nothing, QUICK)


def test_broken_meshes_and_configs_are_refused() -> None:
    with pytest.raises(ValueError, match="mesh: expected triangles with finite vertices"):
        compare_surfaces(moved(ball(), (math.nan, 0, 0)), ball(), QUICK)
    with pytest.raises(ValueError, match=r"SurfaceConfig.cell_m: expected a positive number, got 0"):
        SurfaceConfig(cell_m=0.0)
