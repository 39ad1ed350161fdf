"""Gaussians through SPZ: the bytes that others read, and no file can do more than raise ValueError."""

import contextlib
import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.export import read_spz, to_y_up, write_spz
from avatar.geometry import evaluate_sh, matrices_from_quats
from avatar.structs import Gaussians

from .node import run_module

FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "data" / "fixtures" / "splat_fixtures"


def random_gaussians(n: int = 50, k: int = 16) -> Gaussians:
    generator = torch.Generator().manual_seed(0)
    return Gaussians(
        means=torch.randn(n, 3, generator=generator),
        quats=torch.nn.functional.normalize(torch.randn(n, 4, generator=generator), dim=1),
        scales=torch.rand(n, 3, generator=generator) * 0.1 + 1e-3,
        opacities=torch.rand(n, generator=generator),
        sh=torch.randn(n, k, 3, generator=generator).clamp(-0.9, 0.9),
    )


def one(quat: tuple[float, float, float, float] = (1, 0, 0, 0), k: int = 1) -> Gaussians:
    return Gaussians(
        means=torch.tensor([[1.0, -1.0, 0.5]]),
        quats=torch.tensor([quat], dtype=torch.float32),
        scales=torch.full((1, 3), -4.0).exp(),
        opacities=torch.tensor([0.5]),
        sh=torch.zeros(1, k, 3),
    )


def written(folder: Path, gaussians: Gaussians) -> bytes:
    write_spz(folder / "a.spz", gaussians)
    return gzip.decompress((folder / "a.spz").read_bytes())


def test_golden_bytes(tmp_path: Path) -> None:
    """One metre is 0x1000 of 12 bits, log scale -4 is 96, half opacity and no colour 128, no rotation the largest w."""
    content = written(tmp_path, one(k=4))
    assert content[:16] == b"NGSP" + struct.pack("<IIBBBB", 3, 1, 1, 12, 0, 0)
    places, opacity, color, scale = content[16:25], content[25:26], content[26:29], content[29:32]
    assert places == bytes.fromhex("00100000f0ff000800")
    assert (opacity, color, scale) == (b"\x80", b"\x80" * 3, bytes([96] * 3))
    assert content[32:36] == bytes.fromhex("000000c0")
    assert content[36:] == b"\x80" * 9


def test_rotations_by_hand(tmp_path: Path) -> None:
    """A third of a turn about (1, 1, -1): wxyz (1, 1, 1, -1) / 2. Of the largest the first, x, is left out."""
    (packed,) = struct.unpack("<I", written(tmp_path, one((-0.5, -0.5, -0.5, 0.5)))[32:36])
    half = round(0.5 * 511 * 2**0.5)
    assert packed == 0 << 30 | half << 20 | (512 + half) << 10 | half


@pytest.mark.parametrize("k", [1, 4, 9, 16])
def test_round_trip_to_the_steps_of_the_format(tmp_path: Path, k: int) -> None:
    source = random_gaussians(k=k)
    write_spz(tmp_path / "a.spz", source)
    read = read_spz(tmp_path / "a.spz")
    torch.testing.assert_close(read.means, source.means, rtol=0, atol=2**-13 + 1e-6)
    torch.testing.assert_close(read.scales.log(), source.scales.log(), rtol=0, atol=1 / 32 + 1e-5)
    torch.testing.assert_close(read.opacities, source.opacities, rtol=0, atol=0.5 / 255 + 1e-6)
    turns = [matrices_from_quats(gaussians.quats) for gaussians in (read, source)]
    torch.testing.assert_close(*turns, rtol=0, atol=4e-3)
    torch.testing.assert_close(read.sh[:, 0], source.sh[:, 0], rtol=0, atol=0.5 / 255 / 0.15 + 1e-5)
    torch.testing.assert_close(read.sh[:, 1:4], source.sh[:, 1:4], rtol=0, atol=4 / 128 + 1e-6)
    torch.testing.assert_close(read.sh[:, 4:], source.sh[:, 4:], rtol=0, atol=8 / 128 + 1e-6)


