"""Drawings of a rig of known places."""

import re

import pytest
import torch

from avatar.geometry import look_at
from avatar.prepare.report.rig import MARGIN, WIDTH, rig_views, short_names
from avatar.structs import Camera, Mesh

NOBODY = Mesh(vertices=torch.full((3, 3), torch.nan), faces=torch.tensor([[0, 1, 2]]))


def camera(eye: tuple[float, float, float]) -> Camera:
    pose = look_at(torch.tensor(eye), torch.tensor([0.0, 0, 1]), torch.tensor([0.0, 0, 1]))
    intrinsics = torch.tensor([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]])
    return Camera(camera_from_world=pose, intrinsics_px=intrinsics, height=100, width=100)


def test_cameras_stand_to_scale() -> None:
    rig = [camera((-3.0, 0, 1)), camera((3.0, 0, 1)), camera((0.0, 3, 1))]
    path_world = torch.tensor([[-1.0, 0, 1], [1, 0, 1], [torch.nan, 0, 1]])
    above, side = rig_views(rig, ["<a>", "b", "c"], [0.0, 2.0, 0.0], path_world, NOBODY).split("<figcaption>")[:2]
    places = [(float(x), float(y)) for x, y in re.findall(r'<circle r="5" cx="([\d.]+)" cy="([\d.]+)"', above)]
    scale = (WIDTH - 2 * MARGIN) / 6
    assert places[0][0] == MARGIN
    assert places[1][0] == WIDTH - MARGIN
    assert places[2] == pytest.approx((WIDTH / 2, places[0][1] - 3 * scale), abs=0.1)
    assert re.findall(r'class="way" d="M([\d.]+) ', above) == [f"{MARGIN + 2 * scale:.4g}"]
    fields = [re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn) for drawn in re.findall(r'<path d="(M[^"]+Z)"', above)]
    assert max(float(y) - places[0][1] for _, y in fields[0]) == pytest.approx(1.5 * scale, abs=0.1)  # 50 of 100 px
    assert above.count("camera weak") == 1
    assert "&lt;a&gt;" in above
    assert "from above" in side
    assert "nan" not in above.lower() + side.lower()


def test_one_camera_and_a_person_who_stands_still() -> None:
    html = rig_views([camera((0.0, 3, 1))], ["x" * 99], [0.0], torch.zeros(2, 3), NOBODY)
    assert html.count("<svg") == 2
    assert "x" * 30 not in html


def test_many_names_lose_their_common_beginning() -> None:
    names = [f"Camera_B{i}" for i in range(1, 11)]
    assert short_names(names[:8]) == names[:8]
    assert short_names(names)[8:] == ["9", "10"]
    assert short_names(["same"] * 9) == ["e"] * 9
