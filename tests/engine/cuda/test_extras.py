"""Optional packages: asked for once, refused in one clear sentence."""

import sys
from types import ModuleType

import pytest
import torch

from avatar.engine.cuda import extra
from avatar.engine.cuda.extras import _load


@pytest.fixture(autouse=True)
def forget():
    """What another test found out is forgotten before and after."""
    _load.cache_clear()
    yield
    _load.cache_clear()


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch):
    """A machine with a CUDA device and these modules; None hides one."""

    def install(**modules: ModuleType | None) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name.replace("__", "."), module)

    return install


def built(kernels: object) -> dict[str, ModuleType]:
    module, cuda, backend = ModuleType("gsplat"), ModuleType("gsplat.cuda"), ModuleType("gsplat.cuda._backend")
    vars(backend)["_C"] = kernels
    return {"gsplat": module, "gsplat__cuda": cuda, "gsplat__cuda___backend": backend}


@pytest.mark.parametrize("name", ["gsplat", "nerfacc", "tinycudann", "pytorch3d"])
def test_without_a_device_nothing_is_imported(name, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError, match=f"^{name}: needs a CUDA device, and torch .* finds none"):
        extra(name)
    assert name not in sys.modules


def test_a_missing_package_names_the_pip_line(pretend):
    pretend(gsplat=None, tinycudann=None)
    with pytest.raises(ImportError, match=r"gsplat: cannot be imported .*pip install 'avatar\[cuda\]'"):
        extra("gsplat")
    with pytest.raises(ImportError, match=r"tinycudann: .*optional, the hash grid in torch does the same.*pip install"):
        extra("tinycudann")


def test_kernels_that_were_not_built_are_named(pretend):
    pretend(**built(None))
    with pytest.raises(ImportError, match=r"gsplat: its CUDA kernels cannot be built \(no CUDA toolkit found\)"):
        extra("gsplat")


def test_a_build_that_fails_is_tried_once(pretend, monkeypatch: pytest.MonkeyPatch):
    tried = []

    def fail(name: str) -> ModuleType:
        tried.append(name)
        raise RuntimeError("Error building extension 'gsplat_cuda'\nninja: a page of output")

    pretend()
    monkeypatch.setattr("avatar.engine.cuda.extras.import_module", fail)
    for _ in range(3):
        with pytest.raises(ImportError, match=r"cannot be built \(Error building extension 'gsplat_cuda'\): run .*$"):
            extra("gsplat")
    assert tried == ["gsplat"]


def test_a_built_package_is_given(pretend):
    modules = built(object())
    pretend(**modules)
    assert extra("gsplat") is extra("gsplat") is modules["gsplat"]