def test_a_second_trip_loses_nothing(tmp_path: Path) -> None:
    write_spz(tmp_path / "a.spz", random_gaussians())
    write_spz(tmp_path / "b.spz", read_spz(tmp_path / "a.spz"))
    first, second = read_spz(tmp_path / "a.spz"), read_spz(tmp_path / "b.spz")
    for name in ("means", "quats", "scales", "opacities", "sh"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


def test_one_harmonic_stays_that_one(tmp_path: Path) -> None:
    for index in range(16):
        source = one(k=16)
        source.sh[0, index, index % 3] = 0.5
        write_spz(tmp_path / "a.spz", source)
        torch.testing.assert_close(read_spz(tmp_path / "a.spz").sh, source.sh, rtol=0, atol=0.02)


def test_out_of_range_takes_the_nearest(tmp_path: Path) -> None:
    extreme = replace(one(), scales=torch.tensor([[1e-9, 1e9, 1.0]]), sh=torch.full((1, 1, 3), 99.0))
    write_spz(tmp_path / "a.spz", extreme)
    read = read_spz(tmp_path / "a.spz")
    assert read.scales.log()[0].tolist() == pytest.approx([-10, 5.9375, 0], abs=1e-6)
    assert float(read.sh.max()) == pytest.approx(0.5 / 0.15)


def test_nothing_and_too_far(tmp_path: Path) -> None:
    write_spz(tmp_path / "a.spz", random_gaussians(0))
    assert len(read_spz(tmp_path / "a.spz").means) == 0
    for broken in (replace(one(), means=torch.full((1, 3), 3e3)), replace(one(), opacities=torch.tensor([torch.nan]))):
        with pytest.raises(ValueError, match=r"b\.spz: expected .* nothing was written"):
            write_spz(tmp_path / "b.spz", broken)
    assert [path.name for path in tmp_path.iterdir()] == ["a.spz"]


@pytest.mark.parametrize(("name", "z"), [("v2", -1.0), ("v3", 1.0), ("raw", -1.0)])
def test_public_files(name: str, z: float) -> None:
    """Four Gaussians of 0.1 m, opacity 0.9, in a square; one file is not gzipped."""
    path = FIXTURES / f"minimal-{name}.spz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    read = read_spz(path)
    assert read.means.tolist() == [[-1, 0, z], [0, 0, z], [-1, 0, 0], [0, 0, 0]]
    assert read.scales.log().unique().tolist() == [-2.3125]
    assert read.opacities.unique().tolist() == pytest.approx([0.902], abs=1e-3)
    assert float(read.quats[:, 0].min()) > 0.9999


def test_version_4_is_refused_with_advice() -> None:
    if not FIXTURES.is_dir():
        pytest.skip("no fixtures here")
    with pytest.raises(ValueError, match="expected version 2 or 3, got 4; save it anew as version 3"):
        read_spz(FIXTURES / "minimal-v4.spz")


def mutated(content: bytes) -> dict[str, bytes]:
    """Broken files; ``content`` is not compressed."""
    header = struct.Struct("<4sIIBBBB")
    return {
        "empty": b"",
        "header only": content[:16],
        "half a header": content[:9],
        "no magic": b"PSGN" + content[4:],
        "version 1": header.pack(b"NGSP", 1, 4, 1, 12, 0, 0) + content[16:],
        "billions": header.pack(b"NGSP", 3, 2**32 - 1, 1, 12, 0, 0) + content[16:],
        "millions": header.pack(b"NGSP", 3, 9_999_999, 1, 12, 0, 0) + content[16:],
        "degree 4": header.pack(b"NGSP", 3, 4, 4, 12, 0, 0) + content[16:],
        "all bits": header.pack(b"NGSP", 3, 4, 1, 255, 0, 0) + content[16:],
        "truncated": content[:-1],
        "one byte more": content + b"\0",
        "a bomb": content + bytes(50_000_000),
    }


@pytest.mark.parametrize("compress", [gzip.compress, bytes])
@pytest.mark.parametrize("case", mutated(bytes(20)).keys())
def test_hostile_files_end_in_one_line(tmp_path: Path, case: str, compress) -> None:
    path = tmp_path / "a.spz"
    path.write_bytes(compress(mutated(written(tmp_path, random_gaussians(4, k=4)))[case]))
    with pytest.raises(ValueError, match=r"a\.spz: not an SPZ file that can be read: ") as caught:
        read_spz(path)
    assert "\n" not in str(caught.value)


def test_random_damage_never_does_worse(tmp_path: Path) -> None:
    path, random = tmp_path / "a.spz", np.random.default_rng(0)
    content = written(tmp_path, random_gaussians(4, k=4))
    for whole in (content, path.read_bytes()):
        for _ in range(100):
            damaged = bytearray(whole)
            for position in random.integers(0, len(whole) if random.random() < 0.5 else 16, 3):
                damaged[position] = random.integers(256)
            path.write_bytes(damaged)
            with contextlib.suppress(ValueError):
                assert read_spz(path).scales.isfinite().all()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_spz(tmp_path / "none.spz")


def test_the_formats_own_library_reads_it(tmp_path: Path) -> None:
    """Niantic's reader, asked for x right, y down, z forward, finds our Gaussians turned from z up to there."""
    source = random_gaussians()
    write_spz(tmp_path / "a.spz", to_y_up(source))
    program = """
        import { readFileSync } from "node:fs";
        import createSpz from "@adobe/spz";
        const spz = await createSpz();
        const cloud = spz.loadSpzFromBuffer(readFileSync(process.argv[1]), { to: spz.CoordinateSystem.RDF });
        const arrays = ["positions", "scales", "rotations", "alphas", "colors", "sh"];
        console.log(JSON.stringify(Object.fromEntries(arrays.map((name) => [name, [...cloud[name]]]))));
    """
    cloud = {
        name: torch.tensor(values) for name, values in run_module("@adobe/spz", program, tmp_path / "a.spz").items()
    }
    x, y, z = source.means.unbind(1)
    torch.testing.assert_close(cloud["positions"].view(-1, 3), torch.stack([x, -z, y], 1), rtol=0, atol=2e-4)
    torch.testing.assert_close(cloud["scales"].view(-1, 3), source.scales.log(), rtol=0, atol=0.04)
    torch.testing.assert_close(cloud["alphas"].sigmoid(), source.opacities, rtol=0, atol=0.01)
    turn = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    axes = matrices_from_quats(cloud["rotations"].view(-1, 4)[:, [3, 0, 1, 2]])
    cosines = (axes * (turn @ matrices_from_quats(source.quats))).sum(1)  # an axis may point either way
    torch.testing.assert_close(cosines.abs(), torch.ones(50, 3), rtol=0, atol=1e-4)
    sh = torch.cat([cloud["colors"].view(-1, 1, 3), cloud["sh"].view(-1, 15, 3)], 1)
    directions = torch.nn.functional.normalize(source.means.roll(1, 0), dim=1)
    seen, seen_turned = evaluate_sh(source.sh, directions), evaluate_sh(sh, directions @ turn.mT)
    assert float((seen - seen_turned).abs().mean()) < 0.1 * float(seen.std())
