"""avatar: a few synchronised, calibrated cameras in, a person to re-render and animate out."""

import os

# libgomp's spinning workers fight the engine's own pool (three times slower on two busy cores); torch reads this once.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
