"""Gaussians through a PLY file: the same numbers back, and no file can do more than raise ValueError."""

import contextlib
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.export import read_ply, write_ply
from avatar.geometry import matrices_from_quats
from avatar.structs import Gaussians


def random_gaussians(n: int = 20, k: int = 16) -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    return Gaussians(
        means=torch.randn(n, 3, generator=generator),
        quats=torch.randn(n, 4, generator=generator),
        scales=torch.rand(n, 3, generator=generator) * 0.1 + 1e-3,
        opacities=torch.rand(n, generator=generator) * 0.98 + 0.01,
        sh=torch.randn(n, k, 3, generator=generator),
    )


@pytest.mark.parametrize("k", [1, 4, 9, 16])
def test_round_trip(tmp_path: Path, k: int) -> None:
    written = random_gaussians(k=k)
    write_ply(tmp_path / "a.ply", written, comments=["frame 3, metres"])
    read = read_ply(tmp_path / "a.ply")
    assert torch.equal(read.means, written.means)
    assert torch.equal(read.sh, written.sh)
    torch.testing.assert_close(read.quats, torch.nn.functional.normalize(written.quats, dim=1), rtol=0, atol=1e-7)
    # A logarithm near -7 is kept to 2.4e-7, a logit likewise.
    torch.testing.assert_close(read.scales, written.scales, rtol=6e-7, atol=0)
    torch.testing.assert_close(read.opacities, written.opacities, rtol=6e-7, atol=0)


def test_what_a_deformation_did_is_kept(tmp_path: Path) -> None:
    written = random_gaussians()
    linear = torch.randn(20, 3, 3, generator=torch.Generator().manual_seed(1))
    write_ply(tmp_path / "a.ply", replace(written, linear=linear))
    read = read_ply(tmp_path / "a.ply")
    found, own = (
        matrices_from_quats(torch.nn.functional.normalize(g.quats, dim=1)) * g.scales[:, None] for g in (read, written)
    )
    axes = linear @ own
    torch.testing.assert_close(found @ found.mT, axes @ axes.mT, rtol=0, atol=1e-7)


