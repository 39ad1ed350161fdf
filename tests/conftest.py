"""Where the package is not installed, its tools and configs are found beside it."""

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

for name in ("configs", "tools"):
    if find_spec(f"avatar.{name}") is None:
        spec = spec_from_file_location(f"avatar.{name}", ROOT / name / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[spec.name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[spec.name])
