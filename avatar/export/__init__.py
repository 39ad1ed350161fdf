"""What others can open: Gaussians, meshes, rigged persons, pictures and films as files; scenes of the web viewer."""

from .axes import rotate_gaussians, to_viewer_axes, to_y_up
from .gaussian_glb import write_gaussian_glb
from .obj import write_obj
from .ply import read_ply, write_ply
from .rigged import JointMotion, RiggedMesh, joint_motion, rigged_mesh
from .rigged_glb import write_rigged_glb
from .spz import read_spz, write_spz
from .texture import BakeConfig, bake_texture
from .usd import load_usd, write_gaussian_usd, write_rigged_usd
from .video import write_gif, write_png, write_video
from .web_scene import web_motion, web_scene

__all__ = [
    "BakeConfig",
    "JointMotion",
    "RiggedMesh",
    "bake_texture",
    "joint_motion",
    "load_usd",
    "read_ply",
    "read_spz",
    "rigged_mesh",
    "rotate_gaussians",
    "to_viewer_axes",
    "to_y_up",
    "web_motion",
    "web_scene",
    "write_gaussian_glb",
    "write_gaussian_usd",
    "write_gif",
    "write_obj",
    "write_ply",
    "write_png",
    "write_rigged_glb",
    "write_rigged_usd",
    "write_spz",
    "write_video",
]
