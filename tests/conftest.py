"""Tests that need a CUDA device are skipped without one. Tools and configs are found beside the package."""

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

for name in ("configs", "viewer", "tools"):
    if find_spec(f"avatar.{name}") is None:
        spec = spec_from_file_location(f"avatar.{name}", ROOT / name / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[spec.name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what is marked ``cuda`` where torch finds no CUDA device."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason=f"torch {torch.__version__} finds no CUDA device"))
