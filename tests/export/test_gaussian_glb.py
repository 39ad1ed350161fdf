"""Gaussians as glTF: the numbers under the names of the extension, and a cloud of points for everybody else."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from avatar.export import to_y_up, write_gaussian_glb
from avatar.geometry import evaluate_sh, matrices_from_quats, normalize_quats

from .node import run_module
from .test_rigged_glb import VALIDATE
from .test_spz import random_gaussians


def read_back(path: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """The primitive, and its attributes by name."""
    content = path.read_bytes()
    (length,) = struct.unpack("<I", content[12:16])
    gltf, data = json.loads(content[20 : 20 + length]), content[28 + length :]
    (primitive,) = gltf["meshes"][0]["primitives"]
    arrays = {}
    for name, index in primitive["attributes"].items():
        accessor = gltf["accessors"][index]
        start = gltf["bufferViews"][accessor["bufferView"]]["byteOffset"]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        values = np.frombuffer(data, "<f4", accessor["count"] * width, start)
        arrays[name.removeprefix("KHR_gaussian_splatting:")] = torch.from_numpy(values.reshape(-1, width).copy())
    return primitive, arrays


@pytest.mark.parametrize("k", [1, 4, 9, 16])
def test_round_trip(tmp_path: Path, k: int) -> None:
    source = random_gaussians(k=k)
    write_gaussian_glb(tmp_path / "a.glb", source, "test")
    primitive, read = read_back(tmp_path / "a.glb")
    assert primitive["mode"] == 0
    assert primitive["extensions"]["KHR_gaussian_splatting"]["kernel"] == "ellipse"
    assert torch.equal(read["POSITION"], source.means)
    assert torch.equal(read["SCALE"], source.scales)
    assert torch.equal(read["OPACITY"][:, 0], source.opacities)
    torch.testing.assert_close(read["ROTATION"][:, [3, 0, 1, 2]], source.quats)
    names = [f"SH_DEGREE_{degree}_COEF_{order}" for degree in range(4) for order in range(2 * degree + 1)]
    assert torch.equal(torch.stack([read[name] for name in names[:k]], 1), source.sh)
    assert names[k:] == [] or names[k] not in read


def test_others_see_points_in_linear_colours(tmp_path: Path) -> None:
    grey = replace(random_gaussians(k=1), sh=torch.full((50, 1, 3), 0.0))
    write_gaussian_glb(tmp_path / "a.glb", grey, "test")
    _, read = read_back(tmp_path / "a.glb")
    assert read["COLOR_0"][:, :3].flatten().tolist() == pytest.approx([0.21404] * 150, abs=1e-5)  # sRGB 0.5
    (cloud,) = trimesh.load_scene(tmp_path / "a.glb").geometry.values()
    assert isinstance(cloud, trimesh.PointCloud)
    np.testing.assert_allclose(cloud.vertices, grey.means, atol=1e-6)


def test_a_figure_stands_upright_and_faces_us(tmp_path: Path) -> None:
    """Red on top, green at its left hand, blue before it: up y, x and +z in glTF. Colours turn along."""
    figure = replace(
        random_gaussians(3, k=16),
        means=torch.tensor([[0, 0, 1.7], [0.5, 0, 1], [0, -0.3, 1]]),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(3, 1),
        scales=torch.tensor([0.1, 0.2, 0.3]).repeat(3, 1),
    )
    write_gaussian_glb(tmp_path / "a.glb", to_y_up(figure), "test")
    _, read = read_back(tmp_path / "a.glb")
    torch.testing.assert_close(read["POSITION"], torch.tensor([[0, 1.7, 0], [0.5, 1, 0], [0, 1, 0.3]]))
    turn = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    axes = matrices_from_quats(normalize_quats(read["ROTATION"][:, [3, 0, 1, 2]]))
    torch.testing.assert_close(axes[:, :, 2], torch.tensor([0.0, 1, 0]).expand(3, 3))  # the longest axis was z
    sh = torch.stack([read[f"SH_DEGREE_{d}_COEF_{n}"] for d in range(4) for n in range(2 * d + 1)], 1)
    directions = torch.nn.functional.normalize(torch.randn(100, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    for row in range(3):
        own, turned = (values[row].expand(100, 16, 3) for values in (figure.sh, sh))
        torch.testing.assert_close(
            evaluate_sh(turned, directions @ turn.mT), evaluate_sh(own, directions), rtol=0, atol=1e-5
        )


def test_the_validator_knows_all_but_the_extension(tmp_path: Path) -> None:
    write_gaussian_glb(tmp_path / "a.glb", random_gaussians(k=1), "test")
    messages = run_module("gltf-validator", VALIDATE, tmp_path / "a.glb")["issues"]["messages"]
    assert {message["code"] for message in messages} == {"UNSUPPORTED_EXTENSION", "MESH_PRIMITIVE_INVALID_ATTRIBUTE"}
    named = [m["pointer"] for m in messages if m["code"] == "MESH_PRIMITIVE_INVALID_ATTRIBUTE"]
    assert all("KHR_gaussian_splatting:" in pointer for pointer in named)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    empty = random_gaussians(0)
    broken = replace(random_gaussians(), scales=torch.full((50, 3), torch.inf))
    for gaussians, reason in ((empty, "got none"), (broken, "finite values in scales")):
        with pytest.raises(ValueError, match=reason):
            write_gaussian_glb(tmp_path / "a.glb", gaussians, "test")
    assert not list(tmp_path.iterdir())
