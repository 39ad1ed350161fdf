"""A rigged person and Gaussians as USD, read by USD itself."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.export import load_usd, to_y_up, write_gaussian_usd, write_rigged_usd
from avatar.export import usd as writer
from avatar.geometry import matrices_from_quats

from .test_rigged_glb import arm
from .test_spz import random_gaussians


def pxr(name: str):
    return pytest.importorskip(f"pxr.{name}", reason="usd-core is not installed")


def opened(path: Path):
    return pxr("Usd").Stage.Open(str(path))


@pytest.mark.parametrize("suffix", ["usdz", "usda", "usd"])
def test_an_arm_bends(tmp_path: Path, suffix: str) -> None:
    """At the end the elbow, at (0, 0.5, 0), has turned by 90 degrees and all has moved by (1, 1, 1)."""
    usd, skel, vt = pxr("Usd"), pxr("UsdSkel"), pxr("Vt")
    path = tmp_path / f"a.{suffix}"
    write_rigged_usd(path, *arm(), "test")
    stage = opened(path)
    assert (stage.GetTimeCodesPerSecond(), stage.GetEndTimeCode()) == (2, 2)
    assert pxr("UsdGeom").GetStageUpAxis(stage) == "Y"
    assert stage.GetRootLayer().comment.startswith("test; metres")
    cache, root = skel.Cache(), skel.Root(stage.GetDefaultPrim())
    assert cache.Populate(root, usd.PrimDefaultPredicate)
    (binding,) = cache.ComputeSkelBindings(root, usd.PrimDefaultPredicate)
    query, (target,) = cache.GetSkelQuery(binding.GetSkeleton()), binding.GetSkinningTargets()
    places = {}
    for code in (0.0, 1.0, 2.0):
        points = vt.Vec3fArray.FromNumpy(arm()[0].vertices)
        assert target.ComputeSkinnedPoints(query.ComputeSkinningTransforms(code), points, code)
        places[code] = np.array(points)
    np.testing.assert_allclose(places[0], arm()[0].vertices, atol=1e-6)
    np.testing.assert_allclose(places[2], [[1, 1, 1], [2, 1, 1], [0.5, 2.5, 1], [0.5, 1.5, 1]], atol=1e-6)
    half = np.array([0, 0.5]) + 0.5 + 0.5**0.5 * np.array([1 - 0.5, 1 + 0.5])
    np.testing.assert_allclose(places[1][2], [*half, 0.5], atol=1e-5)


def test_the_texture_is_found(tmp_path: Path) -> None:
    shade = pxr("UsdShade")
    write_rigged_usd(tmp_path / "a.usda", *arm(), "test")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.usda"]
    stage = opened(tmp_path / "a.usda")
    shader = shade.Shader(stage.GetPrimAtPath("/person/captured/texture"))
    assert Path(shader.GetInput("file").Get().resolvedPath) == tmp_path / "a.png"
    write_rigged_usd(tmp_path / "packed.usdz", *arm(), "test")
    assert len(list(tmp_path.iterdir())) == 3


def test_without_motion(tmp_path: Path) -> None:
    pxr("Usd")
    write_rigged_usd(tmp_path / "a.usda", arm()[0], None, "test")
    assert "SkelAnimation" not in (tmp_path / "a.usda").read_text()


def test_gaussians_come_back(tmp_path: Path) -> None:
    pxr("Usd")
    source = to_y_up(random_gaussians(k=9))
    write_gaussian_usd(tmp_path / "a.usdc", source, "test")
    stage = opened(tmp_path / "a.usdc")
    prim = stage.GetDefaultPrim()
    read = {name: np.array(prim.GetAttribute(name).Get()) for name in ("positions", "scales", "opacities")}
    assert prim.GetTypeName() == "ParticleField3DGaussianSplat"
    for name, values in zip(read, (source.means, source.scales, source.opacities), strict=True):
        assert np.array_equal(read[name], values.numpy()), name
    quats = [[quat.GetReal(), *quat.GetImaginary()] for quat in prim.GetAttribute("orientations").Get()]
    torch.testing.assert_close(matrices_from_quats(torch.tensor(quats)), matrices_from_quats(source.quats))
    assert prim.GetAttribute("radiance:sphericalHarmonicsDegree").Get() == 2
    coefficients = np.array(prim.GetAttribute("radiance:sphericalHarmonicsCoefficients").Get())
    assert np.array_equal(coefficients.reshape(-1, 9, 3), source.sh.numpy())


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(writer, "import_module", missing)
    with pytest.raises(ImportError, match=r"pip install 'avatar\[usd\]'"):
        write_rigged_usd(tmp_path / "a.usdz", *arm(), "test")
    with pytest.raises(ImportError, match="No module named"):
        load_usd()
    assert not list(tmp_path.iterdir())