def test_stored_forms_survive_a_second_trip(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", random_gaussians())
    write_ply(tmp_path / "b.ply", read_ply(tmp_path / "a.ply"))
    first, second = read_ply(tmp_path / "a.ply"), read_ply(tmp_path / "b.ply")
    for field in fields(Gaussians):
        if field.name not in ("binding", "linear"):
            torch.testing.assert_close(getattr(first, field.name), getattr(second, field.name), rtol=1e-6, atol=1e-7)


def test_layout_is_the_one_that_viewers_read(tmp_path: Path) -> None:
    one = Gaussians(
        means=torch.tensor([[1.0, 2.0, 3.0]]),
        quats=torch.tensor([[2.0, 0.0, 0.0, 0.0]]),
        scales=torch.tensor([[1.0, 0.5, 0.25]]),
        opacities=torch.tensor([0.5]),
        sh=torch.arange(12.0).reshape(1, 4, 3),
    )
    write_ply(tmp_path / "a.ply", one)
    header, _, data = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    names = re.findall(rb"property float (\w+)", header)
    row = dict(zip([name.decode() for name in names], np.frombuffer(data, "<f4"), strict=True))
    assert header.startswith(b"ply\nformat binary_little_endian 1.0\nelement vertex 1\n")
    assert [row[f"f_dc_{i}"] for i in range(3)] == [0, 1, 2]
    assert [row[f"f_rest_{i}"] for i in range(9)] == [3, 6, 9, 4, 7, 10, 5, 8, 11]  # red, green, blue
    assert (row["nx"], row["opacity"], row["rot_0"], row["rot_1"]) == (0, 0, 1, 0)
    assert [row["x"], row["y"], row["z"]] == [1, 2, 3]
    assert [row[f"scale_{i}"] for i in range(3)] == pytest.approx([0, -0.6931472, -1.3862944])
    assert names[:3] == [b"x", b"y", b"z"]
    assert names[-4:] == [b"rot_0", b"rot_1", b"rot_2", b"rot_3"]


def test_full_and_empty_opacity_stay_finite(tmp_path: Path) -> None:
    solid = random_gaussians(2)
    solid.opacities[:] = torch.tensor([0.0, 1.0])
    write_ply(tmp_path / "a.ply", solid)
    assert read_ply(tmp_path / "a.ply").opacities.tolist() == pytest.approx([0, 1], abs=2e-6)


def test_others_write_infinite_logits(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", random_gaussians(2, k=1))
    content = bytearray((tmp_path / "a.ply").read_bytes())
    row = 4 * len(re.findall(rb"property float", content))
    for index, logit in enumerate((-np.inf, np.inf)):
        start = len(content) - (2 - index) * row + 4 * 9  # after place, normal and colour
        content[start : start + 4] = np.float32(logit).tobytes()
    (tmp_path / "a.ply").write_bytes(content)
    assert read_ply(tmp_path / "a.ply").opacities.tolist() == [0, 1]


def test_what_is_not_finite_is_not_written(tmp_path: Path) -> None:
    broken = random_gaussians(2)
    broken.means[1, 0] = float("nan")
    with pytest.raises(ValueError, match="finite values in x to z"):
        write_ply(tmp_path / "a.ply", broken)
    assert not list(tmp_path.iterdir())


def test_properties_go_by_name_and_other_elements_are_skipped(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", random_gaussians(3, k=1))
    expected = read_ply(tmp_path / "a.ply")
    header, end, data = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    names = re.findall(rb"property float (\w+)", header)
    table = np.frombuffer(data, "<f4").reshape(3, -1)[:, ::-1].astype("<f8")
    properties = b"".join(b"property double %s\n" % name for name in reversed(names))
    before = b"ply\nformat binary_little_endian 1.0\nelement chunk 2\nproperty uchar a\nproperty float b\n"
    content = before + b"element vertex 3\n" + properties + end + bytes(10) + table.tobytes()
    (tmp_path / "b.ply").write_bytes(content)
    assert torch.equal(read_ply(tmp_path / "b.ply").means, expected.means)


def mutated(content: bytes) -> dict[str, bytes]:
    header, end, data = content.partition(b"end_header\n")
    nan = np.float32("nan").tobytes()
    return {
        "empty": b"",
        "not a PLY": b"solid teapot",
        "no end": header,
        "ASCII": content.replace(b"binary_little_endian", b"ascii"),
        "big-endian": content.replace(b"binary_little_endian", b"binary_big_endian"),
        "truncated": content[:-1],
        "a billion rows": content.replace(b"element vertex 4", b"element vertex 1000000000"),
        "endless rows": content.replace(b"element vertex 4", b"element vertex " + b"9" * 5000),
        "negative rows": content.replace(b"element vertex 4", b"element vertex -4"),
        "no vertices": content.replace(b"element vertex", b"element face"),
        "list": content.replace(b"property float nx", b"property list uchar int nx"),
        "unknown type": content.replace(b"property float nx", b"property object nx"),
        "twice": content.replace(b"property float nx", b"property float x"),
        "no opacity": content.replace(b"float opacity", b"float weight"),
        "odd harmonics": content.replace(b"float f_rest_8", b"float g_rest_8"),
        "harmonics misnumbered": content.replace(b"float f_rest_8", b"float f_rest_9"),
        "property first": content.replace(b"element vertex 4\n", b""),
        "not a number": header + end + nan + data[4:],
        "overflowing scale": header + end + np.full(len(data) // 4, 100, "<f4").tobytes(),
        "header too long": content.replace(b"element", b"comment " + b"x" * 70000 + b"\nelement"),
    }


@pytest.mark.parametrize("case", mutated(b"end_header\n").keys())
def test_hostile_files_end_in_one_line(tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.ply"
    write_ply(path, random_gaussians(4, k=4))
    path.write_bytes(mutated(path.read_bytes())[case])
    with pytest.raises(ValueError, match=r"a\.ply: ") as caught:
        read_ply(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_random_damage_never_does_worse(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    write_ply(path, random_gaussians(4, k=4))
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        for position in random.integers(0, len(whole) if random.random() < 0.5 else 400, 4):
            damaged[position] = random.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            assert read_ply(path).scales.isfinite().all()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_ply(tmp_path / "none.ply")
